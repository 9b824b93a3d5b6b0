"""Layers on the meta device from the shapes of their tensors: what families build with."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from core.architectures import Shapes

LARGEST_SIZE = 1 << 32  # numbers in one weight


class ShapeError(Exception):
    """These tensors are not this family's. Never leaves a family's `build`."""


class LikeNeighbours(dict):
    """Shapes among which one that is missing is taken to be that of the same layer in a block
    beside it: what `get` gives is then a guess, which only a near miss may rest on."""

    def get(self, name: str, default: Any = None) -> Any:
        if name in self:
            return self[name]
        parts = re.split(r"(?<=\.)(\d+)(?=\.)", name)
        for place in range(1, len(parts), 2):  # outer blocks first: those inside differ in kind
            for step in (-1, 1, -2, 2):  # 2: across a block without weights
                number = str(int(parts[place]) + step)
                beside = "".join([*parts[:place], number, *parts[place + 1:]])
                if beside in self:
                    return self[beside]
        return default


def shapes_of(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def weight(shapes: Shapes, name: str, rank: int) -> torch.Size:
    """A weight's shape. Raises ShapeError where it is missing, empty or of another rank."""
    size = shapes.get(f"{name}.weight")
    if size is None or len(size) != rank or not 0 < size.numel() <= LARGEST_SIZE:
        raise ShapeError(name)
    return size


def convolution(shapes: Shapes, name: str, stride: int = 1, padding: int | None = None,
                groups: int = 1) -> nn.Conv2d:
    """Conv2d; where no padding is given, the one that keeps height and width."""
    out, inside, height, width = weight(shapes, name, 4)
    if groups < 1 or out % groups:
        raise ShapeError(name)
    keeping = ((height - 1) // 2, (width - 1) // 2)
    return nn.Conv2d(inside * groups, out, (height, width), stride,
                     keeping if padding is None else padding, groups=groups,
                     bias=f"{name}.bias" in shapes, device="meta")


def linear(shapes: Shapes, name: str) -> nn.Linear:
    out, inside = weight(shapes, name, 2)
    return nn.Linear(inside, out, bias=f"{name}.bias" in shapes, device="meta")


def batch_norm(shapes: Shapes, name: str) -> nn.BatchNorm2d:
    (width,) = weight(shapes, name, 1)
    return nn.BatchNorm2d(width, device="meta")


def count(shapes: Shapes, pattern: str, first: int = 0) -> int:
    """How many of the names pattern.format(first), … there are without a gap."""
    found = 0
    while pattern.format(first + found) in shapes:
        found += 1
    return found


def same_shapes(module: nn.Module, shapes: Shapes) -> bool:
    return shapes_of(module.state_dict()) == dict(shapes)


def runs(module: nn.Module, channels: int, side: int) -> bool:
    """Whether layers on the meta device fit each other: one picture without numbers tells.
    Tables that the module computed itself are on that device meanwhile."""
    tables = {name: table.to("meta") for name, table in module.named_buffers()}
    try:
        with torch.no_grad():
            functional_call(module.eval(), tables,
                            torch.zeros(1, channels, side, side, device="meta"))
    except RuntimeError:
        return False
    return True
