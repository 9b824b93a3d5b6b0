"""ViTMSN as Hugging Face's transformers 5 saves it: blocks without "vit." before their names.

https://huggingface.co/docs/transformers/model_doc/vit_msn
"""

from core.architectures import Shapes
from core.architectures.transformers_family import Naming, Network
from core.architectures.transformers_names import Rules
from core.architectures.transformers_tokens import (
    LAYERS,
    block_rules,
    shared_rules,
    vision_transformer,
)
from core.card import Card

NAME, EPSILON = "ViTMSNForImageClassification", 1e-6
RULES: Rules = (*shared_rules(r"vit\.", LAYERS), *block_rules(LAYERS))


def _network(shapes: Shapes, said: dict[str, str], card: Card) -> Network:
    return vision_transformer(shapes, said, NAME, EPSILON)


FAMILY = Naming(
    "transformers ViTMSN", (NAME,), ("encoder.layer.0.attention.attention.query.weight",), RULES,
    _network).family()
