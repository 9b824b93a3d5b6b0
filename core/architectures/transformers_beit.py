"""BEiT under the names of Hugging Face's transformers.

https://huggingface.co/docs/transformers/model_doc/beit
"""

import math

import torch
from torch import nn

from core.architectures import Shapes
from core.architectures.layers_from_shapes import ShapeError, count, linear
from core.architectures.transformers_family import Naming, Network
from core.architectures.transformers_names import Rules, set_activation, set_epsilon
from core.architectures.transformers_tokens import (
    END,
    GUESSED,
    LAYERS,
    SAID,
    block_rules,
    shared_rules,
    stated_heads,
)
from core.architectures.vit_layers import Attention, Block, PatchEmbed, norm, parameter
from core.card import Card

NAME, EPSILON, SIDE, LARGEST_GRID = "BeitForImageClassification", 1e-12, 224, 48
BEFORE, TABLE = r"beit\.", "attn.relative_position_bias_table"
BLOCK = BEFORE + LAYERS
WHERE = r"(?:attention\.attention\.)?relative_position_bias\."
RULES: Rules = (
    *shared_rules(BEFORE, BLOCK),
    *block_rules(BLOCK),
    (BLOCK + r"lambda_([12])", r"blocks.\1.ls\2.gamma"),
    (BLOCK + WHERE + "relative_position_bias_table", rf"blocks.\1.{TABLE}"),
    (BLOCK + WHERE + "relative_position_index", ""),  # computed here
    (BEFORE + r"pooler\.layernorm" + END, r"fc_norm.\1"),
)


class NearAttention(Attention):
    """Every token asks every token, rather those that a learned table says by their distance."""

    def __init__(self, shapes: Shapes, place: str, heads: int, distances: torch.Tensor) -> None:
        super().__init__(shapes, place, heads)
        self.relative_position_bias_table = parameter(
            shapes, f"{place}.relative_position_bias_table")
        self.register_buffer("distances", distances, persistent=False)

    def nearness(self) -> torch.Tensor:
        return self.relative_position_bias_table[self.distances].permute(2, 0, 1)


class Beit(nn.Module):
    """(N, channels, side, side) to logits (N, classes): from the mean of the patches where a norm
    comes after it, else from the class token."""

    def __init__(self, shapes: Shapes, heads: int, grid: int) -> None:
        super().__init__()
        self.patch_embed, self.cls_token = PatchEmbed(shapes), parameter(shapes, "cls_token")
        self.pos_embed = parameter(shapes, "pos_embed") if "pos_embed" in shapes else None
        self.blocks = nn.Sequential(*(
            Block(shapes, f"blocks.{number}", heads)
            for number in range(count(shapes, "blocks.{}.attn.qkv.weight"))))
        distances = _distances(grid)
        if f"blocks.0.{TABLE}" in shapes:
            for number, block in enumerate(self.blocks):
                block.attn = NearAttention(shapes, f"blocks.{number}.attn", heads, distances)
        self.averages = "fc_norm.weight" in shapes
        self.norm = nn.Identity() if self.averages else norm(shapes, "norm")
        self.fc_norm = norm(shapes, "fc_norm") if self.averages else nn.Identity()
        self.head = linear(shapes, "head")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), self.patch_embed(x)], 1)
        x = self.norm(self.blocks(x if self.pos_embed is None else x + self.pos_embed))
        return self.head(self.fc_norm(x[:, 1:].mean(1) if self.averages else x[:, 0]))


def _distances(grid: int) -> torch.Tensor:
    """(tokens, tokens) rows of a table: of how far patches are apart down and across, then of the
    class token that asks, that is asked, and that asks itself."""
    places, wide = torch.arange(grid), 2 * grid - 1
    apart = places[:, None] - places + grid - 1
    found = torch.full((grid**2 + 1, grid**2 + 1), wide**2)
    found[:, 0], found[0, 0] = wide**2 + 1, wide**2 + 2
    found[1:, 1:] = (apart[:, None, :, None] * wide + apart[:, None]).reshape(grid**2, grid**2)
    return found


def _network(shapes: Shapes, said: dict[str, str], card: Card) -> Network:
    patches, table = shapes.get("patch_embed.proj.weight"), shapes.get(f"blocks.0.{TABLE}", ())
    if not patches or not patches[-1] or len(table) not in (0, 2):
        raise ShapeError("patches or table")
    stated = "num_attention_heads" in said or bool(table)
    heads = table[1] if table else stated_heads(said, patches[0])
    grid = (math.isqrt(max(table[0] - 3, 0)) + 1) // 2 if table else \
        math.isqrt(shapes["pos_embed"][1]) if len(shapes.get("pos_embed", ())) == 3 else \
        (card.input.height or SIDE) // patches[-1]
    if not 0 < grid <= LARGEST_GRID or not heads or patches[0] % heads:
        raise ShapeError("grid or heads")
    module = Beit(shapes, heads, grid)
    set_epsilon(module, said, EPSILON)
    set_activation(module, said, nn.GELU)
    title = f"{NAME} (num_attention_heads {heads})"
    return Network(module, title, patches[1], grid * patches[-1],
                   (SAID,) if stated else (SAID, GUESSED.format(heads, title)), stated)


FAMILY = Naming(
    "transformers BEiT", (NAME,), ("beit.embeddings.cls_token",), RULES, _network,
    key_bias=False).family()
