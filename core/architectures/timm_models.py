"""timm's networks, where timm is installed; https://huggingface.co/docs/timm

Found by the name in `card.architecture` (timm's `config.json` has it), or from names and shapes:
all by the list of timm_names, the commonest families by a tensor that they share, and vision
transformers of free sizes by timm_vit, which needs no timm.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, NamedTuple

from torch import nn

from core.architectures import Built, Family, Shapes, Tensors, timm_vit, torchvision_models
from core.architectures.layers_from_shapes import same_shapes, shapes_of
from core.architectures.timm_build import installed, made
from core.architectures.timm_names import listed, names_of
from core.card import Card, ShorterSide
from core.weight_files.classifier_heads import below, new_head

CLASSES, CHANNELS = 1000, 3
NEAREST = 3  # networks that are built to find what differs
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


class Fitted(NamedTuple):
    """A network with the file's shapes; guessed: what its new head has between two layers."""

    module: nn.Module
    channels: int
    guessed: str


def build(tensors: Tensors, card: Card) -> Built | None:
    """timm's network that has these tensors, or a vision transformer of its names, or None."""
    shapes = shapes_of(tensors)
    named = _named(card.architecture)
    likely = [named] if named else dict.fromkeys([*_common(shapes), *names_of(shapes)])
    for name, fitted in _fitting(likely, shapes):
        if not _torchvisions(name, tensors, card):
            return _built(name, fitted, shapes, card, exact=bool(named))
    return timm_vit.build(shapes, card)


def proposals(tensors: Tensors, card: Card) -> Iterator[Built]:
    """The network, and those of the same names and shapes that differ in what runs, such as the
    padding of TensorFlow."""
    unnamed = replace(card, architecture=None)
    found, shapes = build(tensors, unnamed) or build(tensors, card), shapes_of(tensors)
    if found is None:
        return
    if (name := _named(found.card.architecture)) is None:
        yield from timm_vit.proposals(shapes, unnamed)
        return
    plain, seen = name.removeprefix("tf_"), set()
    for name, fitted in _fitting((plain, f"tf_{plain}", *names_of(shapes)), shapes):
        if (layers := str(fitted.module)) not in seen:
            seen.add(layers)
            yield _built(name, fitted, shapes, unnamed, exact=False)


def near(shapes: Shapes, card: Card) -> Iterator[tuple[str, Shapes]]:
    """The networks that the names speak for, with timm's own classes and channels."""
    named, alike = _named(card.architecture), names_of(shapes)
    if any(_is_torchvisions(name) for name in alike):  # which is near, too
        alike = []
    for name in installed([*([named] if named else ()), *alike[:NEAREST], *_common(shapes)]):
        if (module := made(name)) is not None:
            yield name, shapes_of(module.state_dict())


def advice(shapes: Shapes, card: Card) -> Iterator[str]:
    """What to install, where the tensors are timm's."""
    names = names_of(shapes)
    if names and find_spec("timm") is None:
        yield (f"The tensors have the names and widths of {' or '.join(names[:NEAREST])} of timm "
               f"{listed()[0]}, which is not installed on this server: pip install timm, then open "
               "the file again.")


def _built(name: str, fitted: Fitted, shapes: Shapes, card: Card, exact: bool) -> Built:
    others = [other for other in names_of(shapes) if other != name]
    also = f"{', '.join(others)} share" if others else "another of timm's networks may share"
    notes = () if exact else (f"Taken for timm's {name}, by names and shapes; {also} them. A card "
                              'with "architecture" chooses.',)
    if fitted.guessed:
        notes += (f"The file does not say that {fitted.guessed}.",)
    said = card.infer(architecture=name, output="logits", input_channels=fitted.channels,
                      **_input_of(fitted.module))
    return Built(fitted.module, said, notes, exact)


def _torchvisions(name: str, tensors: Tensors, card: Card) -> bool:
    """Whether it is the network that torchvision has under the same name."""
    return _is_torchvisions(name) and torchvision_models.build(tensors, card) is not None


def _is_torchvisions(name: str) -> bool:
    from torchvision import models  # 1 s

    return name in models.list_models(module=models)


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


def _fitting(names: Iterable[str], shapes: Shapes) -> Iterator[tuple[str, Fitted]]:
    """Those of the networks that have these tensors."""
    for name in dict.fromkeys(installed(names)):
        if (found := _fitted(name, shapes)) is not None:
            yield name, found


def _fitted(name: str, shapes: Shapes) -> Fitted | None:
    """The network with the file's channels, classes or new head and, where it minds, size; None
    where it has other tensors, or the file no head."""
    from timm.models import get_pretrained_cfg

    known = get_pretrained_cfg(name)
    first, head = (_first(getattr(known, key, None)) for key in ("first_conv", "classifier"))
    inside = below(shapes, head or "")
    if not inside:
        return None
    replaced = "weight" not in inside
    classes = CLASSES if replaced else inside["weight"][0]
    # a first convolution may see more channels than the input has: pixels put behind each other
    start = shapes.get(f"{first}.weight", (0, CHANNELS))[1]
    for channels in dict.fromkeys((CHANNELS, start)):
        for more in ({}, _image_size(shapes)):
            options = more | ({"in_chans": channels} if channels != CHANNELS else {})
            module = made(name, num_classes=classes, **options)
            guessed = _put_head(module, head, inside) if module is not None and replaced else ""
            if module is not None and same_shapes(module, shapes):
                return Fitted(module, channels, guessed)
    return None


def _put_head(module: nn.Module, place: str, shapes: Shapes) -> str:
    """A new head in place of the one that timm built, where that is a Linear; what was guessed."""
    original = module.get_submodule(place)
    head = new_head(original.in_features, shapes) if isinstance(original, nn.Linear) else None
    if head is None:
        return ""
    module.set_submodule(place, head.module)
    module.num_classes = head.classes
    return head.guessed


def _first(names: str | tuple[str, ...] | None) -> str | None:
    """Networks with two heads, one for distillation, name both."""
    return names[0] if isinstance(names, (tuple, list)) else names


def _image_size(shapes: Shapes) -> dict[str, int]:
    """For a vision transformer trained on other sizes, from its positions and patches."""
    positions, patch = shapes.get("pos_embed"), shapes.get("patch_embed.proj.weight")
    if not positions or not patch or len(positions) != 3 or len(patch) != 4:
        return {}
    return {"img_size": math.isqrt(positions[1]) * patch[-1]}


def _input_of(module: nn.Module) -> dict[str, Any]:
    """Keys of the card that timm's own weights of this network state; their normalisation only
    where there are ImageNet's 1000 classes."""
    known = module.pretrained_cfg
    _, height, width = known["input_size"]
    side = getattr(getattr(module, "patch_embed", None), "img_size", None)
    height, width = side if isinstance(side, tuple) else (height, width)
    said: dict[str, Any] = {"input_height": height, "input_width": width}
    if module.num_classes != CLASSES:
        return said
    share = known.get("crop_pct") or 1.0
    return said | {"input_range": (0.0, 1.0), "input_mean": tuple(known["mean"]),
                   "input_std": tuple(known["std"]),
                   "input_resize": ShorterSide(math.floor(height / share), height, "down")}


FAMILY = Family("timm", build, proposals, near, advice, steps_aside=1)
