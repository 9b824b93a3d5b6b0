"""DenseNets for small pictures, as pytorch-cifar names them; https://arxiv.org/abs/1608.06993."""

import torch
from torch import nn

from core.architectures import Built, Family, Shapes, Tensors
from core.architectures.cifar_family import built, made
from core.architectures.layers_from_shapes import batch_norm, convolution, count, linear, shapes_of
from core.card import Card

MOST_BLOCKS = 8


class Layer(nn.Module):
    """1 × 1 and 3 × 3 convolutions, norm and ReLU before each; what they give is put before what
    they got."""

    def __init__(self, shapes: Shapes, place: str) -> None:
        super().__init__()
        self.bn1, self.conv1 = batch_norm(shapes, f"{place}.bn1"), convolution(
            shapes, f"{place}.conv1")
        self.bn2, self.conv2 = batch_norm(shapes, f"{place}.bn2"), convolution(
            shapes, f"{place}.conv2")
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inside = self.conv1(self.relu(self.bn1(x)))
        return torch.cat([self.conv2(self.relu(self.bn2(inside))), x], dim=1)


class Transition(nn.Module):
    """Fewer channels, and half the height and width."""

    def __init__(self, shapes: Shapes, place: str) -> None:
        super().__init__()
        self.bn, self.conv = batch_norm(shapes, f"{place}.bn"), convolution(shapes, f"{place}.conv")
        self.relu, self.pool = nn.ReLU(), nn.AvgPool2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(self.conv(self.relu(self.bn(x))))


class CifarDenseNet(nn.Module):
    """(N, channels, H, W) to logits (N, classes)."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.conv1 = convolution(shapes, "conv1")
        self.blocks = min(count(shapes, "dense{}.0.conv1.weight", first=1), MOST_BLOCKS)
        for number in range(1, self.blocks + 1):
            layers = count(shapes, f"dense{number}.{{}}.conv1.weight")
            self.add_module(f"dense{number}", nn.Sequential(*(
                Layer(shapes, f"dense{number}.{layer}") for layer in range(layers))))
            if number < self.blocks:
                self.add_module(f"trans{number}", Transition(shapes, f"trans{number}"))
        self.bn, self.relu = batch_norm(shapes, "bn"), nn.ReLU()
        self.pool, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.linear = linear(shapes, "linear")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x)
        for number in range(1, self.blocks + 1):
            x = getattr(self, f"dense{number}")(x)
            if number < self.blocks:
                x = getattr(self, f"trans{number}")(x)
        return self.linear(self.flatten(self.pool(self.relu(self.bn(x)))))


def build(tensors: Tensors, card: Card) -> Built | None:
    """The network whose names and shapes these are, or None."""
    shapes = shapes_of(tensors)
    if not {"conv1.weight", "dense1.0.conv1.weight", "trans1.conv.weight"} <= shapes.keys():
        return None
    if (module := made(CifarDenseNet, shapes)) is None:
        return None
    layers = sum(len(getattr(module, f"dense{n}")) for n in range(1, module.blocks + 1))
    return built(module, shapes, card, f"CIFAR DenseNet-{2 * layers + module.blocks + 1}")


FAMILY = Family("CIFAR DenseNet", build)
