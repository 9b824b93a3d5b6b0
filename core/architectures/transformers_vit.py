"""Vision transformers under the names of Hugging Face's transformers: ViT and DeiT.

https://huggingface.co/docs/transformers/model_doc/vit
"""

from torch import nn

from core.architectures import Shapes
from core.architectures.layers_from_shapes import ShapeError
from core.architectures.timm_vit import VisionTransformer, likely_heads
from core.architectures.transformers_family import Naming, Network
from core.architectures.transformers_names import Rules, set_activation, set_epsilon
from core.card import Card

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


def _network(shapes: Shapes, said: dict[str, str], card: Card) -> Network:
    heads = stated_heads(said, (shapes.get("cls_token") or (0,))[-1])
    module = VisionTransformer(shapes, heads)
    set_epsilon(module, said, EPSILON)
    set_activation(module, said, nn.GELU)
    stated = "num_attention_heads" in said
    title = f"{_kind(shapes)} (num_attention_heads {heads})"
    notes = (SAID,) if stated else (SAID, GUESSED.format(heads, title))
    return Network(module, title, module.patch_embed.proj.in_channels, module.side, notes, stated)


def stated_heads(said: dict[str, str], width: int) -> int:
    """As said, or the likeliest. Raises ShapeError where they do not divide the width."""
    text = said.get("num_attention_heads", str(likely_heads(width)[0]) if width else "")
    heads = int(text) if text.isdecimal() and len(text) < 5 else 0
    if heads < 1 or width % heads:
        raise ShapeError("num_attention_heads")
    return heads


def _kind(shapes: Shapes) -> str:
    taught = "head_dist.weight" in shapes
    return NAMES[2 if taught else int("dist_token" in shapes)]


FAMILY = Naming(
    "transformers ViT", NAMES, ("vit.embeddings.cls_token", "deit.embeddings.cls_token"), RULES,
    _network).family()
