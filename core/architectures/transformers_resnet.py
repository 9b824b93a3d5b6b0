"""ResNets under the names of Hugging Face's transformers.

https://huggingface.co/docs/transformers/model_doc/resnet
"""

from torch import nn

from core.architectures import Shapes
from core.architectures.layers_from_shapes import ShapeError, count, weight
from core.architectures.transformers_family import TORCHVISIONS, Naming, Network
from core.architectures.transformers_names import Rules
from core.card import Card
from core.weight_files.meta_build import ShapesOnly

NAME = "ResNetForImageClassification"
SIDE = 224
STEM, LAYER = r"resnet\.embedder\.embedder\.", r"resnet\.encoder\.stages\.(\d)\.layers\.(\d+)\."
REST = r"\.(weight|bias|running_mean|running_var|num_batches_tracked)"
# Stages and convolutions still counted from 0, see `_counted`.
RULES: Rules = (
    (STEM + r"convolution\.weight", "conv1.weight"),
    (STEM + "normalization" + REST, r"bn1.\1"),
    (LAYER + r"shortcut\.convolution\.weight", r"layer\1.\2.downsample.0.weight"),
    (LAYER + r"shortcut\.normalization" + REST, r"layer\1.\2.downsample.1.\3"),
    (LAYER + r"layer\.(\d)\.convolution\.weight", r"layer\1.\2.conv\3.weight"),
    (LAYER + r"layer\.(\d)\.normalization" + REST, r"layer\1.\2.bn\3.\4"),
    (r"classifier\.1\.(weight|bias)", r"fc.\1"),
)
UNSAID = ("No config.json says whether the first or the second convolution of a bottleneck takes "
          "the stride; the second is taken, as in most of them (downsample_in_bottleneck false).")


def _counted(name: str) -> str:
    """transformers counts stages and a block's convolutions from 0, torchvision from 1."""
    parts = name.split(".")
    return ".".join(
        f"{part[:-1]}{int(part[-1]) + 1}" if len(parts) > 3 and part[:-1] in ("layer", "conv", "bn")
        else part for part in parts)


def _network(shapes: Shapes, said: dict[str, str], card: Card) -> Network:
    stated = "downsample_in_bottleneck" in said or "layer1.0.conv3.weight" not in shapes
    notes = (f"{TORCHVISIONS}.",) if stated else (f"{TORCHVISIONS}.", UNSAID)
    channels = weight(shapes, "conv1", 4)[1]
    return Network(_module(shapes, said), NAME, channels, SIDE, notes, stated)


def _module(shapes: Shapes, said: dict[str, str]) -> nn.Module:
    from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet  # 1 s

    deep = "layer1.0.conv3.weight" in shapes
    blocks = [count(shapes, f"layer{stage}.{{}}.conv1.weight") for stage in range(1, 5)]
    if not all(blocks) or said.get("hidden_act", "relu") != "relu":
        raise ShapeError("stages or activation")
    out, channels, *_ = weight(shapes, "conv1", 4)
    with ShapesOnly():
        module = ResNet(Bottleneck if deep else BasicBlock, blocks, weight(shapes, "fc", 2)[0])
        module.conv1 = nn.Conv2d(channels, out, 7, 2, 3, bias=False)
    _set_strides(module, said)
    return module


def _set_strides(module: nn.Module, said: dict[str, str]) -> None:
    firsts = [getattr(module, f"layer{stage}")[0] for stage in range(1, 5)]
    if said.get("downsample_in_first_stage") == "true":
        place = "conv2" if hasattr(firsts[0], "conv3") else "conv1"
        getattr(firsts[0], place).stride = (2, 2)
        if firsts[0].downsample is None:
            raise ShapeError("downsample_in_first_stage")
        firsts[0].downsample[0].stride = (2, 2)
    if said.get("downsample_in_bottleneck") == "true" and hasattr(firsts[0], "conv3"):
        for block in firsts:
            block.conv1.stride, block.conv2.stride = block.conv2.stride, (1, 1)


FAMILY = Naming(
    "transformers ResNet", (NAME,), ("resnet.embedder.embedder.convolution.weight",), RULES,
    _network, _counted).family()
