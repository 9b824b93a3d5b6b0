"""Ranges, means and stds that networks are usually trained with, and the data's own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.card import InputSpec
from core.setups.setup import Change, SetUp

NEAR = 0.02  # within which the data's own mean and std are taken for known ones
UNIT = (0.0, 1.0)
Numbers = tuple[float, ...]


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


def normalisations(spec: InputSpec, pictures: Sequence[np.ndarray]) -> list[Change]:
    """Each other range, mean and std; pictures are in the input's size."""
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
