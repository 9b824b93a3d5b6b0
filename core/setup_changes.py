"""The usual other ways to prepare pictures for a network, one change or two at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Protocol

import numpy as np

from core.card import InputSpec
from core.preprocess import as_network_sees, resized

COMPARED = 2048  # numbers by which two set-ups are told apart
ZOOM = 8 / 7  # a shorter side of 256 for a crop of 224
NEAR = 0.02  # within which the data's own mean and std are taken for known ones
UNIT = (0.0, 1.0)
Numbers = tuple[float, ...]
Fitting = tuple[str | tuple[int, int] | None, bool]
Fits = Mapping[Fitting, Sequence[np.ndarray]]  # the pictures, in each way to the input's size


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
    resize: str | tuple[int, int]
    kind: str = "size"
    cost: float = 1.0

    def apply(self, setup: SetUp) -> SetUp:
        return replace(setup, spec=replace(setup.spec, resize=self.resize))


@dataclass(frozen=True)
class Normalised:
    """Another range, and where they are given another mean and std.

    mean, std: red, green, blue or one number, of values in the range; None leaves the card's.
    of_data: measured on these pictures, so mirrored when they are inverted.
    """

    words: str
    range: tuple[float, float]
    mean: Numbers | None = None
    std: Numbers | None = None
    of_data: bool = False
    kind: str = "values"

    @property
    def cost(self) -> float:
        return 1.0 if self.mean is None else 1.2  # the range alone is the likelier slip

    def apply(self, setup: SetUp) -> SetUp:
        inverted = setup.spec.range[0] > setup.spec.range[1]
        spec = replace(setup.spec, range=self.range[::-1] if inverted else self.range)
        if self.mean is not None:
            mean, std = self.mean, self.std
            if inverted and self.of_data:
                mean = tuple(round(sum(self.range) - number, 4) for number in mean)
            if spec.channel_order == "BGR":
                mean, std = mean[::-1], std[::-1]
            spec = replace(spec, mean=mean, std=std)
        return replace(setup, spec=spec)


def fittings(spec: InputSpec) -> dict[Fitting, SetUp]:
    """The ways to the input's size among all alternatives, each with a set-up that takes it."""
    setups = [SetUp(spec), *(change.apply(SetUp(spec)) for change in _others(spec))]
    return {setup.fitting: setup for setup in setups}


def alternatives(spec: InputSpec, fits: Fits) -> list[SetUp]:
    """The set-up as it is, then those that differ from it by one change, then by two.

    Those that come to the same for these pictures are listed once. `spec` has nothing left open.
    """
    changes = [*_others(spec), *_normalisations(spec, fits[SetUp(spec).fitting])]
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
            Fitted(f"the shorter side brought to {side}, {side} cropped", (side, side)),
            Fitted(f"the shorter side brought to {zoomed}, {side} cropped", (zoomed, side)),
        ]
    return found


def _normalisations(spec: InputSpec, pictures: Sequence[np.ndarray]) -> list[Change]:
    ranges = {"0–1": UNIT, "−1–1": (-1.0, 1.0), "0–255": (0.0, 255.0)}
    found = [
        Normalised(f"values {name}, no mean and std", pair, (0.0,), (1.0,))
        for name, pair in ranges.items()
    ]
    if (spec.mean, spec.std) != ((0.0,), (1.0,)):
        found = [Normalised(f"values {name}, mean and std as they are", pair)
                 for name, pair in ranges.items()] + found
    for name, mean, std in _known(spec.channels):
        found.append(Normalised(f"values 0–1, {name}", UNIT, mean, std))
        if name.startswith("ImageNet"):
            found.append(Normalised("values 0–255, minus ImageNet's mean", ranges["0–255"],
                                    tuple(round(255 * number, 3) for number in mean), (1.0,)))
    mean, std = _measured(pictures)
    if not any(_near(mean + std, other[1] + other[2]) for other in _known(spec.channels)):
        found.append(Normalised("values 0–1, the data's own mean and std", UNIT, mean, std, True))
    return found


def _known(channels: int) -> list[tuple[str, Numbers, Numbers]]:
    """Means and stds that many networks were trained with, of values 0 to 1."""
    half = ("mean 0.5 and std 0.25", (0.5,), (0.25,))
    if channels != 3:
        return [half, ("MNIST's mean and std", (0.1307,), (0.3081,))]
    return [
        half,
        ("ImageNet's mean and std", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("CIFAR-10's mean and std", (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
    ]


def _near(numbers: Numbers, others: Numbers) -> bool:
    return len(numbers) == len(others) and np.allclose(numbers, others, atol=NEAR)


def _measured(pictures: Sequence[np.ndarray]) -> tuple[Numbers, Numbers]:
    """Mean and std of pictures in the input's size, red, green, blue; values 0 to 1."""
    each = [picture.reshape(-1, picture.shape[2]) / 255 for picture in pictures]
    mean = np.mean([values.mean(0) for values in each], axis=0)
    squares = np.mean([(values**2).mean(0) for values in each], axis=0)
    std = np.maximum(np.sqrt(np.maximum(squares - mean**2, 0)), 1e-3)
    return tuple(np.round(mean, 4).tolist()), tuple(np.round(std, 4).tolist())
