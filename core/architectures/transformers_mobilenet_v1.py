"""MobileNetV1 under the names of Hugging Face's transformers.

https://huggingface.co/docs/transformers/model_doc/mobilenet_v1
"""

from torch import nn

from core.architectures import Shapes
from core.architectures.layers_from_shapes import ShapeError, count, weight
from core.architectures.transformers_family import Naming
from core.architectures.transformers_mobile import counted_from, network_of
from core.architectures.transformers_names import Rules

NAME = "MobileNetV1ForImageClassification"
HALVING = (0, 3, 7, 11, 23)  # features that halve height and width
STEM, LAYER = r"mobilenet_v1\.conv_stem\.", r"mobilenet_v1\.layer\.(\d+)\."
END = r"\.(weight|bias|running_mean|running_var|num_batches_tracked)"
# Layers still counted from 0, see `counted_from`.
RULES: Rules = (
    (STEM + r"convolution\.weight", "features.0.0.weight"),
    (STEM + "normalization" + END, r"features.0.1.\1"),
    (LAYER + r"convolution\.weight", r"layer.\1.0.weight"),
    (LAYER + "normalization" + END, r"layer.\1.1.\2"),
    (r"classifier\.(weight|bias)", r"classifier.1.\1"),
)
SAID = ("The tensors have the names of Hugging Face's transformers; layers are shown as features, "
        "one after the other.")


def _features(shapes: Shapes) -> nn.Sequential:
    from torchvision.ops import Conv2dNormActivation  # 1 s

    features, channels = nn.Sequential(), weight(shapes, "features.0.0", 4)[1]
    for place in range(count(shapes, "features.{}.0.weight")):
        out, inside, kernel, _ = weight(shapes, f"features.{place}.0", 4)
        if channels % inside or out % (channels // inside):
            raise ShapeError(f"features.{place}")
        features.append(Conv2dNormActivation(
            channels, out, kernel, 1 + (place in HALVING), groups=channels // inside,
            activation_layer=nn.ReLU6))
        channels = out
    return features


FAMILY = Naming(
    "transformers MobileNetV1", (NAME,), ("mobilenet_v1.conv_stem.convolution.weight",), RULES,
    network_of(NAME, _features, SAID), counted_from("layer", 1)).family()
