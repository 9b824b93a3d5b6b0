"""The layers of a vision transformer under timm's names, on the meta device from shapes."""

import torch
from torch import nn
from torch.nn import functional

from core.architectures import Shapes
from core.architectures.layers_from_shapes import ShapeError, convolution, linear, weight


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
        seen = functional.scaled_dot_product_attention(
            *parts.unbind(0), attn_mask=self.nearness())  # (N, heads, tokens, w)
        return self.proj(seen.transpose(1, 2).flatten(2))

    def nearness(self) -> torch.Tensor | None:
        """What is added to scores, (heads, tokens, tokens): nothing here."""
        return None


class Scale(nn.Module):
    """A learned factor a number, `gamma`."""

    def __init__(self, shapes: Shapes, place: str) -> None:
        super().__init__()
        self.gamma = parameter(shapes, f"{place}.gamma")

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
        self.norm1, self.norm2 = norm(shapes, f"{place}.norm1"), norm(shapes, f"{place}.norm2")
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


def norm(shapes: Shapes, name: str) -> nn.LayerNorm:
    (width,) = weight(shapes, name, 1)
    return nn.LayerNorm(width, eps=1e-6, device="meta")


def parameter(shapes: Shapes, name: str) -> nn.Parameter:
    if not shapes.get(name):
        raise ShapeError(name)
    return nn.Parameter(torch.empty(shapes[name], device="meta"))
