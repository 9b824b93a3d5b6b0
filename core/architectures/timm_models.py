"""timm's networks, where timm is installed; https://huggingface.co/docs/timm

Found by the name in `card.architecture` (timm's `config.json` has it), or, for the commonest
families, from names and shapes.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode

from core.architectures import Built, Family, Shapes, Tensors, torchvision_models
from core.architectures.layers_from_shapes import same_shapes, shapes_of
from core.card import Card

CLASSES = 1000
VIT_WIDTHS = {192: "tiny", 384: "small", 768: "base", 1024: "large"}
# A tensor that every network of a family has, and the family's commonest members.
COMMON = {
    "stages.0.blocks.0.conv_dw.weight": tuple(
        f"convnext_{size}" for size in ("atto", "femto", "pico", "nano", "tiny", "small", "base",
                                        "large")),
    "layers.0.blocks.0.attn.relative_position_bias_table": tuple(
        f"swin_{size}_patch4_window7_224" for size in ("tiny", "small", "base", "large")),
    "conv_stem.weight": ("efficientnet_b0", "mobilenetv3_large_100", "mobilenetv3_small_100",
                         "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4",
                         "mobilenetv2_100", "efficientnet_lite0"),
    "conv1.3.weight": ("resnet18d", "resnet26d", "resnet34d", "resnet50d", "resnet101d"),
}


class _WithoutWeights(TorchFunctionMode):
    """Inside it nothing is written into parameters, so that their memory is never touched; buffers
    that are computed and not saved get their values."""

    def __torch_function__(self, function: Callable, types: Any, arguments: tuple = (),
                           keywords: dict | None = None) -> Any:
        name, keywords = getattr(function, "__name__", ""), keywords or {}
        written = arguments[0] if arguments else keywords.get("tensor")
        inplace = name.endswith("_") and not name.endswith("__") and name != "requires_grad_"
        if inplace and isinstance(written, nn.Parameter):
            return written
        return function(*arguments, **keywords)


def build(tensors: Tensors, card: Card) -> Built | None:
    """timm's network that has these tensors, or None."""
    shapes = shapes_of(tensors)
    named = _named(card.architecture)
    for name, module in _fitting([named] if named else _common(shapes), shapes):
        if not _torchvisions(name, tensors, card):
            notes = () if named else (
                f"Taken for timm's {name}, by names and shapes; another of timm's networks may "
                'share them. A card with "architecture" chooses.',)
            return _built(name, module, shapes, card, notes, exact=bool(named))
    return None


def proposals(tensors: Tensors, card: Card) -> Iterator[Built]:
    """The network, and the one of the same names and shapes that pads as TensorFlow does."""
    unnamed = replace(card, architecture=None)
    found, shapes = build(tensors, unnamed) or build(tensors, card), shapes_of(tensors)
    if found is None:
        return
    plain = _named(found.card.architecture).removeprefix("tf_")
    for name, module in _fitting((plain, f"tf_{plain}"), shapes):
        yield _built(name, module, shapes, unnamed, exact=False)


def near(shapes: Shapes, card: Card) -> Iterator[tuple[str, Shapes]]:
    """The networks that the names speak for, with timm's own classes and channels."""
    named = _named(card.architecture)
    for name in _installed([*([named] if named else ()), *_common(shapes)]):
        if (module := _made(name)) is not None:
            yield name, shapes_of(module.state_dict())


def _built(name: str, module: nn.Module, shapes: Shapes, card: Card, notes: tuple[str, ...] = (),
           exact: bool = True) -> Built:
    said = card.infer(architecture=name, output="logits", **_input_of(module, shapes))
    return Built(module, said, notes, exact)


def _installed(names: Iterable[str]) -> Iterator[str]:
    """Those of the names that timm knows; it is imported only where there are names."""
    if not (listed := list(dict.fromkeys(names))) or find_spec("timm") is None:
        return
    import timm  # 3 s

    yield from filter(timm.is_model, listed)


def _torchvisions(name: str, tensors: Tensors, card: Card) -> bool:
    """Whether it is the network that torchvision has under the same name."""
    from torchvision import models

    return name in models.list_models(module=models) \
        and torchvision_models.build(tensors, card) is not None


def _named(architecture: str | None) -> str | None:
    """The name of a network in "timm/resnet50d.ra2_in1k" and the like."""
    name = (architecture or "").rpartition("/")[2].partition(".")[0]
    return name if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) else None


def _common(shapes: Shapes) -> Iterator[str]:
    for marker, names in COMMON.items():
        if marker in shapes:
            yield from names
    patches, positions = shapes.get("patch_embed.proj.weight"), shapes.get("pos_embed")
    if patches and positions and len(patches) == 4 and len(positions) == 3 \
            and "blocks.0.attn.qkv.weight" in shapes:
        width, patch, side = patches[0], patches[-1], math.isqrt(positions[1]) * patches[-1]
        for shown in dict.fromkeys((side, 224, 384)):
            yield f"vit_{VIT_WIDTHS.get(width)}_patch{patch}_{shown}"


def _fitting(names: Iterable[str], shapes: Shapes) -> Iterator[tuple[str, nn.Module]]:
    """Those of the networks that have these tensors."""
    for name in _installed(names):
        if (module := _fitted(name, shapes)) is not None:
            yield name, module


def _fitted(name: str, shapes: Shapes) -> nn.Module | None:
    """The network with the file's channels, classes and, where it minds, size; None where it has
    other tensors."""
    from timm.models import get_pretrained_cfg

    known = get_pretrained_cfg(name)
    first, head = (_first(getattr(known, key, None)) for key in ("first_conv", "classifier"))
    start = shapes.get(f"{first}.weight", (0, 3))
    options: dict[str, Any] = {"in_chans": start[1]} if start[1] != 3 else {}
    classes = shapes.get(f"{head}.weight", (0,))[0]
    for more in ({}, _image_size(shapes)):
        module = _made(name, num_classes=classes, **options, **more)
        if module is not None and same_shapes(module, shapes):
            return module
    return None


def _first(names: str | tuple[str, ...] | None) -> str | None:
    """Networks with two heads, one for distillation, name both."""
    return names[0] if isinstance(names, (tuple, list)) else names


def _image_size(shapes: Shapes) -> dict[str, int]:
    """For a vision transformer trained on other sizes, from its positions and patches."""
    positions, patch = shapes.get("pos_embed"), shapes.get("patch_embed.proj.weight")
    if not positions or not patch or len(positions) != 3 or len(patch) != 4:
        return {}
    return {"img_size": math.isqrt(positions[1]) * patch[-1]}


def _made(name: str, **options: Any) -> nn.Module | None:
    """The network, its parameters on the meta device; None where it refuses the options."""
    import timm

    try:
        with _WithoutWeights():
            module = timm.create_model(name, pretrained=False, **options)
    except (TypeError, ValueError, RuntimeError, AssertionError):
        return None
    for layer in module.modules():
        for key, value in layer._parameters.items():
            if value is not None:
                layer._parameters[key] = nn.Parameter(value.to("meta"), value.requires_grad)
    return module


def _input_of(module: nn.Module, shapes: Shapes) -> dict[str, Any]:
    """Keys of the card that timm's own weights of this network state; their normalisation only
    where there are ImageNet's 1000 classes."""
    known = module.pretrained_cfg
    start = shapes.get(f"{_first(known.get('first_conv'))}.weight", (0, 3))
    _, height, width = known["input_size"]
    side = getattr(getattr(module, "patch_embed", None), "img_size", None)
    height, width = side if isinstance(side, tuple) else (height, width)
    said: dict[str, Any] = {"input_channels": start[1], "input_height": height,
                            "input_width": width}
    if module.num_classes != CLASSES:
        return said
    share = known.get("crop_pct") or 1.0
    return said | {"input_range": (0.0, 1.0), "input_mean": tuple(known["mean"]),
                   "input_std": tuple(known["std"]),
                   "input_resize": (math.floor(height / share), height)}


FAMILY = Family("timm", build, proposals, near)
