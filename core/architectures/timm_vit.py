"""Vision transformers of any size under timm's names, https://arxiv.org/abs/2010.11929.

timm, DeiT, DINO and MAE save them so: `patch_embed.proj`, `blocks.0.attn.qkv`, `norm`, `head`.
"""

import math
import re
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from core.architectures import Built, Shapes
from core.architectures.layers_from_shapes import (
    ShapeError,
    convolution,
    count,
    linear,
    runs,
    same_shapes,
    weight,
)
from core.card import Card

HEAD_WIDTH = 64  # of an attention head in most published sizes
FEWEST_WIDE = 16  # numbers that one attention head sees
GUESSED = ("Taken for {}; the tensors do not say how many attention heads there are: {}. Name "
           'another in the card\'s architecture, such as "{}".')


class Attention(nn.Module):
    """Every token asks every token."""

    def __init__(self, shapes: Shapes, place: str, heads: int) -> None:
        super().__init__()
        self.qkv, self.heads = linear(shapes, f"{place}.qkv"), heads
        self.proj = linear(shapes, f"{place}.proj")
        if self.qkv.out_features != 3 * self.qkv.in_features:
            raise ShapeError(place)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(*parts.unbind(0))  # (N, heads, tokens, w)
        return self.proj(seen.transpose(1, 2).flatten(2))


class Scale(nn.Module):
    """A learned factor a number, `gamma`."""

    def __init__(self, shapes: Shapes, place: str) -> None:
        super().__init__()
        self.gamma = _parameter(shapes, f"{place}.gamma")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gamma


class Mlp(nn.Module):
    """Two linear layers a token."""

    def __init__(self, shapes: Shapes, place: str) -> None:
        super().__init__()
        self.fc1, self.act = linear(shapes, f"{place}.fc1"), nn.GELU()
        self.fc2 = linear(shapes, f"{place}.fc2")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    """Attention, then two linear layers a token; each after a norm, each added to its input."""

    def __init__(self, shapes: Shapes, place: str, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(shapes, f"{place}.norm1"), _norm(shapes, f"{place}.norm2")
        self.attn = Attention(shapes, f"{place}.attn", heads)
        self.mlp = Mlp(shapes, f"{place}.mlp")
        kind = Scale if f"{place}.ls1.gamma" in shapes else nn.Identity
        self.ls1, self.ls2 = kind(shapes, f"{place}.ls1"), kind(shapes, f"{place}.ls2")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    """(N, channels, side, side) to tokens (N, tokens, width)."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        patch = weight(shapes, "patch_embed.proj", 4)[-1]
        self.proj = convolution(shapes, "patch_embed.proj", patch, padding=0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    """(N, channels, side, side) to logits (N, classes): from the class token, or where there is
    none, or a norm after it (`fc_norm`), from the mean of the patches; with a head of its own for
    the token that a teacher taught (`head_dist`), the mean of both, as DeiT has it."""

    def __init__(self, shapes: Shapes, heads: int) -> None:
        super().__init__()
        self.patch_embed, self.heads = PatchEmbed(shapes), heads
        has_token, taught = "cls_token" in shapes, "dist_token" in shapes
        self.cls_token = _parameter(shapes, "cls_token") if has_token else None
        self.dist_token = _parameter(shapes, "dist_token") if taught else None
        self.pos_embed = _parameter(shapes, "pos_embed")
        self.blocks = nn.Sequential(*(
            Block(shapes, f"blocks.{number}", heads)
            for number in range(count(shapes, "blocks.{}.attn.qkv.weight"))))
        self.norm = _norm(shapes, "norm") if "norm.weight" in shapes else nn.Identity()
        averaged = "fc_norm.weight" in shapes
        self.fc_norm = _norm(shapes, "fc_norm") if averaged else nn.Identity()
        self.averages = averaged or not has_token
        self.head = linear(shapes, "head")
        self.head_dist = linear(shapes, "head_dist") if "head_dist.weight" in shapes else None
        self.grid = math.isqrt(self.pos_embed.shape[1])
        if self.pos_embed.shape[1] != self.grid**2 + has_token + taught or \
                (taught and not has_token) or (self.head_dist and not taught):
            raise ShapeError("pos_embed")
        self.side = self.grid * self.patch_embed.proj.kernel_size[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch_embed(x)
        tokens = [token for token in (self.cls_token, self.dist_token) if token is not None]
        x = torch.cat([*(token.expand(len(x), -1, -1) for token in tokens), x], dim=1)
        x = self.norm(self.blocks(x + self.pos_embed))
        seen = x[:, len(tokens):].mean(1) if self.averages else x[:, 0]
        logits = self.head(self.fc_norm(seen))
        return logits if self.head_dist is None else (logits + self.head_dist(x[:, 1])) / 2


def build(shapes: Shapes, card: Card) -> Built | None:
    """The transformer whose names and shapes these are, or None."""
    if (width := _width(shapes)) is None:
        return None
    said = re.search(r"^ViT-.* \((\d+) heads\)$", card.architecture or "")
    heads = int(said[1]) if said else likely_heads(width)[0]
    return _built(shapes, card, heads)


def proposals(shapes: Shapes, card: Card) -> Iterator[Built]:
    """One a number of heads that divides the width, the likeliest first."""
    for heads in likely_heads(_width(shapes) or 0):
        if built := _built(shapes, card, heads):
            yield built


def _built(shapes: Shapes, card: Card, heads: int) -> Built | None:
    width = _width(shapes)
    if heads < 1 or width % heads:
        return None
    try:
        module = VisionTransformer(shapes, heads)
    except ShapeError:
        return None
    channels, side = module.patch_embed.proj.in_channels, module.side
    if not same_shapes(module, shapes) or not runs(module, channels, side):
        return None
    patch = module.patch_embed.proj.kernel_size[0]
    kind = f"ViT-{len(module.blocks)}/{patch}, width {width}"
    title, other = f"{kind} ({heads} heads)", f"{kind} ({max(2, heads // 2)} heads)"
    known = card.infer(architecture=title, input_channels=channels, input_height=side,
                       input_width=side, output="logits")
    named = card.architecture == title
    how = f"{width} ÷ {width // heads} = {heads} is taken"
    return Built(module, known, () if named else (GUESSED.format(title, how, other),), exact=named)


def _width(shapes: Shapes) -> int | None:
    """None where the tensors are no such transformer's."""
    patches, positions = shapes.get("patch_embed.proj.weight"), shapes.get("pos_embed")
    if not patches or not positions or len(patches) != 4 or len(positions) != 3 \
            or not patches[0] or not patches[-1] or patches[-1] != patches[-2] \
            or "blocks.0.attn.qkv.weight" not in shapes:
        return None
    return patches[0]


def likely_heads(width: int) -> list[int]:
    """Those of the usual width first, then those nearest to it."""
    known = [heads for heads in range(1, width // FEWEST_WIDE + 1) if width % heads == 0] or [1]
    return sorted(known, key=lambda heads: abs(math.log(width / heads / HEAD_WIDTH)))[:6]


def _norm(shapes: Shapes, name: str) -> nn.LayerNorm:
    (width,) = weight(shapes, name, 1)
    return nn.LayerNorm(width, eps=1e-6, device="meta")


def _parameter(shapes: Shapes, name: str) -> nn.Parameter:
    if not shapes.get(name):
        raise ShapeError(name)
    return nn.Parameter(torch.empty(shapes[name], device="meta"))
