"""EfficientNets under the names of Hugging Face's transformers.

https://huggingface.co/docs/transformers/model_doc/efficientnet
"""

import torch
from torch import nn

from core.architectures import Shapes
from core.architectures.layers_from_shapes import ShapeError, count, weight
from core.architectures.same_padding import EvenPaddedConv2d
from core.architectures.transformers_family import Naming, Network
from core.architectures.transformers_mobile import MobileNet, counted_from
from core.architectures.transformers_names import Rules, set_activation, set_epsilon
from core.card import Card

NAME, EPSILON = "EfficientNetForImageClassification", 1e-3
BEFORE = r"efficientnet\."
BLOCK = BEFORE + r"encoder\.blocks\.(\d+)\."
REST = r"\.(weight|bias|running_mean|running_var|num_batches_tracked)"
STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of the stages, whose first block changes the number of channels
# Sides of the pictures of B0 to B7, by the width at their end and their number of blocks.
SIDES = {(1280, 16): 224, (1280, 23): 240, (1408, 23): 260, (1536, 26): 300, (1792, 32): 380,
         (2048, 39): 456, (2304, 45): 528, (2560, 55): 600}
PARTS = (("expansion.expand", "expand"), ("depthwise_conv.depthwise", "depthwise"),
         ("projection.project", "project"))
# Blocks still counted from 0, see `counted_from`.
RULES: Rules = (
    (BEFORE + r"embeddings\.convolution\.weight", "features.0.0.weight"),
    (BEFORE + "embeddings.batchnorm" + REST, r"features.0.1.\1"),
    *(rule for old, new in PARTS for rule in (
        (BLOCK + old + r"_conv\.weight", rf"block.\1.{new}.0.weight"),
        (BLOCK + old + "_(?:bn|norm)" + REST, rf"block.\1.{new}.1.\2"))),
    (BLOCK + r"squeeze_excite\.reduce\.(weight|bias)", r"block.\1.squeeze.fc1.\2"),
    (BLOCK + r"squeeze_excite\.expand\.(weight|bias)", r"block.\1.squeeze.fc2.\2"),
    (BEFORE + r"encoder\.top_conv\.weight", "features.top.0.weight"),
    (BEFORE + "encoder.top_bn" + REST, r"features.top.1.\1"),
    (r"classifier\.(weight|bias)", r"classifier.1.\1"),
)
SAID = ("The tensors have the names of Hugging Face's transformers; layers are shown as features, "
        "one after the other.")
UNSAID = ("No config.json says in which blocks pictures are padded alike on all sides; those are "
          "taken whose input has an odd side where pictures have {} (depthwise_padding {}).")


class Block(nn.Module):
    """Wider, each channel by itself, each as strong as all together say, and narrow again."""

    def __init__(self, shapes: Shapes, place: str, inside: int, stride: int, alike: bool) -> None:
        from torchvision.ops import Conv2dNormActivation, SqueezeExcitation  # 1 s

        super().__init__()
        width, _, kernel, _ = weight(shapes, f"{place}.depthwise.0", 4)
        out = weight(shapes, f"{place}.project.0", 4)[0]
        self.expand = Conv2dNormActivation(inside, width, 1, activation_layer=nn.SiLU) \
            if f"{place}.expand.0.weight" in shapes else nn.Identity()
        self.depthwise = Conv2dNormActivation(
            width, width, kernel, stride, groups=width, activation_layer=nn.SiLU)
        if stride == 2 and not alike:
            self.depthwise[0] = EvenPaddedConv2d(width, width, kernel, 2, groups=width, bias=False)
        self.squeeze = SqueezeExcitation(
            width, weight(shapes, f"{place}.squeeze.fc1", 4)[0], nn.SiLU)
        self.project = Conv2dNormActivation(width, out, 1, activation_layer=None)
        self.adds = inside == out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = self.project(self.squeeze(self.depthwise(self.expand(x))))
        return x + seen if self.adds else seen


def _network(shapes: Shapes, said: dict[str, str], card: Card) -> Network:
    if said.get("pooling_type", "mean") != "mean":
        raise ShapeError("pooling_type")
    out, channels, *_ = weight(shapes, "features.0.0", 4)
    blocks = range(1, 1 + count(shapes, "features.{}.depthwise.0.weight", first=1))
    ends = [weight(shapes, f"features.{place}.project.0", 4)[0] for place in blocks]
    strides, stated = _strides([out, *ends]), "depthwise_padding" in said
    wide = weight(shapes, "features.top.0", 4)[0]
    side = SIDES.get((wide, len(blocks)), 224)
    alike = [int(place) for place in said["depthwise_padding"].split("-") if place.isdecimal()] \
        if stated else _odd(side, strides)
    with torch.device("meta"):
        module = _module(shapes, [out, *ends], strides, alike)
    set_epsilon(module, {"layer_norm_eps": said.get("batch_norm_eps", str(EPSILON))}, EPSILON)
    set_activation(module, said, nn.SiLU)
    unsaid = UNSAID.format(side, "-".join(map(str, alike)) or "none")
    return Network(module, NAME, channels, side, (SAID,) if stated else (SAID, unsaid), stated)


def _module(shapes: Shapes, widths: list[int], strides: list[int], alike: list[int]) -> nn.Module:
    from torchvision.ops import Conv2dNormActivation  # 1 s

    channels, wide = weight(shapes, "features.0.0", 4)[1], weight(shapes, "features.top.0", 4)[0]
    first = Conv2dNormActivation(channels, widths[0], 3, 2, activation_layer=nn.SiLU)
    first[0] = EvenPaddedConv2d(channels, widths[0], 3, 2, bias=False)
    features = nn.Sequential(first, *(
        Block(shapes, f"features.{place + 1}", widths[place], stride, place in alike)
        for place, stride in enumerate(strides)))
    features.add_module("top", Conv2dNormActivation(widths[-1], wide, 1, activation_layer=nn.SiLU))
    return MobileNet(features, shapes)


def _strides(widths: list[int]) -> list[int]:
    """Of each block. Raises ShapeError for other stages than EfficientNet has."""
    starts = [place for place in range(len(widths) - 1) if widths[place] != widths[place + 1]]
    if len(starts) != len(STRIDES):
        raise ShapeError("stages")
    return [STRIDES[starts.index(place)] if place in starts else 1
            for place in range(len(widths) - 1)]


def _odd(side: int, strides: list[int]) -> list[int]:
    """The blocks that halve an odd side."""
    found, side = [], side // 2  # behind the first layer
    for place, stride in enumerate(strides):
        if stride == 2:
            found += [place] * (side % 2)
            side = -(-side // 2)
    return found


FAMILY = Naming(
    "transformers EfficientNet", (NAME,), ("efficientnet.embeddings.convolution.weight",), RULES,
    _network, counted_from("block", 1)).family()
