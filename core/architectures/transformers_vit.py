"""Vision transformers under the names of Hugging Face's transformers: ViT and DeiT.

https://huggingface.co/docs/transformers/model_doc/vit
"""

from dataclasses import replace

from core.architectures import Shapes
from core.architectures.transformers_family import Naming, Network
from core.architectures.transformers_names import Rules
from core.architectures.transformers_tokens import (
    END,
    LAYERS,
    block_rules,
    shared_rules,
    vision_transformer,
)
from core.card import Card

NAMES = ("ViTForImageClassification", "DeiTForImageClassification",
         "DeiTForImageClassificationWithTeacher")
MSN = "ViTMSNForImageClassification"  # whose tensors may have the very names of ViT's
BEFORE = r"(?:vit|deit)\."
RULES: Rules = (
    *shared_rules(BEFORE, BEFORE + LAYERS),
    *block_rules(BEFORE + LAYERS),
    (BEFORE + r"embeddings\.distillation_token", "dist_token"),
    (BEFORE + r"pooler\.dense" + END, ""),  # which classifying does not use
    (r"cls_classifier" + END, r"head.\1"),
    (r"distillation_classifier" + END, r"head_dist.\1"),
)
EPSILON = 1e-12
OF_MSN = (f"Nor do they say whether it is a {MSN}, whose norms have layer_norm_eps 1e-06; 1e-12 "
          "is taken.")


def _network(shapes: Shapes, said: dict[str, str], card: Card) -> Network:
    taught = "head_dist.weight" in shapes
    name = NAMES[2 if taught else int("dist_token" in shapes)]
    made = vision_transformer(shapes, said, name, EPSILON)
    unsure = not made.exact and name == NAMES[0] and "layer_norm_eps" not in said
    return replace(made, notes=(*made.notes, OF_MSN)) if unsure else made


FAMILY = Naming(
    "transformers ViT", (*NAMES, MSN), ("vit.embeddings.cls_token", "deit.embeddings.cls_token"),
    RULES, _network).family()
