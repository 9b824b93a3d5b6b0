"""DINOv2's vision transformers under the names of Hugging Face's transformers.

https://huggingface.co/docs/transformers/model_doc/dinov2
"""

from torch import nn

from core.architectures import Shapes
from core.architectures.timm_vit import VisionTransformer
from core.architectures.transformers_family import Naming, Network
from core.architectures.transformers_names import Rules, set_activation, set_epsilon
from core.architectures.transformers_vit import GUESSED, SAID, stated_heads
from core.card import Card

NAMES = ("Dinov2ForImageClassification", "Dinov2WithRegistersForImageClassification")
BEFORE, END = r"dinov2(?:_with_registers)?\.", r"\.(weight|bias)"
BLOCK = BEFORE + r"(?:encoder\.layer|layers)\.(\d+)\."
RULES: Rules = (
    (BEFORE + r"embeddings\.cls_token", "cls_token"),
    (BEFORE + r"embeddings\.register_tokens", "register_tokens"),
    (BEFORE + r"embeddings\.mask_token", ""),
    (BEFORE + r"embeddings\.position_embeddings", "pos_embed"),
    (BEFORE + r"embeddings\.patch_embeddings\.projection" + END, r"patch_embed.proj.\1"),
    *((BLOCK + rf"attention\.(?:attention\.{long}|{short}_proj)" + END,
       rf"blocks.\1.attn.qkv.\2|{part}")
      for part, (long, short) in enumerate((("query", "q"), ("key", "k"), ("value", "v")))),
    (BLOCK + r"attention\.(?:output\.dense|o_proj)" + END, r"blocks.\1.attn.proj.\2"),
    (BLOCK + r"layer_scale([12])\.lambda1", r"blocks.\1.ls\2.gamma"),
    (BLOCK + r"(mlp\.fc[12]|norm[12])" + END, r"blocks.\1.\2.\3"),
    (BEFORE + r"layernorm" + END, r"norm.\1"),
    (r"classifier" + END, r"head.\1"),
)
EPSILON = 1e-6
TOKEN = ("What a head sees is the class token, as Dinov2Model gives it; the library's own "
         "classifier has the mean of the patches beside it.")


def _network(shapes: Shapes, said: dict[str, str], card: Card) -> Network:
    heads = stated_heads(said, (shapes.get("cls_token") or (0,))[-1])
    module = VisionTransformer(shapes, heads)
    set_epsilon(module, said, EPSILON)
    set_activation(module, said, nn.GELU)
    stated = "num_attention_heads" in said
    title = f"{NAMES['register_tokens' in shapes]} (num_attention_heads {heads})"
    notes = ((SAID,) if stated else (SAID, GUESSED.format(heads, title))) \
        + (() if module.joins else (TOKEN,))
    return Network(module, title, module.patch_embed.proj.in_channels, module.side, notes, stated)


FAMILY = Naming(
    "transformers DINOv2", NAMES,
    ("dinov2.embeddings.cls_token", "dinov2_with_registers.embeddings.cls_token"), RULES,
    _network).family()
