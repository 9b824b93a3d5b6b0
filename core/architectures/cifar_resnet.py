"""ResNets for small pictures: a 3 × 3 start, stages `layer1` to `layerN`, global pooling, Linear.

Section 4.2 of https://arxiv.org/abs/1512.03385, as in pytorch_resnet_cifar10 (three stages, option
A: a shortcut without weights) and pytorch-cifar (four stages, option B: 1 × 1 convolutions).
"""

import math
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from core.architectures import Built, Family, Shapes, Tensors
from core.architectures.cifar_family import SIDE, built, made
from core.architectures.layers_from_shapes import (
    LikeNeighbours,
    ShapeError,
    batch_norm,
    convolution,
    count,
    linear,
    shapes_of,
    weight,
)
from core.card import Card

STAGES = range(2, 7)
POOLED = 4  # side of what pytorch-cifar's last pooling takes the mean of
USUAL_WIDTHS = ([16, 32, 64], [64, 128, 256, 512])


class PaddedShortcut(nn.Module):
    """Option A: every stride-th pixel, and as many channels of zeros before as after."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.before, self.stride = channels // 2, stride
        self.after = channels - self.before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(seen, (0, 0, 0, 0, self.before, self.after))


class Block(nn.Module):
    """Two 3 × 3 convolutions, or 1 × 1, 3 × 3 and 1 × 1, each with its norm, and a shortcut."""

    def __init__(self, shapes: Shapes, place: str, width: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.depth = 3 if f"{place}.conv3.weight" in shapes else 2
        self.shortcut_name, out = shortcut, width
        for number in range(1, self.depth + 1):
            name = f"{place}.conv{number}"
            groups = out // weight(shapes, name, 4)[1]
            made = convolution(shapes, name, stride if number == self.depth - 1 else 1,
                               groups=groups)
            self.add_module(f"conv{number}", made)
            self.add_module(f"bn{number}", batch_norm(shapes, f"{place}.bn{number}"))
            out = made.out_channels
        self.relu, self.width = nn.ReLU(), out
        self.add_module(shortcut, _shortcut(shapes, f"{place}.{shortcut}", width, out, stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        around = getattr(self, self.shortcut_name)(x)
        for number in range(1, self.depth):
            x = self.relu(getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x)))
        last = getattr(self, f"bn{self.depth}")(getattr(self, f"conv{self.depth}")(x))
        return self.relu(last + around)


class CifarResNet(nn.Module):
    """(N, channels, H, W) to logits (N, classes).

    side: of the pictures; None where the last pooling takes the mean of any size.
    """

    def __init__(self, shapes: Shapes, head: str, shortcut: str) -> None:
        super().__init__()
        self.conv1 = convolution(shapes, "conv1")
        self.bn1, self.relu = batch_norm(shapes, "bn1"), nn.ReLU()
        width, self.stages, self.head_name = self.conv1.out_channels, 0, head
        while f"layer{self.stages + 1}.0.conv1.weight" in shapes:
            self.stages += 1
            stage = _stage(shapes, self.stages, width, shortcut)
            self.add_module(f"layer{self.stages}", stage)
            width = stage[-1].width
        features = weight(shapes, head, 2)[1]
        self.side = None if features == width else side_of(features, width, self.stages)
        self.pool = nn.AvgPool2d(POOLED) if self.side else nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.add_module(head, linear(shapes, head))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        for number in range(1, self.stages + 1):
            x = getattr(self, f"layer{number}")(x)
        return getattr(self, self.head_name)(self.flatten(self.pool(x)))


def _stage(shapes: Shapes, number: int, width: int, shortcut: str) -> nn.Sequential:
    """One stage's blocks; all stages but the first halve height and width in their first block."""
    blocks = nn.Sequential()
    for block in range(count(shapes, f"layer{number}.{{}}.conv1.weight")):
        stride = 2 if number > 1 and block == 0 else 1
        blocks.append(Block(shapes, f"layer{number}.{block}", width, stride, shortcut))
        width = blocks[-1].width
    return blocks


def _shortcut(shapes: Shapes, place: str, width: int, out: int, stride: int) -> nn.Module:
    if f"{place}.0.weight" in shapes:
        return nn.Sequential(convolution(shapes, f"{place}.0", stride),
                             batch_norm(shapes, f"{place}.1"))
    if out < width:
        raise ShapeError(place)
    return PaddedShortcut(out - width, stride) if stride > 1 or out > width else nn.Identity()


def side_of(features: int, width: int, stages: int) -> int:
    """Of the pictures, where the Linear sees more than one place of the last pooling."""
    places = math.isqrt(features // width)
    if not places or places * places * width != features:
        raise ShapeError("head")
    return places * POOLED << (stages - 1)


def build(tensors: Tensors, card: Card) -> Built | None:
    """The network whose names and shapes these are, or None."""
    shapes = shapes_of(tensors)
    module = _network(shapes)
    if module is None:
        return None
    return built(module, shapes, card, _title(module, shapes), module.side or SIDE)


def near(shapes: Shapes, card: Card) -> Iterator[tuple[str, Shapes]]:
    """The network that most of the tensors belong to, its other shapes as in the blocks beside."""
    module = _network(LikeNeighbours(shapes))
    if module is not None:
        yield _title(module, shapes), shapes_of(module.state_dict())


def _network(shapes: Shapes) -> CifarResNet | None:
    if len(kernel := shapes.get("conv1.weight", ())) != 4 or kernel[2:] != (3, 3) \
            or "layer2.0.conv1.weight" not in shapes:
        return None
    head = "linear" if "linear.weight" in shapes else "fc"
    shortcut = "downsample" if any(".downsample." in name for name in shapes) else "shortcut"
    module = made(CifarResNet, shapes, head, shortcut)
    return module if module and module.stages in STAGES else None


def _title(module: CifarResNet, shapes: Shapes) -> str:
    stages = [getattr(module, f"layer{number}") for number in range(1, module.stages + 1)]
    layers = 2 + sum(block.depth for stage in stages for block in stage)
    option = "B" if any(".shortcut.0." in name or ".downsample.0." in name for name in shapes) \
        else "A"
    widths = [stage[0].bn1.num_features for stage in stages]
    said = "" if widths in USUAL_WIDTHS else f", widths {'-'.join(map(str, widths))}"
    return f"CIFAR ResNet-{layers} (option {option}{said})"


FAMILY = Family("CIFAR ResNet", build, near=near, steps_aside=1)
