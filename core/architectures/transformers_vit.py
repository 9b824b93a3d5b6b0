"""Vision transformers under the names of Hugging Face's transformers: ViT and DeiT.

https://huggingface.co/docs/transformers/model_doc/vit
"""

from torch import nn

from core.architectures import Built, Family, Tensors
from core.architectures.layers_from_shapes import ShapeError, runs, shapes_of
from core.architectures.timm_vit import VisionTransformer, likely_heads
from core.architectures.transformers_names import (
    Rules,
    fits,
    joined_shapes,
    placed,
    set_activation,
    set_epsilon,
    weights_of,
)
from core.card import Card
from core.cards.transformers_config import settings_of

NAMES = ("ViTForImageClassification", "DeiTForImageClassification",
         "DeiTForImageClassificationWithTeacher")
BEFORE, END = r"(?:vit|deit)\.", r"\.(weight|bias)"
BLOCK = BEFORE + r"(?:encoder\.layer|layers)\.(\d+)\."  # the second since version 5
RULES: Rules = (
    (BEFORE + r"embeddings\.cls_token", "cls_token"),
    (BEFORE + r"embeddings\.distillation_token", "dist_token"),
    (BEFORE + r"embeddings\.mask_token", ""),
    (BEFORE + r"embeddings\.position_embeddings", "pos_embed"),
    (BEFORE + r"embeddings\.patch_embeddings\.projection" + END, r"patch_embed.proj.\1"),
    *((BLOCK + rf"attention\.(?:attention\.{long}|{short}_proj)" + END,
       rf"blocks.\1.attn.qkv.\2|{part}")
      for part, (long, short) in enumerate((("query", "q"), ("key", "k"), ("value", "v")))),
    (BLOCK + r"attention\.(?:output\.dense|o_proj)" + END, r"blocks.\1.attn.proj.\2"),
    (BLOCK + r"(?:intermediate\.dense|mlp\.fc1)" + END, r"blocks.\1.mlp.fc1.\2"),
    (BLOCK + r"(?:output\.dense|mlp\.fc2)" + END, r"blocks.\1.mlp.fc2.\2"),
    (BLOCK + r"layernorm_before" + END, r"blocks.\1.norm1.\2"),
    (BLOCK + r"layernorm_after" + END, r"blocks.\1.norm2.\2"),
    (BEFORE + r"layernorm" + END, r"norm.\1"),
    (BEFORE + r"pooler\.dense" + END, ""),  # which classifying does not use
    (r"(?:cls_)?classifier" + END, r"head.\1"),
    (r"distillation_classifier" + END, r"head_dist.\1"),
)
EPSILON = 1e-12
SAID = ("The tensors have the names of Hugging Face's transformers; layers are shown under timm's, "
        "which ours has: query, key and value of a block are one layer, attn.qkv.")
GUESSED = ("The tensors do not say how many attention heads there are; {} are taken. Put the "
           "config.json beside the file, or name the number in the card's architecture: "
           '"{}".')


def build(tensors: Tensors, card: Card) -> Built | None:
    """The transformer whose names and shapes these are, or None."""
    if not any(f"{kind}.embeddings.cls_token" in tensors for kind in ("vit", "deit")):
        return None
    try:
        return _built(tensors, card)
    except ShapeError:
        return None


def _built(tensors: Tensors, card: Card) -> Built | None:
    places = placed(tensors, RULES)
    shapes = joined_shapes(shapes_of(tensors), places)
    said = settings_of(card.architecture, NAMES)
    heads = _heads(said, (shapes.get("cls_token") or (0,))[-1])
    module = VisionTransformer(shapes, heads)
    set_epsilon(module, said, EPSILON)
    set_activation(module, said, nn.GELU)
    channels, side = module.patch_embed.proj.in_channels, module.side
    if not fits(module, shapes) or not runs(module, channels, side):
        return None
    stated = "num_attention_heads" in said
    title = f"{_kind(tensors)} (num_attention_heads {heads})"
    known = card.infer(architecture=title, input_channels=channels, input_height=side,
                       input_width=side, output="logits")
    notes = (SAID,) if stated else (SAID, GUESSED.format(heads, title))
    return Built(module, known, notes, stated, weights_of(module, places))


def _heads(said: dict[str, str], width: int) -> int:
    """As said, or the likeliest. Raises ShapeError where they do not divide the width."""
    text = said.get("num_attention_heads", str(likely_heads(width)[0]) if width else "")
    heads = int(text) if text.isdecimal() and len(text) < 5 else 0
    if heads < 1 or width % heads:
        raise ShapeError("num_attention_heads")
    return heads


def _kind(tensors: Tensors) -> str:
    taught = "distillation_classifier.weight" in tensors
    return NAMES[2 if taught else int("deit.embeddings.cls_token" in tensors)]


FAMILY = Family("transformers ViT", build)
