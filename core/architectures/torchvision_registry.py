"""Which networks of torchvision's registry tensors may belong to, from names and numbers alone."""

import math
from collections.abc import Iterator
from typing import Any

from torch import nn

from core.architectures import Shapes
from core.architectures.layers_from_shapes import shapes_of
from core.architectures.torchvision_import import without_the_compiler
from core.card import Card
from core.weight_files.meta_build import ShapesOnly

without_the_compiler()
CLASSES = 1000  # ImageNet's, which every network of the registry is built with
INPUT_SHIFTED = ("googlenet", "inception_v3")
AUXILIARY = ("aux1", "aux2", "AuxLogits")
NEAREST = 8  # networks that are built to find what differs
# Tensors that every network of a file of torchvision.models has, early and late ones: without all
# of them torchvision is not even imported.
MARKERS = {
    "alexnet": ("features.0.bias", "features.6.weight", "features.10.weight"),
    "convnext": ("features.1.0.layer_scale", "features.3.2.block.3.bias",
                 "features.7.2.block.5.bias"),
    "densenet": ("features.denseblock1.denselayer1.conv1.weight",
                 "features.denseblock3.denselayer11.norm2.weight", "features.norm5.bias"),
    "efficientnet": ("features.1.0.block.0.0.weight", "features.4.1.block.3.0.weight",
                     "features.6.3.block.3.1.bias"),
    "googlenet": ("inception3a.branch1.conv.weight", "inception4c.branch2.0.bn.weight",
                  "inception5b.branch4.1.bn.bias"),
    "inception": ("Mixed_5b.branch1x1.conv.weight", "Mixed_6c.branch7x7dbl_3.bn.bias",
                  "Mixed_7c.branch_pool.bn.bias"),
    "maxvit": ("blocks.0.layers.0.layers.MBconv.layers.pre_norm.weight",
               "blocks.2.layers.1.layers.window_attention.attn_layer.0.bias",
               "blocks.3.layers.1.layers.grid_attention.mlp_layer.3.bias"),
    "mnasnet": ("layers.8.0.layers.0.weight", "layers.10.1.layers.4.bias", "layers.15.bias"),
    "mobilenetv2": ("features.1.conv.0.0.weight", "features.9.conv.1.1.bias", "features.18.1.bias"),
    "mobilenetv3": ("features.1.block.0.0.weight", "features.5.block.3.1.bias",
                    "features.11.block.3.1.bias"),
    "regnet": ("trunk_output.block1.block1-0.f.a.0.weight", "trunk_output.block2.block2-0.proj.0"
               ".weight", "trunk_output.block4.block4-0.f.c.1.bias"),
    "resnet": ("layer1.0.conv1.weight", "layer2.1.bn2.bias", "layer4.0.downsample.0.weight",
               "layer4.1.bn2.bias"),
    "shufflenetv2": ("stage2.0.branch2.0.weight", "stage3.3.branch2.4.bias", "conv5.1.bias"),
    "squeezenet": ("features.3.squeeze.weight", "features.7.expand3x3.weight",
                   "features.12.expand3x3.bias"),
    "swin_transformer": ("features.1.0.attn.relative_position_index", "features.5.1.mlp.0.bias",
                         "features.6.norm.weight"),
    "vgg": ("features.0.bias",),
    "vision_transformer": ("encoder.layers.encoder_layer_0.ln_1.weight",
                           "encoder.layers.encoder_layer_8.ln_1.weight", "encoder.ln.bias"),
}
# The width of a late tensor, where people build networks of the same names and other widths.
WIDTHS = {"resnet": ("layer4.0.downsample.0.weight", (512, 2048))}


def files_of(shapes: Shapes, share: float = 1.0) -> set[str]:
    """Files of torchvision.models of whose markers at least this share is among the names."""
    return {file for file, markers in MARKERS.items()
            if sum(marker in shapes for marker in markers) >= share * len(markers)
            and _as_wide(file, shapes)}


def _as_wide(file: str, shapes: Shapes) -> bool:
    name, widths = WIDTHS.get(file, ("", ()))
    return name not in shapes or shapes[name][:1] in [(width,) for width in widths]


def candidates(shapes: Shapes, files: set[str], wanted: str | None) -> list[str]:
    """Names in the registry, those whose number of parameters is nearest first; only the wanted
    one where there is such a network."""
    from torchvision import models  # 1 s

    names = models.list_models(module=models)
    if wanted in names:
        return [wanted]
    count = sum(math.prod(size) for name, size in shapes.items() if ".running_" not in name)

    def distance(name: str) -> float:
        known = [weights.meta["num_params"] for weights in models.get_model_weights(name)]
        return min((abs(math.log((count + 1) / number)) for number in known), default=math.inf)

    fitting = [name for name in names
               if models.get_model_builder(name).__module__.split(".")[-1] in files]
    return sorted(fitting, key=distance)


def near(shapes: Shapes, card: Card) -> Iterator[tuple[str, Shapes]]:
    """The networks that most of the markers speak for, and the one that the card names."""
    files = files_of(shapes, share=0.5)
    if not files:
        return
    names = candidates(shapes, files, None)[:NEAREST]
    named = candidates(shapes, files, card.architecture)
    for name in dict.fromkeys([*(named if len(named) == 1 else ()), *names]):
        yield name, shapes_of(network(name, shapes).state_dict())


def network(name: str, shapes: Shapes) -> nn.Module:
    """The network on the meta device, with ImageNet's classes and the file's size of picture."""
    from torchvision import models

    with ShapesOnly():
        return models.get_model(name, weights=None, num_classes=CLASSES, **_options(name, shapes))


def _options(name: str, shapes: Shapes) -> dict[str, Any]:
    """What the constructor must know beyond the number of classes."""
    if name in INPUT_SHIFTED:
        auxiliary = any(key.startswith(AUXILIARY) for key in shapes)
        return {"aux_logits": auxiliary, "init_weights": False, "transform_input": True}
    size = image_size(shapes) if name.startswith("vit_") else None
    return {"image_size": size} if size and size % int(name.split("_")[-1]) == 0 else {}


def image_size(shapes: Shapes) -> int | None:
    """The side of a vision transformer's picture, from its positions and the size of a patch."""
    positions, patch = shapes.get("encoder.pos_embedding"), shapes.get("conv_proj.weight")
    if positions is None or patch is None or len(positions) != 3 or len(patch) != 4:
        return None
    return math.isqrt(max(positions[1] - 1, 1)) * patch[-1]
