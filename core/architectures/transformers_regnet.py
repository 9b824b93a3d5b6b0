"""RegNets under the names of Hugging Face's transformers.

https://huggingface.co/docs/transformers/model_doc/regnet
"""

from torch import nn

from core.architectures import Shapes
from core.architectures.layers_from_shapes import ShapeError, count, weight
from core.architectures.transformers_family import TORCHVISIONS, Naming, Network
from core.architectures.transformers_names import Rules
from core.card import Card
from core.weight_files.meta_build import ShapesOnly

NAME = "RegNetForImageClassification"
SIDE, SQUEEZED = 224, 0.25  # share of a block's inputs that squeeze and excitation goes through
STEM = r"regnet\.embedder\.embedder\."
LAYER = r"regnet\.encoder\.stages\.(\d)\.layers\.(\d+)\."
REST = r"\.(weight|bias|running_mean|running_var|num_batches_tracked)"
BLOCK = r"trunk_output.\1.block-\2."
# Stages still counted from 0, see `_counted`.
RULES: Rules = (
    (STEM + r"convolution\.weight", "stem.0.weight"),
    (STEM + "normalization" + REST, r"stem.1.\1"),
    (LAYER + r"shortcut\.convolution\.weight", BLOCK + "proj.0.weight"),
    (LAYER + r"shortcut\.normalization" + REST, BLOCK + r"proj.1.\3"),
    *(rule for place, part in (("0", "a"), ("1", "b"), ("[23]", "c")) for rule in (
        (LAYER + rf"layer\.{place}\.convolution\.weight", BLOCK + f"f.{part}.0.weight"),
        (LAYER + rf"layer\.{place}\.normalization" + REST, BLOCK + rf"f.{part}.1.\3"))),
    (LAYER + r"layer\.2\.attention\.0\.(weight|bias)", BLOCK + r"f.se.fc1.\3"),
    (LAYER + r"layer\.2\.attention\.2\.(weight|bias)", BLOCK + r"f.se.fc2.\3"),
    (r"classifier\.1\.(weight|bias)", r"fc.\1"),
)
UNSAID = ("No config.json says whether the first stage halves height and width; it is taken to, as "
          "in the published ones (downsample_in_first_stage true).")


def _counted(name: str) -> str:
    """transformers counts stages from 0, torchvision from 1, and names them in each block."""
    trunk, _, rest = name.partition(".")
    stage, _, inside = rest.partition(".")
    if trunk != "trunk_output":
        return name
    named = f"block{int(stage) + 1}"
    return f"trunk_output.{named}.{inside.replace('block', named, 1)}"


def _network(shapes: Shapes, said: dict[str, str], card: Card) -> Network:
    if said.get("hidden_act", "relu") != "relu":
        raise ShapeError("hidden_act")
    out, channels, *_ = weight(shapes, "stem.0", 4)
    stated = "downsample_in_first_stage" in said
    halves = said.get("downsample_in_first_stage", "true") == "true"
    if weight(shapes, "trunk_output.block1.block1-0.f.a.0", 4)[0] == out:  # then a shortcut tells
        stated, halves = True, "trunk_output.block1.block1-0.proj.0.weight" in shapes
    notes = (f"{TORCHVISIONS}.",) if stated else (f"{TORCHVISIONS}.", UNSAID)
    return Network(_module(shapes, halves), NAME, channels, SIDE, notes, stated)


def _module(shapes: Shapes, halves: bool) -> nn.Module:
    from torchvision.models.regnet import BlockParams, RegNet  # 1 s

    stages = range(1, 1 + count(shapes, "trunk_output.block{0}.block{0}-0.f.b.0.weight", first=1))
    convolutions = [weight(shapes, f"trunk_output.block{stage}.block{stage}-0.f.b.0", 4)
                    for stage in stages]
    if not stages or any(out % inside for out, inside, *_ in convolutions):
        raise ShapeError("stages")
    depths = [count(shapes, f"trunk_output.block{stage}.block{stage}-{{}}.f.b.0.weight")
              for stage in stages]
    squeezes = "trunk_output.block1.block1-0.f.se.fc1.weight" in shapes
    out, channels, *_ = weight(shapes, "stem.0", 4)
    with ShapesOnly():
        module = RegNet(BlockParams(
            depths, [size[0] for size in convolutions], [size[1] for size in convolutions],
            [1.0] * len(depths), [1 + halves, *[2] * (len(depths) - 1)],
            SQUEEZED if squeezes else None), weight(shapes, "fc", 2)[0], out)
        module.stem[0] = nn.Conv2d(channels, out, 3, 2, 1, bias=False)
    return module


FAMILY = Naming(
    "transformers RegNet", (NAME,), ("regnet.embedder.embedder.convolution.weight",), RULES,
    _network, _counted).family()
