"""GoogleNet of the UvA deep-learning course, tutorial 5, after https://arxiv.org/abs/1409.4842."""

import torch
from torch import nn

from core.architectures import Shapes
from core.architectures.activation_names import ACTIVATIONS
from core.architectures.layers_from_shapes import batch_norm, convolution, linear
from core.architectures.uva_tutorial import tutorial_family

MOST_BLOCKS = 200


class InceptionBlock(nn.Module):
    """Four ways side by side, of kernels 1, 3 and 5 and of max-pooling; their channels are put
    together."""

    def __init__(self, shapes: Shapes, place: str, activation: str) -> None:
        super().__init__()

        def layers(way: str, first: int) -> list[nn.Module]:
            name = f"{place}.{way}"
            return [convolution(shapes, f"{name}.{first}"),
                    batch_norm(shapes, f"{name}.{first + 1}"), ACTIVATIONS[activation]()]

        self.conv_1x1 = nn.Sequential(*layers("conv_1x1", 0))
        self.conv_3x3 = nn.Sequential(*layers("conv_3x3", 0), *layers("conv_3x3", 3))
        self.conv_5x5 = nn.Sequential(*layers("conv_5x5", 0), *layers("conv_5x5", 3))
        self.max_pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), *layers("max_pool", 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ways = (self.conv_1x1, self.conv_3x3, self.conv_5x5, self.max_pool)
        return torch.cat([way(x) for way in ways], dim=1)


class UvaGoogleNet(nn.Module):
    """(N, channels, H, W) to logits (N, classes)."""

    title = "UvA tutorial GoogleNet"

    def __init__(self, shapes: Shapes, activation: str) -> None:
        super().__init__()
        self.input_net = nn.Sequential(
            convolution(shapes, "input_net.0"), batch_norm(shapes, "input_net.1"),
            ACTIVATIONS[activation]())
        known = [number for number in range(MOST_BLOCKS)
                 if f"inception_blocks.{number}.conv_1x1.0.weight" in shapes]
        self.inception_blocks = nn.Sequential(*(
            InceptionBlock(shapes, f"inception_blocks.{number}", activation)
            if number in known else nn.MaxPool2d(3, stride=2, padding=1)  # has no weights
            for number in range(max(known) + 1)))
        self.output_net = nn.Sequential(
            nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), linear(shapes, "output_net.2"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output_net(self.inception_blocks(self.input_net(x)))


FAMILY = tutorial_family("UvA tutorial GoogleNet", UvaGoogleNet, {
    "input_net.0.weight", "inception_blocks.0.conv_1x1.0.weight"})
