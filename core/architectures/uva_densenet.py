"""DenseNet of the UvA deep-learning course, tutorial 5, after https://arxiv.org/abs/1608.06993."""

import torch
from torch import nn

from core.architectures import Shapes
from core.architectures.activation_names import ACTIVATIONS
from core.architectures.layers_from_shapes import batch_norm, convolution, count, linear
from core.architectures.uva_tutorial import tutorial_family


class DenseLayer(nn.Module):
    """1 × 1 and 3 × 3 convolutions, norm and activation before each; what they give is put before
    what they got."""

    def __init__(self, shapes: Shapes, place: str, activation: str) -> None:
        super().__init__()
        self.net = nn.Sequential(
            batch_norm(shapes, f"{place}.net.0"), ACTIVATIONS[activation](),
            convolution(shapes, f"{place}.net.2"),
            batch_norm(shapes, f"{place}.net.3"), ACTIVATIONS[activation](),
            convolution(shapes, f"{place}.net.5"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.net(x), x], dim=1)


class DenseBlock(nn.Module):
    """Layers that each see what all before them gave."""

    def __init__(self, shapes: Shapes, place: str, activation: str) -> None:
        super().__init__()
        self.block = nn.Sequential(*(
            DenseLayer(shapes, f"{place}.block.{number}", activation)
            for number in range(count(shapes, f"{place}.block.{{}}.net.0.weight"))))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(x)


class TransitionLayer(nn.Module):
    """Fewer channels, and half the height and width."""

    def __init__(self, shapes: Shapes, place: str, activation: str) -> None:
        super().__init__()
        self.transition = nn.Sequential(
            batch_norm(shapes, f"{place}.transition.0"), ACTIVATIONS[activation](),
            convolution(shapes, f"{place}.transition.2"), nn.AvgPool2d(2, stride=2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.transition(x)


class UvaDenseNet(nn.Module):
    """(N, channels, H, W) to logits (N, classes)."""

    title = "UvA tutorial DenseNet"

    def __init__(self, shapes: Shapes, activation: str) -> None:
        super().__init__()
        self.input_net = nn.Sequential(convolution(shapes, "input_net.0"))
        self.blocks = nn.Sequential()
        while (part := _part(shapes, f"blocks.{len(self.blocks)}", activation)) is not None:
            self.blocks.append(part)
        self.output_net = nn.Sequential(
            batch_norm(shapes, "output_net.0"), ACTIVATIONS[activation](),
            nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), linear(shapes, "output_net.4"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output_net(self.blocks(self.input_net(x)))


def _part(shapes: Shapes, place: str, activation: str) -> nn.Module | None:
    if f"{place}.block.0.net.0.weight" in shapes:
        return DenseBlock(shapes, place, activation)
    if f"{place}.transition.0.weight" in shapes:
        return TransitionLayer(shapes, place, activation)
    return None


FAMILY = tutorial_family("UvA tutorial DenseNet", UvaDenseNet, {
    "input_net.0.weight", "blocks.0.block.0.net.0.weight"})
