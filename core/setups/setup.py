"""A set-up: how pictures enter a network, and what a change of it is."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from core.card import InputSpec, ShorterSide
from core.preprocess import resized

Fitting = tuple[str | ShorterSide | None, bool]


class Change(Protocol):
    """One thing done differently. words: what, for a person; kind: only one of each at a time;
    cost: how much it assumes."""

    words: str
    kind: str
    cost: float

    def apply(self, setup: "SetUp") -> "SetUp": ...


@dataclass(frozen=True)
class SetUp:
    """How pictures enter a network; `transposed` swaps rows and columns, which no card says.

    words, cost: of what is changed against the set-up as it is.
    """

    spec: InputSpec
    transposed: bool = False
    words: tuple[str, ...] = ()
    cost: float = 0.0

    @property
    def fitting(self) -> Fitting:
        """What of it decides how a picture is brought to the input's size."""
        return self.spec.resize, self.transposed and self.spec.height != self.spec.width

    def fitted(self, picture: np.ndarray) -> np.ndarray:
        """The picture in the input's size, the same for all set-ups of this `fitting`."""
        return resized(picture.transpose(1, 0, 2) if self.fitting[1] else picture, self.spec)

    def turned(self, fitted: np.ndarray) -> np.ndarray:
        """What range, mean and std are applied to, from what `fitted` gave: uint8 (H, W, C)."""
        done = self.fitting[1] or not self.transposed
        return fitted if done else fitted.transpose(1, 0, 2)
