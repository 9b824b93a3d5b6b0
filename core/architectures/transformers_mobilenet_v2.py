"""MobileNetV2 under the names of Hugging Face's transformers.

https://huggingface.co/docs/transformers/model_doc/mobilenet_v2
"""

import torch
from torch import nn

from core.architectures import Shapes
from core.architectures.layers_from_shapes import ShapeError, count, linear, weight
from core.architectures.same_padding import UNSAID, set_same_padding
from core.architectures.transformers_family import TORCHVISIONS, Naming, Network
from core.architectures.transformers_names import Rules, set_activation, set_epsilon
from core.card import Card

NAME = "MobileNetV2ForImageClassification"
SIDE, EPSILON = 224, 1e-3
HALVING = (2, 4, 7, 14)  # features that halve height and width, as the first layer does
BEFORE = r"mobilenet_v2\."
LAYER = BEFORE + r"layer\.(\d+)\."
END = r"\.(weight|bias|running_mean|running_var|num_batches_tracked)"
# Blocks still counted from 0, see `_counted`.
RULES: Rules = (
    (BEFORE + r"conv_stem\.first_conv\.convolution\.weight", "features.0.0.weight"),
    (BEFORE + r"conv_stem\.first_conv\.normalization" + END, r"features.0.1.\1"),
    (BEFORE + r"conv_stem\.conv_3x3\.convolution\.weight", "features.1.conv.0.0.weight"),
    (BEFORE + r"conv_stem\.conv_3x3\.normalization" + END, r"features.1.conv.0.1.\1"),
    (BEFORE + r"conv_stem\.reduce_1x1\.convolution\.weight", "features.1.conv.1.weight"),
    (BEFORE + r"conv_stem\.reduce_1x1\.normalization" + END, r"features.1.conv.2.\1"),
    (LAYER + r"expand_1x1\.convolution\.weight", r"block.\1.conv.0.0.weight"),
    (LAYER + r"expand_1x1\.normalization" + END, r"block.\1.conv.0.1.\2"),
    (LAYER + r"conv_3x3\.convolution\.weight", r"block.\1.conv.1.0.weight"),
    (LAYER + r"conv_3x3\.normalization" + END, r"block.\1.conv.1.1.\2"),
    (LAYER + r"reduce_1x1\.convolution\.weight", r"block.\1.conv.2.weight"),
    (LAYER + r"reduce_1x1\.normalization" + END, r"block.\1.conv.3.\2"),
    (BEFORE + r"conv_1x1\.convolution\.weight", "features.18.0.weight"),
    (BEFORE + r"conv_1x1\.normalization" + END, r"features.18.1.\1"),
    (r"classifier\.(weight|bias)", r"classifier.1.\1"),
)


class MobileNetV2(nn.Module):
    """(N, channels, H, W) to logits (N, classes)."""

    def __init__(self, shapes: Shapes) -> None:
        from torchvision.models.mobilenetv2 import InvertedResidual  # 1 s
        from torchvision.ops import Conv2dNormActivation

        super().__init__()
        last = 2 + count(shapes, "features.{}.conv.2.weight", first=2)
        inside, channels, *_ = weight(shapes, "features.0.0", 4)
        layers = [Conv2dNormActivation(channels, inside, 3, 2, activation_layer=nn.ReLU6)]
        for place in range(1, last):
            out, hidden, *_ = weight(shapes, f"features.{place}.conv.{min(place, 2)}", 4)
            layers.append(InvertedResidual(inside, out, 1 + (place in HALVING), hidden / inside))
            inside = out
        wide = weight(shapes, f"features.{last}.0", 4)[0]
        layers.append(Conv2dNormActivation(inside, wide, 1, activation_layer=nn.ReLU6))
        self.features = nn.Sequential(*layers)
        self.pool, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.classifier = nn.Sequential(nn.Dropout(), linear(shapes, "classifier.1"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.flatten(self.pool(self.features(x))))


def _counted(name: str) -> str:
    """transformers counts blocks after the first from 0, torchvision has them from features.2."""
    kind, _, rest = name.partition(".")
    number, _, inside = rest.partition(".")
    return f"features.{int(number) + 2}.{inside}" if kind == "block" else name


def _network(shapes: Shapes, said: dict[str, str], card: Card) -> Network:
    if said.get("output_stride", "32") != "32":  # dilated then
        raise ShapeError("output_stride")
    with torch.device("meta"):
        module = MobileNetV2(shapes)
        if said.get("tf_padding", "true") == "true":
            set_same_padding(module)
    set_epsilon(module, said, EPSILON)
    set_activation(module, said, nn.ReLU6)
    stated = "tf_padding" in said
    notes = (f"{TORCHVISIONS}.",) if stated else (f"{TORCHVISIONS}.", UNSAID)
    return Network(module, NAME, weight(shapes, "features.0.0", 4)[1], SIDE, notes, stated)


FAMILY = Naming(
    "transformers MobileNetV2", (NAME,), ("mobilenet_v2.conv_stem.first_conv.convolution.weight",),
    RULES, _network, _counted).family()
