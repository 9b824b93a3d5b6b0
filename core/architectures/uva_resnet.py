"""ResNet and pre-activation ResNet of the UvA deep-learning course, tutorial 5.

https://uvadlc-notebooks.readthedocs.io/en/latest/tutorial_notebooks/tutorial5/Inception_ResNet_DenseNet.html
"""

import torch
from torch import nn

from core.architectures import Shapes
from core.architectures.activation_names import ACTIVATIONS
from core.architectures.layers_from_shapes import batch_norm, convolution, count, linear
from core.architectures.uva_tutorial import tutorial_family


class Block(nn.Module):
    """Two 3 × 3 convolutions and a shortcut, norm and activation after each; halves height and
    width where the shortcut has weights."""

    def __init__(self, shapes: Shapes, place: str, activation: str) -> None:
        super().__init__()
        halves = f"{place}.downsample.weight" in shapes
        self.net = nn.Sequential(
            convolution(shapes, f"{place}.net.0", 2 if halves else 1),
            batch_norm(shapes, f"{place}.net.1"), ACTIVATIONS[activation](),
            convolution(shapes, f"{place}.net.3"), batch_norm(shapes, f"{place}.net.4"))
        self.downsample = convolution(shapes, f"{place}.downsample", 2) if halves else None
        self.act_fn = ACTIVATIONS[activation]()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        around = x if self.downsample is None else self.downsample(x)
        return self.act_fn(self.net(x) + around)


class PreActivationBlock(nn.Module):
    """Norm and activation before each 3 × 3 convolution, and nothing after the sum."""

    def __init__(self, shapes: Shapes, place: str, activation: str) -> None:
        super().__init__()
        halves = f"{place}.downsample.2.weight" in shapes
        self.net = nn.Sequential(
            batch_norm(shapes, f"{place}.net.0"), ACTIVATIONS[activation](),
            convolution(shapes, f"{place}.net.2", 2 if halves else 1),
            batch_norm(shapes, f"{place}.net.3"), ACTIVATIONS[activation](),
            convolution(shapes, f"{place}.net.5"))
        self.downsample = nn.Sequential(
            batch_norm(shapes, f"{place}.downsample.0"), ACTIVATIONS[activation](),
            convolution(shapes, f"{place}.downsample.2", 2)) if halves else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        around = x if self.downsample is None else self.downsample(x)
        return self.net(x) + around


class UvaResNet(nn.Module):
    """(N, channels, H, W) to logits (N, classes)."""

    def __init__(self, shapes: Shapes, activation: str) -> None:
        super().__init__()
        before = len(shapes["blocks.0.net.0.weight"]) == 1
        self.title = f"UvA tutorial {'pre-activation ResNet' if before else 'ResNet'}"
        first = convolution(shapes, "input_net.0")
        self.input_net = nn.Sequential(first) if before else nn.Sequential(
            first, batch_norm(shapes, "input_net.1"), ACTIVATIONS[activation]())
        kind = PreActivationBlock if before else Block
        self.blocks = nn.Sequential(*(
            kind(shapes, f"blocks.{number}", activation)
            for number in range(count(shapes, "blocks.{}.net.0.weight"))))
        self.output_net = nn.Sequential(
            nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), linear(shapes, "output_net.2"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output_net(self.blocks(self.input_net(x)))


FAMILY = tutorial_family("UvA tutorial ResNet", UvaResNet, {
    "input_net.0.weight", "blocks.0.net.0.weight", "output_net.2.weight"})
