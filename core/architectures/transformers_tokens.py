"""What vision transformers under the names of Hugging Face's transformers share."""

from torch import nn

from core.architectures import Shapes
from core.architectures.layers_from_shapes import ShapeError
from core.architectures.timm_vit import VisionTransformer, likely_heads
from core.architectures.transformers_family import Network
from core.architectures.transformers_names import Rules, set_activation, set_epsilon

END = r"\.(weight|bias)"
LAYERS = r"(?:encoder\.layer|layers)\.(\d+)\."  # the second since version 5
SAID = ("The tensors have the names of Hugging Face's transformers; layers are shown under timm's, "
        "which ours has: query, key and value of a block are one layer, attn.qkv.")
GUESSED = ("The tensors do not say how many attention heads there are; {} are taken. Put the "
           "config.json beside the file, or name the number in the card's architecture: "
           '"{}".')


def shared_rules(before: str, block: str) -> Rules:
    """Of tokens, patches, attention and ends; patterns of what stands before the names of the
    whole and of a block."""
    return (
        (before + r"embeddings\.cls_token", "cls_token"),
        (before + r"embeddings\.mask_token", ""),
        (before + r"embeddings\.position_embeddings", "pos_embed"),
        (before + r"embeddings\.patch_embeddings\.projection" + END, r"patch_embed.proj.\1"),
        *((block + rf"attention\.(?:attention\.{long}|{short}_proj)" + END,
           rf"blocks.\1.attn.qkv.\2|{part}")
          for part, (long, short) in enumerate((("query", "q"), ("key", "k"), ("value", "v")))),
        (block + r"attention\.(?:output\.dense|o_proj)" + END, r"blocks.\1.attn.proj.\2"),
        (before + r"layernorm" + END, r"norm.\1"),
        (r"classifier" + END, r"head.\1"),
    )


def block_rules(block: str) -> Rules:
    """Of the norms and linear layers of a block as ViT has it."""
    return (
        (block + r"(?:intermediate\.dense|mlp\.fc1)" + END, r"blocks.\1.mlp.fc1.\2"),
        (block + r"(?:output\.dense|mlp\.fc2)" + END, r"blocks.\1.mlp.fc2.\2"),
        (block + r"layernorm_before" + END, r"blocks.\1.norm1.\2"),
        (block + r"layernorm_after" + END, r"blocks.\1.norm2.\2"),
    )


def vision_transformer(shapes: Shapes, said: dict[str, str], name: str, epsilon: float) -> Network:
    """The network of these shapes; `name` is transformers' own, epsilon that of its norms where
    nothing is said. Raises ShapeError."""
    heads = stated_heads(said, (shapes.get("cls_token") or (0,))[-1])
    module = VisionTransformer(shapes, heads)
    set_epsilon(module, said, epsilon)
    set_activation(module, said, nn.GELU)
    stated = "num_attention_heads" in said
    title = f"{name} (num_attention_heads {heads})"
    notes = (SAID,) if stated else (SAID, GUESSED.format(heads, title))
    return Network(module, title, module.patch_embed.proj.in_channels, module.side, notes, stated)


def stated_heads(said: dict[str, str], width: int) -> int:
    """As said, or the likeliest. Raises ShapeError where they do not divide the width."""
    text = said.get("num_attention_heads", str(likely_heads(width)[0]) if width else "")
    heads = int(text) if text.isdecimal() and len(text) < 5 else 0
    if heads < 1 or width % heads:
        raise ShapeError("num_attention_heads")
    return heads
