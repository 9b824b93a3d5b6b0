"""The usual other ways to prepare pictures for a network, one change or two at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from core.card import InputSpec, ShorterSide
from core.preprocess import as_network_sees
from core.setups.setup import Change, Fitting, SetUp
from core.setups.values import normalisations

COMPARED = 2048  # numbers by which two set-ups are told apart
ZOOM = 8 / 7  # a shorter side of 256 for a crop of 224
Fits = Mapping[Fitting, Sequence[np.ndarray]]  # the pictures, in each way to the input's size


@dataclass(frozen=True)
class Colours:
    """RGB becomes BGR, or the other way round; mean and std stay with their channel."""

    words: str
    kind: str = "colours"
    cost: float = 1.0

    def apply(self, setup: SetUp) -> SetUp:
        other = "RGB" if setup.spec.channel_order == "BGR" else "BGR"
        return replace(setup, spec=replace(setup.spec, channel_order=other))


@dataclass(frozen=True)
class Inverted:
    """Dark becomes light."""

    words: str = "inverted pictures"
    kind: str = "inverted"
    cost: float = 1.0

    def apply(self, setup: SetUp) -> SetUp:
        return replace(setup, spec=replace(setup.spec, range=setup.spec.range[::-1]))


@dataclass(frozen=True)
class Transposed:
    """Rows become columns."""

    words: str = "transposed pictures"
    kind: str = "transposed"
    cost: float = 1.0

    def apply(self, setup: SetUp) -> SetUp:
        return replace(setup, transposed=True)


@dataclass(frozen=True)
class Fitted:
    """Another way to the input's size."""

    words: str
    resize: str | ShorterSide
    kind: str = "size"
    cost: float = 1.0

    def apply(self, setup: SetUp) -> SetUp:
        return replace(setup, spec=replace(setup.spec, resize=self.resize))


def fittings(spec: InputSpec) -> dict[Fitting, SetUp]:
    """The ways to the input's size among all alternatives, each with a set-up that takes it."""
    setups = [SetUp(spec), *(change.apply(SetUp(spec)) for change in _others(spec))]
    return {setup.fitting: setup for setup in setups}


def alternatives(spec: InputSpec, fits: Fits) -> list[SetUp]:
    """The set-up as it is, then those that differ from it by one change, then by two.

    Those that come to the same for these pictures are listed once. `spec` has nothing left open.
    """
    changes = [*_others(spec), *normalisations(spec, fits[SetUp(spec).fitting])]
    tried = [(), *((change,) for change in changes)]
    tried += [pair for pair in combinations(changes, 2) if pair[0].kind != pair[1].kind]
    found: list[SetUp] = []
    seen: list[np.ndarray] = []
    for chosen in tried:
        setup = _with(spec, chosen)
        values = _values(setup, fits)
        if not any(np.allclose(values, other, rtol=1e-3, atol=1e-3) for other in seen):
            found.append(setup)
            seen.append(values)
    return found


def _with(spec: InputSpec, changes: Sequence[Change]) -> SetUp:
    """The changes in their order: a normalisation comes last and sees what colours were swapped."""
    setup = SetUp(spec)
    for change in changes:
        setup = change.apply(setup)
    words = tuple(change.words for change in changes)
    return replace(setup, words=words, cost=sum(change.cost for change in changes))


def _values(setup: SetUp, fits: Fits) -> np.ndarray:
    """Some of the numbers that the network gets from a few of the pictures."""
    pictures = fits[setup.fitting]
    few = pictures[:: max(1, len(pictures) // 4)][:4]
    flat = np.concatenate(
        [as_network_sees(setup.turned(picture), setup.spec).ravel() for picture in few]
    )
    return flat[:: max(1, len(flat) // COMPARED) | 1]  # an odd step meets every channel


def _others(spec: InputSpec) -> list[Change]:
    """What is done to pictures apart from their values' range, mean and std."""
    found: list[Change] = []
    if spec.channels == 3:
        other = "RGB" if spec.channel_order == "BGR" else "BGR"
        found.append(Colours(f"channels in the order {other}"))
    found += [Inverted(), Transposed()]
    side = spec.height
    if side == spec.width:
        zoomed = round(side * ZOOM)
        found += [
            Fitted("stretched to the size", "stretch"),
            Fitted(f"the shorter side brought to {side}, {side} cropped", ShorterSide(side, side)),
            Fitted(f"the shorter side brought to {zoomed}, {side} cropped",
                   ShorterSide(zoomed, side)),
        ]
    return found
