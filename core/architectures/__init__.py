"""Architecture families: one file each, that tells a state dict from its names and shapes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from core.card import Card


@dataclass(frozen=True)
class Built:
    """A network on the meta device whose state dict has exactly the tensors that were asked for.

    card: what the tensors say of input and output, each key marked as inferred.
    exact: whether names and shapes leave no choice; where they do, `notes` says what was chosen.
    """

    module: nn.Module
    card: Card
    notes: tuple[str, ...] = field(default=())
    exact: bool = True


@dataclass(frozen=True)
class Family:
    """One family of architectures.

    build: (tensors by name, card) -> Built, or None where the tensors are not this family's.
    Tensors may be on the meta device: only names, shapes and dtypes count. `card.architecture`
    names one network of the family where a person or a card says which.
    """

    title: str
    build: Callable[[Mapping[str, torch.Tensor], Card], Built | None]
