"""Swin transformers under the names of Hugging Face's transformers.

https://huggingface.co/docs/transformers/model_doc/swin
"""

import math

from torch import nn

from core.architectures import Shapes
from core.architectures.layers_from_shapes import ShapeError, count, weight
from core.architectures.transformers_family import TORCHVISIONS, Naming, Network
from core.architectures.transformers_names import Rules, set_activation, set_epsilon
from core.card import Card
from core.weight_files.meta_build import ShapesOnly

NAME = "SwinForImageClassification"
EPSILON = 1e-5
BEFORE, END = r"swin(?:v2)?\.", r"\.(weight|bias)"
LAYER = BEFORE + r"encoder\.layers\.(\d)\."
BLOCK = LAYER + r"blocks\.(\d+)\."
TABLE = r"(?:self\.)?(?:relative_position_bias\.)?"
# What the second version has, too. Layer 1 is features.3 of torchvision's, between them
# features.2; see `in_place`.
SHARED: Rules = (
    (BEFORE + r"embeddings\.patch_embeddings\.projection" + END, r"features.0.0.\1"),
    (BEFORE + r"embeddings\.norm" + END, r"features.0.2.\1"),
    (BEFORE + r"embeddings\.mask_token", ""),
    *((BLOCK + rf"attention\.(?:self\.{long}|{short}_proj)" + END,
       rf"stage.\1.\2.attn.qkv.\3|{part}")
      for part, (long, short) in enumerate((("query", "q"), ("key", "k"), ("value", "v")))),
    (BLOCK + r"attention\.(?:output\.dense|o_proj)" + END, r"stage.\1.\2.attn.proj.\3"),
    (BLOCK + r"layernorm_before" + END, r"stage.\1.\2.norm1.\3"),
    (BLOCK + r"layernorm_after" + END, r"stage.\1.\2.norm2.\3"),
    (BLOCK + r"(?:intermediate\.dense|mlp\.fc1)" + END, r"stage.\1.\2.mlp.0.\3"),
    (BLOCK + r"(?:output\.dense|mlp\.fc2)" + END, r"stage.\1.\2.mlp.3.\3"),
    (LAYER + r"downsample\.reduction\.weight", r"after.\1.reduction.weight"),
    (LAYER + r"downsample\.norm" + END, r"after.\1.norm.\2"),
    (BEFORE + r"layernorm" + END, r"norm.\1"),
    (r"classifier" + END, r"head.\1"),
)
RULES: Rules = (
    *SHARED,
    (BLOCK + rf"attention\.{TABLE}relative_position_bias_table",
     r"stage.\1.\2.attn.relative_position_bias_table"),
    (BLOCK + rf"attention\.{TABLE}relative_position_index", ""),  # torchvision computes it
)
SAID = f"{TORCHVISIONS}: query, key and value are one layer, attn.qkv."


def in_place(name: str) -> str:
    kind, _, rest = name.partition(".")
    layer, _, inside = rest.partition(".")
    after = {"stage": 1, "after": 2}.get(kind)
    return name if after is None else f"features.{2 * int(layer) + after}.{inside}"


def stages_of(shapes: Shapes) -> list[int]:
    found = [place for place in range(1, 20, 2)
             if f"features.{place}.0.attn.qkv.weight" in shapes]
    if not found:
        raise ShapeError("stages")
    return found


def _tables(shapes: Shapes) -> list[tuple[int, int]]:
    """(Places a window has, heads) of each stage."""
    tables = [shapes.get(f"features.{stage}.0.attn.relative_position_bias_table", ())
              for stage in stages_of(shapes)]
    if any(len(table) != 2 or not all(table) for table in tables):
        raise ShapeError("relative_position_bias_table")
    return [tuple(table) for table in tables]


def _window(shapes: Shapes) -> int:
    return (math.isqrt(_tables(shapes)[0][0]) + 1) // 2


def _smallest_side(shapes: Shapes) -> int:
    """Of pictures whose last stage fills a window: a smaller one makes transformers use a smaller
    window, torchvision none."""
    patch = weight(shapes, "features.0.0", 4)[-1]
    return patch * _window(shapes) * 2 ** (len(stages_of(shapes)) - 1)


def _network(shapes: Shapes, said: dict[str, str], card: Card) -> Network:
    module, channels = _module(shapes), weight(shapes, "features.0.0", 4)[1]
    for part in (module.norm, *module.features[1::2]):  # not those of the patches
        set_epsilon(part, said, EPSILON)
    set_activation(module, said, nn.GELU)
    smallest = _smallest_side(shapes)  # the usual one: 224 for windows of 7, 384 for 12
    side = card.input.height or smallest
    if side < smallest:
        raise ShapeError("side")
    return Network(module, NAME, channels, side, (SAID,))


def _module(shapes: Shapes) -> nn.Module:
    from torchvision.models import SwinTransformer  # 1 s

    out, channels, _, patch = weight(shapes, "features.0.0", 4)
    window, heads = _window(shapes), [heads for _, heads in _tables(shapes)]
    wide = weight(shapes, "features.1.0.mlp.0", 2)[0]
    with ShapesOnly():
        module = SwinTransformer(
            [patch, patch], out,
            [count(shapes, f"features.{stage}.{{}}.attn.qkv.weight")
             for stage in stages_of(shapes)],
            heads, [window, window], wide / out, num_classes=weight(shapes, "head", 2)[0])
        module.features[0][0] = nn.Conv2d(channels, out, patch, patch)
    return module


FAMILY = Naming(
    "transformers Swin", (NAME,), ("swin.embeddings.patch_embeddings.projection.weight",), RULES,
    _network, in_place).family()
