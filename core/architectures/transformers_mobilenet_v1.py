"""MobileNetV1 under the names of Hugging Face's transformers.

https://huggingface.co/docs/transformers/model_doc/mobilenet_v1
"""

import torch
from torch import nn

from core.architectures import Shapes
from core.architectures.layers_from_shapes import ShapeError, count, linear, weight
from core.architectures.same_padding import UNSAID, set_same_padding
from core.architectures.transformers_family import Naming, Network
from core.architectures.transformers_names import Rules, set_activation, set_epsilon
from core.card import Card

NAME = "MobileNetV1ForImageClassification"
SIDE, EPSILON = 224, 1e-3
HALVING = (0, 3, 7, 11, 23)  # features that halve height and width
STEM, LAYER = r"mobilenet_v1\.conv_stem\.", r"mobilenet_v1\.layer\.(\d+)\."
END = r"\.(weight|bias|running_mean|running_var|num_batches_tracked)"
# Layers still counted from 0, see `_counted`.
RULES: Rules = (
    (STEM + r"convolution\.weight", "features.0.0.weight"),
    (STEM + "normalization" + END, r"features.0.1.\1"),
    (LAYER + r"convolution\.weight", r"layer.\1.0.weight"),
    (LAYER + "normalization" + END, r"layer.\1.1.\2"),
    (r"classifier\.(weight|bias)", r"classifier.1.\1"),
)
SAID = ("The tensors have the names of Hugging Face's transformers; layers are shown as features, "
        "one after the other.")


class MobileNetV1(nn.Module):
    """(N, channels, H, W) to logits (N, classes)."""

    def __init__(self, shapes: Shapes) -> None:
        from torchvision.ops import Conv2dNormActivation  # 1 s

        super().__init__()
        self.features, channels = nn.Sequential(), weight(shapes, "features.0.0", 4)[1]
        for place in range(count(shapes, "features.{}.0.weight")):
            out, inside, kernel, _ = weight(shapes, f"features.{place}.0", 4)
            if channels % inside or out % (channels // inside):
                raise ShapeError(f"features.{place}")
            self.features.append(Conv2dNormActivation(
                channels, out, kernel, 1 + (place in HALVING), groups=channels // inside,
                activation_layer=nn.ReLU6))
            channels = out
        self.pool, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.classifier = nn.Sequential(nn.Dropout(), linear(shapes, "classifier.1"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.flatten(self.pool(self.features(x))))


def _counted(name: str) -> str:
    """transformers counts the layers after the first from 0."""
    kind, _, rest = name.partition(".")
    number, _, inside = rest.partition(".")
    return f"features.{int(number) + 1}.{inside}" if kind == "layer" else name


def _network(shapes: Shapes, said: dict[str, str], card: Card) -> Network:
    if said.get("output_stride", "32") != "32":  # dilated then
        raise ShapeError("output_stride")
    with torch.device("meta"):
        module = MobileNetV1(shapes)
        if said.get("tf_padding", "true") == "true":
            set_same_padding(module)
    set_epsilon(module, said, EPSILON)
    set_activation(module, said, nn.ReLU6)
    stated = "tf_padding" in said
    return Network(module, NAME, weight(shapes, "features.0.0", 4)[1], SIDE,
                   (SAID,) if stated else (SAID, UNSAID), stated)


FAMILY = Naming(
    "transformers MobileNetV1", (NAME,), ("mobilenet_v1.conv_stem.convolution.weight",), RULES,
    _network, _counted).family()
