"""The last layers of a network that people replace to train on their own classes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

Shapes = Mapping[str, torch.Size]


@dataclass(frozen=True)
class Head:
    """A head on the meta device with exactly the tensors asked for. guessed: what was put where
    the tensors leave open what runs between two layers, or nothing."""

    module: nn.Module
    classes: int
    guessed: str = ""


def below(shapes: Shapes, place: str) -> dict[str, torch.Size]:
    """The tensors under a module's name, by their names in it."""
    start = f"{place}."
    return {name[len(start):]: size for name, size in shapes.items() if name.startswith(start)}


def same_head(original: nn.Linear | nn.Conv2d, shapes: Shapes) -> Head | None:
    """The original layer with another number of outputs; None where the tensors are not that."""
    weight = shapes.get("weight")
    if weight is None or not weight or not weight[0] or weight[1:] != original.weight.shape[1:]:
        return None
    bias = "bias" in shapes
    with torch.device("meta"):
        if isinstance(original, nn.Conv2d):
            made: nn.Module = nn.Conv2d(weight[1], weight[0], original.kernel_size, bias=bias)
        else:
            made = nn.Linear(weight[1], weight[0], bias=bias)
    return Head(made, weight[0]) if _fits(made, shapes) else None


def new_head(features: int, shapes: Shapes) -> Head | None:
    """A Linear, or a Sequential of Linear and norm layers, from `features` numbers; None where
    the tensors are not that. Between two Linear layers with a free place, ReLU is put."""
    if "weight" in shapes:
        with torch.device("meta"):
            linear = nn.Linear(features, 1)
        return same_head(linear, shapes)
    indices = {name.split(".")[0] for name in shapes}
    if not indices or not all(re.fullmatch("[0-9]|[1-5][0-9]", index) for index in indices):
        return None
    places = {int(index): below(shapes, index) for index in indices}
    layers: list[nn.Module] = [nn.Identity() for _ in range(max(places) + 1)]
    for place in sorted(places):
        layer = _layer(features, places[place])
        if layer is None:
            return None
        layers[place] = layer
        features = layer.out_features if isinstance(layer, nn.Linear) else features
    if not isinstance(layers[-1], nn.Linear):
        return None
    guessed = _activations(layers, places.keys())
    head = nn.Sequential(*layers)
    return Head(head, features, guessed) if _fits(head, shapes) else None


def _layer(features: int, shapes: Shapes) -> nn.Module | None:
    """A Linear, BatchNorm1d or LayerNorm over `features` numbers."""
    weight = shapes.get("weight")
    with torch.device("meta"):
        if "running_mean" in shapes:
            return nn.BatchNorm1d(features)
        if weight is not None and len(weight) == 1:
            return nn.LayerNorm(features)
        if weight is not None and len(weight) == 2:
            return nn.Linear(features, weight[0], bias="bias" in shapes)
    return None


def _activations(layers: list[nn.Module], known: set[int]) -> str:
    """Puts ReLU into the first free place between two Linear layers; says where it did."""
    linear = [place for place in sorted(known) if isinstance(layers[place], nn.Linear)]
    put = []
    for first, second in pairwise(linear):
        free = next((place for place in range(first, second) if place not in known), None)
        if free is not None:
            layers[free] = nn.ReLU()
            put.append(str(free))
    return f"ReLU stands at place {', '.join(put)} of its new head" if put else ""


def _fits(module: nn.Module, shapes: Shapes) -> bool:
    return {name: tensor.shape for name, tensor in module.state_dict().items()} == dict(shapes)
