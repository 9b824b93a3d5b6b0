"""torchvision's classifiers, known by names and shapes; https://pytorch.org/vision/stable/models.html"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from core.architectures import Built, Family, Shapes, Tensors
from core.architectures import torchvision_starts as starts
from core.architectures.layers_from_shapes import same_shapes, shapes_of
from core.architectures.torchvision_registry import (
    CLASSES,
    INPUT_SHIFTED,
    candidates,
    files_of,
    image_size,
    near,
    network,
)
from core.card import Card, ShorterSide
from core.weight_files.classifier_heads import Head, below, new_head, same_head

FLAT = (nn.Linear, nn.Dropout, nn.ReLU, nn.Hardswish, nn.Tanh)  # layers over (N, features)


@dataclass
class Fitted:
    """A network changed until it has the file's shapes; what was changed, and what was guessed."""

    module: nn.Module
    channels: int
    classes: int
    small: bool  # whether it starts as for small pictures
    guesses: list[str] = field(default_factory=list)


def build(tensors: Tensors, card: Card) -> Built | None:
    """The network of torchvision's registry that has these tensors, or None."""
    shapes = shapes_of(tensors)
    if not (files := files_of(shapes)):
        return None
    wanted, _, start = (card.architecture or "").removesuffix(")").partition(" (")
    for name in candidates(shapes, files, wanted):
        if fitted := _fitted(name, shapes, start if name == wanted else ""):
            return _built(name, fitted, shapes, card)
    return None


def proposals(tensors: Tensors, card: Card) -> Iterator[Built]:
    """The ways in which it may start; one only with ImageNet's classes and published kernel."""
    unnamed, shapes = replace(card, architecture=None), shapes_of(tensors)
    found = build(tensors, unnamed)
    if found is None:
        return
    name = found.card.architecture
    fitted = _fitted(name, shapes, "")
    known = starts.ways(network(name, shapes), shapes)
    known = known if fitted.small or fitted.classes != CLASSES else ("",)
    for way in known if len(known) > 1 else ():
        title = f"{name} ({way})" if way else name
        yield _built(title, _fitted(name, shapes, way), shapes, unnamed)


def _built(title: str, fitted: Fitted, shapes: Shapes, card: Card) -> Built:
    side = starts.SIDE if fitted.small else image_size(shapes)
    known = _input_of(title.partition(" (")[0], fitted.classes, side)
    said = card.infer(architecture=title, input_channels=fitted.channels, output="logits", **known)
    return Built(fitted.module, said, tuple(fitted.guesses), exact=not fitted.guesses)


def _fitted(name: str, shapes: Shapes, start: str) -> Fitted | None:
    """The network with the file's channels, classes and head; None where the rest differs."""
    module = network(name, shapes)
    heads = [place for place, layer in module.named_modules() if _is_head(layer)]
    if not (main := _new_main_head(module, heads[-1], shapes)):
        return None
    for place in heads[:-1]:
        if auxiliary := same_head(module.get_submodule(place), below(shapes, place)):
            module.set_submodule(place, auxiliary.module)
    if not (put := starts.fit_start(module, shapes, start)):
        return None
    fitted = Fitted(module, put.channels, main.classes, put.small,
                    [guess for guess in (main.guessed, put.guessed) if guess])
    if name in INPUT_SHIFTED:
        fitted.guesses.append("transform_input shifts the input, as with torchvision's own weights")
    fitted.guesses[:] = [f"Taken for {name}; the file does not say that {guess}."
                         for guess in fitted.guesses]
    return fitted if same_shapes(module, shapes) else None


def _is_head(layer: nn.Module) -> bool:
    return isinstance(layer, (nn.Linear, nn.Conv2d)) and layer.weight.shape[0] == CLASSES


def _new_main_head(module: nn.Module, place: str, shapes: Shapes) -> Head | None:
    """Puts the file's head into the module: the same layer with other classes, a new head in its
    place, or a new head in place of the whole block of flat layers that holds it."""
    original, head = module.get_submodule(place), None
    if not _goes_on(module, place, shapes):
        head = same_head(original, below(shapes, place))
        if head is None and isinstance(original, nn.Linear):
            head = new_head(original.in_features, below(shapes, place))
    if head is None and isinstance(original, nn.Linear):
        place = place.split(".")[0]
        block = [layer for layer in module.get_submodule(place).modules()
                 if not isinstance(layer, nn.Sequential)]
        if all(isinstance(layer, FLAT) for layer in block) and not _cut_off(module, place, shapes):
            first = next(layer for layer in block if isinstance(layer, nn.Linear))
            head = new_head(first.in_features, below(shapes, place))
    if head:
        module.set_submodule(place, head.module)
    return head


def _goes_on(module: nn.Module, place: str, shapes: Shapes) -> bool:
    """Whether the file's block of the head has layers behind the last one, which are then the
    classes'; not told of blocks whose activations a new head would not have."""
    start, _, inner = place.partition(".")
    block = module.get_submodule(start)
    if any(isinstance(layer, (nn.Hardswish, nn.Tanh)) for layer in block.modules()):
        return False
    others = {name for name in below(shapes, start) if not name.startswith(f"{inner}.")}
    return bool(inner) and not others <= block.state_dict().keys()


def _cut_off(module: nn.Module, place: str, shapes: Shapes) -> bool:
    """Whether the block is as it was but for its last layer: then what is left gives features."""
    its, mine = shapes_of(module.get_submodule(place).state_dict()), below(shapes, place)
    return len(mine) < len(its) and all(
        mine.get(name) == size for name, size in list(its.items())[:len(mine)])


def _input_of(name: str, classes: int, side: int | None) -> dict[str, Any]:
    """Keys of the card that torchvision's own weights of this network state. Their normalisation
    and class names only where there are ImageNet's 1000 classes."""
    from torchvision import models

    known = list(models.get_model_weights(name))
    weights = next((w for w in known if w.transforms().crop_size == [side]),
                   models.get_model_weights(name).DEFAULT)
    steps = weights.transforms()
    side = side or steps.crop_size[0]
    said: dict[str, Any] = {"input_height": side, "input_width": side}
    if classes != CLASSES:
        return said
    return said | {
        "input_range": (0.0, 1.0), "input_mean": tuple(steps.mean), "input_std": tuple(steps.std),
        "input_resize": ShorterSide(steps.resize_size[0], steps.crop_size[0], "down"),
        "class_names": tuple(weights.meta["categories"]),
    }


FAMILY = Family("torchvision", build, proposals, near)
