"""SampleCNN: the samples' convolutional network, stages of convolution, norm and ReLU."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from core.architectures import Built, Family
from core.card import Card

LARGEST_WIDTH = 4096
MOST_STAGES = 12


class Stage(nn.Module):
    """3 × 3 convolution, batch norm and ReLU; all stages but the last halve height and width."""

    def __init__(self, channels_in: int, channels_out: int, halves: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)
        self.activation = nn.ReLU()
        self.shrink = nn.MaxPool2d(2) if halves else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shrink(self.activation(self.norm(self.conv(x))))


class SampleCNN(nn.Module):
    """(N, channels, H, W) to logits (N, classes); H and W at least 2 ** (stages - 1)."""

    def __init__(self, channels: int, classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.stages = len(widths)
        for number, (wide_in, wide_out) in enumerate(
                zip((channels, *widths[:-1]), widths, strict=True), start=1):
            self.add_module(f"stage{number}", Stage(wide_in, wide_out, number < self.stages))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for number in range(1, self.stages + 1):
            x = getattr(self, f"stage{number}")(x)
        return self.head(self.flatten(self.pool(x)))  # (N, widths[-1]) to (N, classes)


def build(tensors: Mapping[str, torch.Tensor], card: Card) -> Built | None:
    """The network whose names and shapes these are, or None."""
    widths = []
    while (kernel := tensors.get(f"stage{len(widths) + 1}.conv.weight")) is not None:
        if kernel.dim() != 4 or not 1 <= kernel.shape[0] <= LARGEST_WIDTH:
            return None
        widths.append(kernel.shape[0])
    head = tensors.get("head.weight")
    if not 1 <= len(widths) <= MOST_STAGES or head is None or head.dim() != 2:
        return None
    channels, classes = tensors["stage1.conv.weight"].shape[1], head.shape[0]
    with torch.device("meta"):
        module = SampleCNN(channels, classes, widths)
    if shapes(module.state_dict()) != shapes(tensors):
        return None
    return Built(module, card.infer(architecture="SampleCNN", input_channels=channels,
                                    output="logits"))


def shapes(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


FAMILY = Family("SampleCNN", build)
