"""MobileNetV2 under the names of Hugging Face's transformers.

https://huggingface.co/docs/transformers/model_doc/mobilenet_v2
"""

from torch import nn

from core.architectures import Shapes
from core.architectures.layers_from_shapes import count, weight
from core.architectures.transformers_family import TORCHVISIONS, Naming
from core.architectures.transformers_mobile import counted_from, network_of
from core.architectures.transformers_names import Rules

NAME = "MobileNetV2ForImageClassification"
HALVING = (2, 4, 7, 14)  # features that halve height and width, as the first layer does
BEFORE = r"mobilenet_v2\."
LAYER = BEFORE + r"layer\.(\d+)\."
END = r"\.(weight|bias|running_mean|running_var|num_batches_tracked)"
# Blocks still counted from 0, see `counted_from`; torchvision has them from features.2.
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


def _features(shapes: Shapes) -> nn.Sequential:
    from torchvision.models.mobilenetv2 import InvertedResidual  # 1 s
    from torchvision.ops import Conv2dNormActivation

    last = 2 + count(shapes, "features.{}.conv.2.weight", first=2)
    inside, channels, *_ = weight(shapes, "features.0.0", 4)
    layers = [Conv2dNormActivation(channels, inside, 3, 2, activation_layer=nn.ReLU6)]
    for place in range(1, last):
        out, hidden, *_ = weight(shapes, f"features.{place}.conv.{min(place, 2)}", 4)
        layers.append(InvertedResidual(inside, out, 1 + (place in HALVING), hidden / inside))
        inside = out
    wide = weight(shapes, f"features.{last}.0", 4)[0]
    layers.append(Conv2dNormActivation(inside, wide, 1, activation_layer=nn.ReLU6))
    return nn.Sequential(*layers)


FAMILY = Naming(
    "transformers MobileNetV2", (NAME,), ("mobilenet_v2.conv_stem.first_conv.convolution.weight",),
    RULES, network_of(NAME, _features, f"{TORCHVISIONS}."), counted_from("block", 2)).family()
