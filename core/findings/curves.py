"""One logged curve as the rules of core.training_findings see it: repeated steps once, its level
under the noise, how it began, how it ended."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from core.log_files.oddities import in_series


@dataclass(frozen=True)
class Curve:
    """One tag of one run, by ascending step."""

    run: str
    tag: str
    steps: np.ndarray
    values: np.ndarray

    def finite(self) -> "Curve":
        """Without NaN and infinity."""
        kept = np.isfinite(self.values)
        return self if kept.all() else self.of(kept)

    def of(self, chosen: np.ndarray | slice) -> "Curve":
        """Some of its points."""
        return Curve(self.run, self.tag, self.steps[chosen], self.values[chosen])


def curves_of(table: pd.DataFrame) -> list[Curve]:
    """Every run and tag of a log table; of steps that repeat the value logged last counts."""
    rows, starts = in_series(table)
    runs, tags = table["run"], table["tag"]
    steps, values = table["step"].to_numpy(), table["value"].to_numpy()
    found = []
    for a, b in pairwise([*starts, len(rows)]):
        part = rows[a:b]
        if (np.diff(steps[part]) <= 0).any():
            part = part[np.argsort(steps[part], kind="stable")]
            part = part[np.append(steps[part][1:] != steps[part][:-1], True)]
        found.append(Curve(runs.iat[part[0]], tags.iat[part[0]], steps[part], values[part]))
    return found


def level(values: np.ndarray) -> np.ndarray:
    """The centred moving mean over about a tenth of the points, three at least; at the ends over
    those that are there."""
    half = max(1, len(values) // 20)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)


def began(values: np.ndarray) -> float:
    """The median of the first tenth of the points."""
    return float(np.median(values[: max(1, len(values) // 10)]))


def ended(values: np.ndarray) -> float:
    """The mean of the last tenth of the points, three at least."""
    return float(np.mean(values[-max(3, len(values) // 10) :]))


def noise(values: np.ndarray) -> float:
    """How far points stray from their neighbours: the standard deviation that differences of
    second order have, by their median, so that neither a slope nor a few jumps count."""
    if len(values) < 3:
        return 0.0
    bends = np.diff(values, 2)  # of white noise, sqrt(6) times its deviation
    return float(1.4826 * np.median(np.abs(bends)) / np.sqrt(6))


def fall_of(values: np.ndarray) -> tuple[float, float]:
    """(how far a straight line through the points falls from the first to the last, the standard
    error of that)."""
    place = np.linspace(-0.5, 0.5, len(values))
    spread = float((place**2).sum())
    slope = float((place * values).sum()) / spread
    rest = values - values.mean() - slope * place
    return -slope, float(np.sqrt((rest**2).sum() / max(1, len(values) - 2) / spread))
