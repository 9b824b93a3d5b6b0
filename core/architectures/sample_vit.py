"""SampleViT: the samples' vision transformer, after https://arxiv.org/abs/2010.11929."""

import math
from collections.abc import Mapping

import torch
from torch import nn

from core.architectures import Built, Family
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
    """Attention, then two linear layers at each token; each after a norm, each added to its input."""

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
    """(N, channels, side, side) to logits (N, classes)."""

    def __init__(self, channels: int, classes: int, side: int, patch: int, width: int,
                 depth: int, hidden: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(channels, width, patch, stride=patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.zeros(1, 1 + (side // patch) ** 2, width))
        self.blocks = nn.Sequential(*(Block(width, hidden) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)  # (N, tokens, width)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


def build(tensors: Mapping[str, torch.Tensor], card: Card) -> Built | None:
    """The network whose names and shapes these are, or None."""
    if (sizes := _sizes(tensors)) is None:
        return None
    with torch.device("meta"):
        module = SampleViT(**sizes)
    if {n: t.shape for n, t in module.state_dict().items()} != {n: t.shape for n, t in tensors.items()}:
        return None
    return Built(module, card.infer(
        architecture="SampleViT", input_channels=sizes["channels"], input_height=sizes["side"],
        input_width=sizes["side"], output="logits"))


def _sizes(tensors: Mapping[str, torch.Tensor]) -> dict[str, int] | None:
    """SampleViT's arguments as the shapes say them, None where they cannot be its."""
    names = {"patches.weight": 4, "position": 3, "head.weight": 2, "blocks.0.expand.weight": 2}
    if any(name not in tensors or tensors[name].dim() != rank or tensors[name].numel() > LARGEST_SIZE
           for name, rank in names.items()):
        return None
    width, channels, patch, _ = tensors["patches.weight"].shape
    grid = math.isqrt(tensors["position"].shape[1])  # tokens but the first, and the root rounds down
    depth = sum(f"blocks.{number}.expand.weight" in tensors for number in range(MOST_BLOCKS))
    if not width or width % HEAD_WIDTH or not grid or not patch:
        return None
    return {"channels": channels, "classes": tensors["head.weight"].shape[0], "side": grid * patch,
            "patch": patch, "width": width, "depth": depth,
            "hidden": tensors["blocks.0.expand.weight"].shape[0]}


FAMILY = Family("SampleViT", build)
