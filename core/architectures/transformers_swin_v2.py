"""Swin transformers V2 under the names of Hugging Face's transformers.

https://huggingface.co/docs/transformers/model_doc/swinv2
"""

import torch
from torch import nn

from core.architectures import Shapes
from core.architectures.layers_from_shapes import ShapeError, count, weight
from core.architectures.transformers_family import Naming, Network
from core.architectures.transformers_names import Rules, set_activation, set_epsilon
from core.architectures.transformers_swin import BLOCK, SAID, SHARED, in_place, stages_of
from core.card import Card
from core.weight_files.meta_build import ShapesOnly

NAME = "Swinv2ForImageClassification"
EPSILON, WINDOW, LARGEST_WINDOW = 1e-5, 8, 64
SELF = BLOCK + r"attention\.self\."
RULES: Rules = (
    *SHARED,
    (SELF + r"logit_scale", r"stage.\1.\2.attn.logit_scale"),
    (SELF + r"continuous_position_bias_mlp\.([02])\.(weight|bias)",
     r"stage.\1.\2.attn.cpb_mlp.\3.\4"),
    (SELF + r"relative_(?:coords_table|position_index)", ""),  # torchvision computes them
)
UNSAID = ("The tensors do not say how large windows and pictures are: windows of {0}, pictures of "
          "{1} are taken. Put the config.json beside the file, or name both: the picture in the "
          "card's input, the window in its architecture, \"" + NAME + ' (window_size {0})".')


def _network(shapes: Shapes, said: dict[str, str], card: Card) -> Network:
    channels, patch = weight(shapes, "features.0.0", 4)[1::2]
    window = _whole(said.get("window_size", str(WINDOW)))
    stages = stages_of(shapes)
    side = card.input.height or patch * window * 2 ** (len(stages) - 1)
    sides = [-(-side // (patch * 2**stage)) for stage in range(len(stages))]  # of stages, in tokens
    trained = [_whole(size) for size in said.get("pretrained_window_sizes", "0").split("-")]
    module = _module(shapes, window)
    for place, tokens in enumerate(sides):
        for block in module.features[stages[place]]:
            _set_window(block.attn, min(window, tokens), trained[min(place, len(trained) - 1)],
                        window < tokens)
    for part in (module.norm, *module.features[1::2]):  # not those of the patches
        set_epsilon(part, said, EPSILON)
    set_activation(module, said, nn.GELU)
    stated = "window_size" in said and card.input.height is not None
    notes = (SAID,) if stated else (SAID, UNSAID.format(window, side))
    return Network(module, NAME, channels, side, notes, stated)


def _whole(text: str) -> int:
    if not text.isdecimal() or len(text) > 4 or int(text) > LARGEST_WINDOW:
        raise ShapeError("window_size")
    return int(text)


def _module(shapes: Shapes, window: int) -> nn.Module:
    from torchvision.models.swin_transformer import (  # 1 s
        PatchMergingV2,
        SwinTransformer,
        SwinTransformerBlockV2,
    )

    stages = stages_of(shapes)
    scales = [shapes.get(f"features.{stage}.0.attn.logit_scale", ()) for stage in stages]
    if any(len(scale) != 3 or not scale[0] for scale in scales) or window < 2:
        raise ShapeError("logit_scale")
    out, channels, _, patch = weight(shapes, "features.0.0", 4)
    wide = weight(shapes, "features.1.0.mlp.0", 2)[0]
    with ShapesOnly():
        module = SwinTransformer(
            [patch, patch], out,
            [count(shapes, f"features.{stage}.{{}}.attn.qkv.weight") for stage in stages],
            [scale[0] for scale in scales], [window, window], wide / out,
            num_classes=weight(shapes, "head", 2)[0], downsample_layer=PatchMergingV2,
            block=SwinTransformerBlockV2)
        module.features[0][0] = nn.Conv2d(channels, out, patch, patch)
    return module


def _set_window(attention: nn.Module, window: int, trained: int, shifts: bool) -> None:
    """A stage's own window, and its places as far apart as in the windows it was trained with."""
    attention.window_size = [window, window]
    if not shifts:
        attention.shift_size = [0, 0]
    attention.define_relative_position_index()
    steps = torch.arange(1 - window, window, dtype=torch.float32)
    apart = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1)[None]
    apart = apart / max((trained or window) - 1, 1) * 8
    attention.relative_coords_table = apart.sign() * torch.log2(apart.abs() + 1) / 3


FAMILY = Naming(
    "transformers Swin V2", (NAME,), ("swinv2.embeddings.patch_embeddings.projection.weight",),
    RULES, _network, in_place, key_bias=False).family()
