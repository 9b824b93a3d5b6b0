"""What MobileNets under the names of Hugging Face's transformers share."""

from collections.abc import Callable

import torch
from torch import nn

from core.architectures import Shapes
from core.architectures.layers_from_shapes import ShapeError, linear, weight
from core.architectures.same_padding import UNSAID, set_same_padding
from core.architectures.transformers_family import Network
from core.architectures.transformers_names import set_activation, set_epsilon
from core.card import Card

SIDE, EPSILON = 224, 1e-3


class MobileNet(nn.Module):
    """(N, channels, H, W) to logits (N, classes)."""

    def __init__(self, features: nn.Sequential, shapes: Shapes) -> None:
        super().__init__()
        self.features = features
        self.pool, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.classifier = nn.Sequential(nn.Dropout(), linear(shapes, "classifier.1"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.flatten(self.pool(self.features(x))))


def counted_from(kind: str, first: int) -> Callable[[str], str]:
    """From "kind.0.…" to "features.first.…": transformers counts from 0 what follows the stem."""
    def counted(name: str) -> str:
        before, _, rest = name.partition(".")
        number, _, inside = rest.partition(".")
        return f"features.{int(number) + first}.{inside}" if before == kind else name

    return counted


def network_of(
    name: str, features: Callable[[Shapes], nn.Sequential], said_of_names: str,
) -> Callable[[Shapes, dict[str, str], Card], Network]:
    """What Naming asks for, of a MobileNet with these features."""
    def network(shapes: Shapes, said: dict[str, str], card: Card) -> Network:
        if said.get("output_stride", "32") != "32":  # dilated then
            raise ShapeError("output_stride")
        with torch.device("meta"):
            module = MobileNet(features(shapes), shapes)
            if said.get("tf_padding", "true") == "true":
                set_same_padding(module)
        set_epsilon(module, said, EPSILON)
        set_activation(module, said, nn.ReLU6)
        stated = "tf_padding" in said
        notes = (said_of_names,) if stated else (said_of_names, UNSAID)
        return Network(module, name, weight(shapes, "features.0.0", 4)[1], SIDE, notes, stated)

    return network
