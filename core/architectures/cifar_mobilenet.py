"""MobileNets for small pictures, as pytorch-cifar names them: depthwise convolutions in `layers`.

https://arxiv.org/abs/1704.04861 and https://arxiv.org/abs/1801.04381
"""

import torch
from torch import nn

from core.architectures import Built, Family, Shapes, Tensors
from core.architectures import layers_from_shapes as shaped
from core.architectures.cifar_family import built, made
from core.architectures.layers_from_shapes import batch_norm, convolution, weight
from core.card import Card

GUESSED = ("Taken for {}; the tensors do not say where the picture is halved: as in pytorch-cifar, "
           "where {}.")


class Separable(nn.Module):
    """A depthwise and a 1 × 1 convolution; halves the picture where it has twice the channels."""

    def __init__(self, shapes: Shapes, place: str) -> None:
        super().__init__()
        wide = weight(shapes, f"{place}.conv1", 4)[0]
        # pytorch-cifar's first block widens at full size; all later ones that widen halve
        stride = 1 if place == "layers.0" or weight(shapes, f"{place}.conv2", 4)[0] == wide else 2
        self.conv1 = convolution(shapes, f"{place}.conv1", stride, groups=wide)
        self.bn1, self.relu1 = batch_norm(shapes, f"{place}.bn1"), nn.ReLU()
        self.conv2 = convolution(shapes, f"{place}.conv2")
        self.bn2, self.relu2 = batch_norm(shapes, f"{place}.bn2"), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(x)))


class Inverted(nn.Module):
    """1 × 1, depthwise and 1 × 1 convolutions with a shortcut; halves the picture, and has no
    shortcut, where the channels change and no shortcut has weights."""

    def __init__(self, shapes: Shapes, place: str) -> None:
        super().__init__()
        self.conv1, self.bn1 = convolution(shapes, f"{place}.conv1"), batch_norm(
            shapes, f"{place}.bn1")
        wide = self.conv1.out_channels
        around = f"{place}.shortcut.0.weight" in shapes
        same = weight(shapes, f"{place}.conv3", 4)[0] == self.conv1.in_channels
        self.adds = around or same
        self.conv2 = convolution(shapes, f"{place}.conv2", 1 if self.adds else 2, groups=wide)
        self.bn2 = batch_norm(shapes, f"{place}.bn2")
        self.conv3, self.bn3 = convolution(shapes, f"{place}.conv3"), batch_norm(
            shapes, f"{place}.bn3")
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.shortcut = nn.Sequential(
            convolution(shapes, f"{place}.shortcut.0"), batch_norm(shapes, f"{place}.shortcut.1"),
        ) if around else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inside = self.relu2(self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x))))))
        inside = self.bn3(self.conv3(inside))
        return inside + self.shortcut(x) if self.adds else inside


class CifarMobileNet(nn.Module):
    """(N, channels, H, W) to logits (N, classes)."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = convolution(shapes, "conv1"), batch_norm(
            shapes, "bn1"), nn.ReLU()
        self.inverted = "layers.0.conv3.weight" in shapes
        kind = Inverted if self.inverted else Separable
        self.layers = nn.Sequential(*(
            kind(shapes, f"layers.{number}")
            for number in range(shaped.count(shapes, "layers.{}.conv1.weight"))))
        if self.inverted:
            self.conv2, self.bn2 = convolution(shapes, "conv2"), batch_norm(shapes, "bn2")
            self.relu2 = nn.ReLU()
        self.pool, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.linear = shaped.linear(shapes, "linear")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layers(self.relu(self.bn1(self.conv1(x))))
        if self.inverted:
            x = self.relu2(self.bn2(self.conv2(x)))
        return self.linear(self.flatten(self.pool(x)))


def build(tensors: Tensors, card: Card) -> Built | None:
    """The network whose names and shapes these are, or None."""
    shapes = shaped.shapes_of(tensors)
    last = "conv3" if "layers.0.conv3.weight" in shapes else "conv2"
    depthwise = shapes.get("layers.0.conv1.weight" if last == "conv2" else "layers.0.conv2.weight")
    if not {"conv1.weight", "linear.weight"} <= shapes.keys() or not depthwise \
            or len(depthwise) != 4 or depthwise[1] != 1:
        return None
    if (module := made(CifarMobileNet, shapes)) is None:
        return None
    title = f"CIFAR MobileNet{'V2' if module.inverted else ''}"
    where = "channels change without a shortcut" if module.inverted else "channels are doubled"
    guessed = () if card.architecture == title else (GUESSED.format(title, where),)
    return built(module, shapes, card, title, guessed=guessed)


FAMILY = Family("CIFAR MobileNet", build)
