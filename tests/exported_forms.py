"""Every form in which a network of torch is saved today, and small relatives of torchvision's."""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from core.card import Card, InputSpec
from core.model_formats import LoadedModel
from core.plugins import discover

FORMATS = discover("core.model_formats", "FORMAT")


def export(net: nn.Module, path: Path, example: torch.Tensor) -> None:
    free = ({0: torch.export.Dim.AUTO},)  # where the network's code lets it be
    program = torch.export.export(net, (example,), dynamic_shapes=free)
    torch.export.save(program, path)


def trace(net: nn.Module, path: Path, example: torch.Tensor) -> None:
    torch.jit.save(torch.jit.trace(net, example, check_trace=False), str(path))


def script(net: nn.Module, path: Path, example: torch.Tensor) -> None:
    torch.jit.save(torch.jit.script(net), str(path))


def onnx_of_today(net: nn.Module, path: Path, example: torch.Tensor) -> None:
    torch.onnx.export(net, (example,), path, dynamo=True, verbose=False,
                      dynamic_shapes=({0: "batch"},))


def onnx_of_before(net: nn.Module, path: Path, example: torch.Tensor) -> None:
    torch.onnx.export(net, (example,), path, dynamo=False, input_names=["x"],
                      dynamic_axes={"x": {0: "batch"}})


def state_dict(net: nn.Module, path: Path, example: torch.Tensor) -> None:
    torch.save(net.state_dict(), path)


def safetensors(net: nn.Module, path: Path, example: torch.Tensor) -> None:
    save_file(net.state_dict(), path)


# Form -> (the file's ending, what writes it).
FROZEN: dict[str, tuple[str, Callable[[nn.Module, Path, torch.Tensor], None]]] = {
    "pt2": ("pt2", export), "traced": ("pt", trace), "scripted": ("pt", script),
    "onnx": ("onnx", onnx_of_today), "onnx before": ("onnx", onnx_of_before),
}
WEIGHTS = {"state dict": ("pth", state_dict), "safetensors": ("safetensors", safetensors)}


def written(net: nn.Module, form: str, folder: Path, example: torch.Tensor) -> Path:
    """The file of `net` in that form."""
    ending, write = (FROZEN | WEIGHTS)[form]
    path = folder / f"network.{ending}"
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            write(net, path, example)
    finally:
        logging.disable(before)
    return path


def opened(path: Path, example: torch.Tensor) -> LoadedModel:
    """What the one format that knows the file makes of it, for inputs like the example."""
    reader, = [form for form in FORMATS.values() if form.matches(path)]
    return reader.load(path, Card(input=InputSpec(*example.shape[1:])))


def used(net: nn.Module) -> nn.Module:
    """`net` in evaluation mode, its norms' statistics unlike a fresh network's, nothing all 0 that
    something is multiplied by."""
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 1.5)
        for name, parameter in layer.named_parameters(recurse=False):
            if not name.endswith("bias") and parameter.std() < 1e-3 and parameter.mean() < 0.5:
                nn.init.normal_(parameter, 0, 0.2)
    return net.eval()


def _alexnet(models) -> nn.Module:
    net = models.alexnet(num_classes=10)
    net.classifier[1], net.classifier[4], net.classifier[6] = (
        nn.Linear(9216, 16), nn.Linear(16, 16), nn.Linear(16, 10))
    return net


def _vgg(models) -> nn.Module:
    layers = models.vgg.make_layers([8, 8, "M", 16, "M", 32, "M", 512, "M"], batch_norm=True)
    net = models.VGG(layers, num_classes=10, init_weights=False)
    net.classifier = nn.Sequential(nn.Linear(512 * 49, 16), nn.ReLU(True), nn.Dropout(),
                                   nn.Linear(16, 10))
    return net


def _efficientnet(models) -> nn.Module:
    settings, _ = models.efficientnet._efficientnet_conf("efficientnet_b0", width_mult=0.5,
                                                         depth_mult=0.3)
    return models.EfficientNet(settings[:4], 0.2, num_classes=10)


def _efficientnet_v2(models) -> nn.Module:
    kinds = models.efficientnet
    settings = [kinds.FusedMBConvConfig(1, 3, 1, 8, 8, 1), kinds.FusedMBConvConfig(4, 3, 2, 8, 16, 1),
                kinds.MBConvConfig(4, 3, 2, 16, 24, 1)]
    return models.EfficientNet(settings, 0.2, num_classes=10, last_channel=48)


def _googlenet(models) -> nn.Module:
    net = models.googlenet(num_classes=10, aux_logits=False, init_weights=False,
                           transform_input=True)
    net.inception4b = net.inception4c = net.inception4d = net.inception5a = nn.Identity()
    net.inception4e = nn.Conv2d(512, 832, 1)
    return net


def _inception(models) -> nn.Module:
    net = models.inception_v3(num_classes=10, aux_logits=False, init_weights=False)
    net.Mixed_5d = net.Mixed_6c = net.Mixed_6d = net.Mixed_6e = net.Mixed_7c = nn.Identity()
    net.Mixed_5c, net.Mixed_7b = nn.Conv2d(256, 288, 1), nn.Conv2d(1280, 2048, 1)
    return net


def _mnasnet(models) -> nn.Module:
    net = models.MNASNet(0.35, num_classes=10)
    for stack in net.layers[8:13]:
        del stack[2:]
    return net


def _mobilenet_v3(models) -> nn.Module:
    blocks, _ = models.mobilenetv3._mobilenet_v3_conf("mobilenet_v3_small")
    return models.MobileNetV3(blocks[:5], 128, num_classes=10)


def _regnet(models) -> nn.Module:
    blocks = models.regnet.BlockParams([1, 2], [16, 32], [8, 8], [1.0, 1.0], [2, 2], 0.25)
    return models.RegNet(blocks, num_classes=10)


def _swin_v2(models) -> nn.Module:
    kinds = models.swin_transformer
    return models.SwinTransformer([4, 4], 24, [2, 2], [3, 6], [7, 7], num_classes=10,
                                  block=kinds.SwinTransformerBlockV2,
                                  downsample_layer=kinds.PatchMergingV2)


def _convnext(models) -> nn.Module:
    stages = [models.convnext.CNBlockConfig(16, 32, 1), models.convnext.CNBlockConfig(32, None, 2)]
    return models.ConvNeXt(stages, num_classes=10)


# torchvision's families with its own layers in few and narrow blocks, so that a test is quick.
RELATIVES: dict[str, Callable[..., nn.Module]] = {
    "alexnet": _alexnet, "vgg": _vgg, "efficientnet": _efficientnet,
    "efficientnet_v2": _efficientnet_v2, "googlenet": _googlenet, "inception": _inception,
    "mnasnet": _mnasnet, "mobilenet_v3": _mobilenet_v3, "regnet": _regnet, "swin_v2": _swin_v2,
    "convnext": _convnext,
    "densenet": lambda models: models.DenseNet(8, (2, 2, 2), 16, num_classes=10),
    "maxvit": lambda models: models.MaxVit((64, 64), 8, 4, [8, 16], [1, 1], 4, 0.2, num_classes=10),
    "mobilenet_v2": lambda models: models.MobileNetV2(
        10, 0.5, [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 1, 2]]),
    "resnext": lambda models: models.ResNet(models.resnet.Bottleneck, [1, 2, 1, 1], num_classes=10,
                                            groups=4, width_per_group=4),
    "shufflenet": lambda models: models.ShuffleNetV2([2, 3, 2], [24, 48, 96, 192, 256], 10),
    "squeezenet": lambda models: models.squeezenet1_1(num_classes=10),
    "swin": lambda models: models.SwinTransformer([4, 4], 24, [2, 2], [3, 6], [7, 7],
                                                  num_classes=10),
    "vit": lambda models: models.VisionTransformer(64, 16, 2, 4, 32, 64, num_classes=10),
}


def relative(family: str) -> nn.Module:
    """A small network of a torchvision family, for pictures of `side(family)` pixels."""
    from torchvision import models

    torch.manual_seed(0)
    return used(RELATIVES[family](models))


# Pixels of a picture's side, where it is not 64: windows fit no other, or the exporter of old refuses.
SIDES = {"alexnet": 224, "vgg": 112, "inception": 75}
