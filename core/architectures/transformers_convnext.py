"""ConvNeXt under the names of Hugging Face's transformers.

https://huggingface.co/docs/transformers/model_doc/convnext
"""

from torch import nn

from core.architectures import Shapes
from core.architectures.layers_from_shapes import ShapeError, count, weight
from core.architectures.transformers_family import TORCHVISIONS, Naming, Network
from core.architectures.transformers_names import Rules, set_activation
from core.card import Card
from core.weight_files.meta_build import ShapesOnly

NAME = "ConvNextForImageClassification"
SIDE, EPSILON = 224, 1e-12
BLOCK, END = r"convnext\.encoder\.stages\.(\d)\.layers\.(\d+)\.", r"\.(weight|bias)"
# Stage 1 is features.3 of torchvision's, between them features.2; see `_in_place`.
RULES: Rules = (
    (r"convnext\.embeddings\.patch_embeddings" + END, r"features.0.0.\1"),
    (r"convnext\.embeddings\.layernorm" + END, r"features.0.1.\1"),
    (r"convnext\.encoder\.stages\.(\d)\.downsampling_layer\.(\d)" + END, r"between.\1.\2.\3"),
    (BLOCK + r"layer_scale_parameter", r"stage.\1.\2.layer_scale"),
    (BLOCK + r"dwconv" + END, r"stage.\1.\2.block.0.\3"),
    (BLOCK + r"layernorm" + END, r"stage.\1.\2.block.2.\3"),
    (BLOCK + r"pwconv1" + END, r"stage.\1.\2.block.3.\3"),
    (BLOCK + r"pwconv2" + END, r"stage.\1.\2.block.5.\3"),
    (r"convnext\.layernorm" + END, r"classifier.0.\1"),
    (r"classifier" + END, r"classifier.2.\1"),
)


def _in_place(name: str) -> str:
    kind, _, rest = name.partition(".")
    stage, _, inside = rest.partition(".")
    after = {"between": 0, "stage": 1}.get(kind)
    return name if after is None else f"features.{2 * int(stage) + after}.{inside}"


def _network(shapes: Shapes, said: dict[str, str], card: Card) -> Network:
    module = _module(shapes, said)
    channels = weight(shapes, "features.0.0", 4)[1]
    return Network(module, NAME, channels, SIDE, (f"{TORCHVISIONS}.",))


def _module(shapes: Shapes, said: dict[str, str]) -> nn.Module:
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt  # 1 s

    stages = [stage for stage in range(1, 20, 2)
              if f"features.{stage}.0.block.0.weight" in shapes]
    if not stages:
        raise ShapeError("stages")
    widths = [weight(shapes, f"features.{stage}.0.block.0", 4)[0] for stage in stages]
    depths = [count(shapes, f"features.{stage}.{{}}.block.0.weight") for stage in stages]
    channels, classes = weight(shapes, "features.0.0", 4)[1], weight(shapes, "classifier.2", 2)[0]
    with ShapesOnly():
        module = ConvNeXt([CNBlockConfig(*sizes) for sizes in zip(
            widths, [*widths[1:], None], depths, strict=True)], num_classes=classes)
        module.features[0][0] = nn.Conv2d(channels, widths[0], 4, 4)
    set_activation(module, said, nn.GELU)
    try:
        module.classifier[0].eps = float(said.get("layer_norm_eps", EPSILON))
    except ValueError as error:
        raise ShapeError("layer_norm_eps") from error
    return module


FAMILY = Naming(
    "transformers ConvNeXt", (NAME,), ("convnext.embeddings.patch_embeddings.weight",), RULES,
    _network, _in_place).family()
