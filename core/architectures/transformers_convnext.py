"""ConvNeXt and ConvNeXt V2 under the names of Hugging Face's transformers.

https://huggingface.co/docs/transformers/model_doc/convnext
https://huggingface.co/docs/transformers/model_doc/convnextv2
"""

import torch
from torch import nn

from core.architectures import Shapes
from core.architectures.layers_from_shapes import ShapeError, count, weight
from core.architectures.transformers_family import TORCHVISIONS, Naming, Network
from core.architectures.transformers_names import Rules, set_activation
from core.card import Card
from core.weight_files.meta_build import ShapesOnly

NAMES = ("ConvNextForImageClassification", "ConvNextV2ForImageClassification")
SIDE, EPSILON = 224, 1e-12
BEFORE, END = r"convnext(?:v2)?\.", r"\.(weight|bias)"
BLOCK = BEFORE + r"encoder\.stages\.(\d)\.layers\.(\d+)\."
# Stage 1 is features.3 of torchvision's, between them features.2; see `_in_place`.
RULES: Rules = (
    (BEFORE + r"embeddings\.patch_embeddings" + END, r"features.0.0.\1"),
    (BEFORE + r"embeddings\.layernorm" + END, r"features.0.1.\1"),
    (BEFORE + r"encoder\.stages\.(\d)\.downsampling_layer\.(\d)" + END, r"between.\1.\2.\3"),
    (BLOCK + r"layer_scale_parameter", r"stage.\1.\2.layer_scale"),
    (BLOCK + r"dwconv" + END, r"stage.\1.\2.block.0.\3"),
    (BLOCK + r"layernorm" + END, r"stage.\1.\2.block.2.\3"),
    (BLOCK + r"pwconv1" + END, r"stage.\1.\2.block.3.\3"),
    (BLOCK + r"grn" + END, r"stage.\1.\2.block.4.1.\3"),  # behind the activation
    (BLOCK + r"pwconv2" + END, r"stage.\1.\2.block.5.\3"),
    (BEFORE + r"layernorm" + END, r"classifier.0.\1"),
    (r"classifier" + END, r"classifier.2.\1"),
)


class ResponseNorm(nn.Module):
    """Channels by how strong each is in the whole picture; https://arxiv.org/abs/2301.00808."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, 1, 1, width))
        self.bias = nn.Parameter(torch.empty(1, 1, 1, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        strength = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)  # (N, 1, 1, width)
        relative = strength / (strength.mean(-1, keepdim=True) + 1e-6)
        return self.weight * (x * relative) + self.bias + x


def _in_place(name: str) -> str:
    kind, _, rest = name.partition(".")
    stage, _, inside = rest.partition(".")
    after = {"between": 0, "stage": 1}.get(kind)
    return name if after is None else f"features.{2 * int(stage) + after}.{inside}"


def _network(shapes: Shapes, said: dict[str, str], card: Card) -> Network:
    module = _module(shapes, said)
    channels = weight(shapes, "features.0.0", 4)[1]
    name = NAMES["features.1.0.block.4.1.weight" in shapes]
    return Network(module, name, channels, SIDE, (f"{TORCHVISIONS}.",))


def _module(shapes: Shapes, said: dict[str, str]) -> nn.Module:
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt  # 1 s

    stages = [stage for stage in range(1, 20, 2)
              if f"features.{stage}.0.block.0.weight" in shapes]
    if not stages or stages[-1] != 2 * len(stages) - 1:
        raise ShapeError("stages")
    widths = [weight(shapes, f"features.{stage}.0.block.0", 4)[0] for stage in stages]
    depths = [count(shapes, f"features.{stage}.{{}}.block.0.weight") for stage in stages]
    channels, classes = weight(shapes, "features.0.0", 4)[1], weight(shapes, "classifier.2", 2)[0]
    with ShapesOnly():
        module = ConvNeXt([CNBlockConfig(*sizes) for sizes in zip(
            widths, [*widths[1:], None], depths, strict=True)], num_classes=classes)
        module.features[0][0] = nn.Conv2d(channels, widths[0], 4, 4)
        for stage in module.features[1::2]:
            for block in stage:
                _fit_block(block, shapes)
    set_activation(module, said, nn.GELU)
    try:
        module.classifier[0].eps = float(said.get("layer_norm_eps", EPSILON))
    except ValueError as error:
        raise ShapeError("layer_norm_eps") from error
    return module


def _fit_block(block: nn.Module, shapes: Shapes) -> None:
    """With the second version's norm and without a scale, where the file's first block is so."""
    if "features.1.0.block.4.1.weight" in shapes:
        block.block[4] = nn.Sequential(block.block[4], ResponseNorm(block.block[3].out_features))
    if "features.1.0.layer_scale" not in shapes:
        del block.layer_scale
        block.layer_scale = 1.0


FAMILY = Naming(
    "transformers ConvNeXt", NAMES, ("convnext.embeddings.patch_embeddings.weight",
                                     "convnextv2.embeddings.patch_embeddings.weight"), RULES,
    _network, _in_place).family()
