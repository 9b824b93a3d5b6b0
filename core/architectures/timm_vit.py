"""Vision transformers of any size under timm's names, https://arxiv.org/abs/2010.11929.

timm, DeiT, DINO, DINOv2 and MAE save them so: `patch_embed.proj`, `blocks.0.attn.qkv`, `norm`,
`head`.
"""

import math
import re
from collections.abc import Iterator

import torch
from torch import nn

from core.architectures import Built, Shapes, Tensors
from core.architectures.layers_from_shapes import ShapeError, count, linear, runs, same_shapes
from core.architectures.vit_layers import Block, PatchEmbed, norm, parameter
from core.card import Card

TOKENS, REGISTERS = ("cls_token", "dist_token"), ("register_tokens", "reg_token")
MASK = "mask_token"  # in place of patches that training hides
HEAD_WIDTH = 64  # of an attention head in most published sizes
FEWEST_WIDE = 16  # numbers that one attention head sees
GUESSED = ("Taken for {}; the tensors do not say how many attention heads there are: {}. Name "
           'another in the card\'s architecture, such as "{}".')
UNUSED = f"Not used: {MASK}, which stands for patches that training hides."


class VisionTransformer(nn.Module):
    """(N, channels, side, side) to logits (N, classes): from the class token, or where there is
    none, or a norm after it (`fc_norm`), from the mean of the patches, or from both beside each
    other where the head is as wide; with a head of its own for the token that a teacher taught
    (`head_dist`), the mean of both heads, as DeiT has it.

    Positions may be those of the patches alone; registers, tokens without a place, have none.
    """

    def __init__(self, shapes: Shapes, heads: int) -> None:
        super().__init__()
        self.patch_embed, self.heads = PatchEmbed(shapes), heads
        self.token_names = [name for name in TOKENS if name in shapes]
        self.register_names = [name for name in REGISTERS if name in shapes]
        for name in (*self.token_names, *self.register_names, "pos_embed"):
            self.register_parameter(name, parameter(shapes, name))
            if len(shapes[name]) != 3 or shapes[name][:1 + (name in TOKENS)].numel() != 1:
                raise ShapeError(name)
        self.blocks = nn.Sequential(*(
            Block(shapes, f"blocks.{number}", heads)
            for number in range(count(shapes, "blocks.{}.attn.qkv.weight"))))
        self.norm = norm(shapes, "norm") if "norm.weight" in shapes else nn.Identity()
        averaged, has_token = "fc_norm.weight" in shapes, "cls_token" in shapes
        self.fc_norm = norm(shapes, "fc_norm") if averaged else nn.Identity()
        self.averages = averaged or not has_token
        self.head = linear(shapes, "head")
        self.joins = has_token and self.head.in_features == 2 * self.pos_embed.shape[-1]
        taught = "dist_token" in shapes
        self.head_dist = linear(shapes, "head_dist") if "head_dist.weight" in shapes else None
        self.grid = math.isqrt(self.pos_embed.shape[1])
        self.placed = self.pos_embed.shape[1] - self.grid**2  # tokens that have a position
        if self.placed not in (0, len(self.token_names)) or (taught and not has_token) \
                or (self.head_dist and not taught):
            raise ShapeError("pos_embed")
        self.side = self.grid * self.patch_embed.proj.kernel_size[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = [getattr(self, name) for name in self.token_names]
        if self.placed:
            tokens = [token + self.pos_embed[:, place:place + 1]
                      for place, token in enumerate(tokens)]
        tokens += [getattr(self, name) for name in self.register_names]
        x = self.patch_embed(x) + self.pos_embed[:, self.placed:]
        x = torch.cat([*(token.expand(len(x), -1, -1) for token in tokens), x], dim=1)
        x = self.norm(self.blocks(x))
        mean = x[:, sum(token.shape[1] for token in tokens):].mean(1)
        seen = torch.cat([x[:, 0], mean], 1) if self.joins else mean if self.averages else x[:, 0]
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
    width, hidden = _width(shapes), MASK in shapes
    if heads < 1 or width % heads:
        return None
    shapes = {name: size for name, size in shapes.items() if name != MASK}
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
    notes = (() if named else (GUESSED.format(title, how, other),)) + ((UNUSED,) if hidden else ())
    return Built(module, known, notes, named, _without_mask if hidden else None)


def _without_mask(tensors: Tensors) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name != MASK}


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
