"""DINOv2's vision transformers under the names of Hugging Face's transformers.

https://huggingface.co/docs/transformers/model_doc/dinov2
"""

from dataclasses import replace

from core.architectures import Shapes
from core.architectures.transformers_family import Naming, Network
from core.architectures.transformers_names import Rules
from core.architectures.transformers_tokens import END, LAYERS, shared_rules, vision_transformer
from core.card import Card

NAMES = ("Dinov2ForImageClassification", "Dinov2WithRegistersForImageClassification")
BEFORE = r"dinov2(?:_with_registers)?\."
RULES: Rules = (
    *shared_rules(BEFORE, BEFORE + LAYERS),
    (BEFORE + r"embeddings\.register_tokens", "register_tokens"),
    (BEFORE + LAYERS + r"layer_scale([12])\.lambda1", r"blocks.\1.ls\2.gamma"),
    (BEFORE + LAYERS + r"(mlp\.fc[12]|norm[12])" + END, r"blocks.\1.\2.\3"),
)
EPSILON = 1e-6
TOKEN = ("What a head sees is the class token, as Dinov2Model gives it; the library's own "
         "classifier has the mean of the patches beside it.")


def _network(shapes: Shapes, said: dict[str, str], card: Card) -> Network:
    made = vision_transformer(shapes, said, NAMES["register_tokens" in shapes], EPSILON)
    return made if made.module.joins else replace(made, notes=(*made.notes, TOKEN))


FAMILY = Naming(
    "transformers DINOv2", NAMES,
    ("dinov2.embeddings.cls_token", "dinov2_with_registers.embeddings.cls_token"), RULES,
    _network).family()
