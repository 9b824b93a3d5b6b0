"""Architecture families: one file each, that tells a state dict from its names and shapes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from core.card import Card

Tensors = Mapping[str, torch.Tensor]
Shapes = Mapping[str, torch.Size]


@dataclass(frozen=True)
class Built:
    """A network on the meta device whose state dict has exactly the tensors that were asked for.

    card: what the tensors say of input and output, each key marked as inferred.
    exact: whether names and shapes leave no choice; where they do, `notes` says what was chosen.
    renamed: from the tensors to those of the state dict, where it has other names or joins them.
    """

    module: nn.Module
    card: Card
    notes: tuple[str, ...] = field(default=())
    exact: bool = True
    renamed: Callable[[Tensors], dict[str, torch.Tensor]] | None = None


def _none(*asked: object) -> tuple[()]:
    return ()


@dataclass(frozen=True)
class Family:
    """One family of architectures. Tensors may be on the meta device: only names, shapes and
    dtypes count.

    build: (tensors by name, card) -> Built, or None where the tensors are not this family's.
    `card.architecture` names one network of the family where a person or a card says which.
    proposals: (tensors, card) -> every network that they may be where they leave a choice, the
    likeliest or the named one first, each with a `card.architecture` that `build` knows it by.
    near: (shapes, card) -> (name, shapes) of networks that these may be meant to be, though not
    one has exactly these.
    advice: (shapes, card) -> sentences on what would let this family open them.
    steps_aside: asked only where no family that steps aside less knows the tensors: 1 for what is
    told by shapes more than by names, 2 for what is told by shapes alone.
    """

    title: str
    build: Callable[[Tensors, Card], Built | None]
    proposals: Callable[[Tensors, Card], Iterable[Built]] = _none
    near: Callable[[Shapes, Card], Iterable[tuple[str, Shapes]]] = _none
    advice: Callable[[Shapes, Card], Iterable[str]] = _none
    steps_aside: int = 0
