"""SampleViT: the samples' vision transformer, after https://arxiv.org/abs/2010.11929.

A few convolutions come before the patches, as in https://arxiv.org/abs/2106.14881, without which
4,000 pictures teach a transformer little.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from core.architectures import Built, Family
from core.architectures.sample_cnn import LARGEST_WIDTH, MOST_STAGES, Stage, shapes
from core.card import Card

HEAD_WIDTH = 24  # of every attention head, so that the shapes of the weights say how many there are
LARGEST_SIZE = 1 << 26  # numbers in one tensor
MOST_BLOCKS = 48


class Attention(nn.Module):
    """Every token asks every token; `weights` gives (N, heads, tokens, tokens), rows sum to 1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.weights = nn.Softmax(dim=-1)
        self.project = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            part(x).unflatten(-1, (-1, HEAD_WIDTH)).transpose(1, 2)  # (N, heads, tokens, 24)
            for part in (self.query, self.key, self.value))
        weights = self.weights(query @ key.transpose(-2, -1) / math.sqrt(HEAD_WIDTH))
        return self.project((weights @ value).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention, then two linear layers a token; each after a norm, each added to its input."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, hidden)
        self.activation = nn.GELU()
        self.contract = nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.contract(self.activation(self.expand(self.norm2(x))))


class SampleViT(nn.Module):
    """(N, channels, side, side) to logits (N, classes).

    stem: widths of the convolutions before the patches, each of which halves the side. patch: side
    of a patch after them.
    """

    def __init__(self, channels: int, classes: int, side: int, stem: Sequence[int], patch: int,
                 width: int, depth: int, hidden: int) -> None:
        super().__init__()
        widths = (channels, *stem)
        self.stem = nn.Sequential(*(Stage(*pair, halves=True) for pair in pairwise(widths)))
        self.patches = nn.Conv2d(widths[-1], width, patch, stride=patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.zeros(1, 1 + (side // (patch << len(stem))) ** 2, width))
        self.blocks = nn.Sequential(*(Block(width, hidden) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(self.stem(x)).flatten(2).transpose(1, 2)  # (N, tokens, width)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


def build(tensors: Mapping[str, torch.Tensor], card: Card) -> Built | None:
    """The network whose names and shapes these are, or None."""
    if (sizes := _sizes(tensors)) is None:
        return None
    with torch.device("meta"):
        module = SampleViT(**sizes)
    if shapes(module.state_dict()) != shapes(tensors):
        return None
    return Built(module, card.infer(
        architecture="SampleViT", input_channels=sizes["channels"], input_height=sizes["side"],
        input_width=sizes["side"], output="logits"))


def _sizes(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any] | None:
    """SampleViT's arguments as the shapes say them, None where they cannot be its."""
    names = {"patches.weight": 4, "position": 3, "head.weight": 2, "blocks.0.expand.weight": 2}
    if any(name not in tensors or tensors[name].dim() != rank
           or tensors[name].numel() > LARGEST_SIZE for name, rank in names.items()):
        return None
    width, channels, patch, _ = tensors["patches.weight"].shape
    kernels = [tensors[name] for number in range(MOST_STAGES)
               if (name := f"stem.{number}.conv.weight") in tensors]
    if any(kernel.dim() != 4 or not 1 <= kernel.shape[0] <= LARGEST_WIDTH for kernel in kernels):
        return None
    grid = math.isqrt(tensors["position"].shape[1])  # of 1 + grid² tokens
    depth = sum(f"blocks.{number}.expand.weight" in tensors for number in range(MOST_BLOCKS))
    if not width or width % HEAD_WIDTH or not grid or not patch:
        return None
    return {"channels": kernels[0].shape[1] if kernels else channels,
            "classes": tensors["head.weight"].shape[0], "side": grid * patch << len(kernels),
            "stem": [kernel.shape[0] for kernel in kernels], "patch": patch, "width": width,
            "depth": depth, "hidden": tensors["blocks.0.expand.weight"].shape[0]}


FAMILY = Family("SampleViT", build)
