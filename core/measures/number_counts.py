"""Counts of numbers by their leading bits: any range, in one pass, without knowing it before."""

import numpy as np
import torch

FINE = 6  # bits after the leading one, so that a bin is at most 1/64 of its number wide
OCTAVES = 60  # from 2^-30 to 2^30; smaller numbers count as 0, larger ones as the largest
LOWEST = (127 - OCTAVES // 2) << FINE
SIDE = OCTAVES << FINE  # bins above 0, and below
BINS = 2 * SIDE + 1
_LATER = 23 - FINE  # bits of a float32 that are left out
_above = ((np.arange(1, SIDE + 2) + LOWEST) << _LATER).astype(np.int32).view(np.float32)
EDGES = np.concatenate([-_above[::-1], _above]).astype(np.float64)  # ascending, (BINS + 1,)


def counted(numbers: torch.Tensor) -> torch.Tensor:
    """How many of the finite float32 numbers (n,) fall between EDGES: int64 (BINS,)."""
    bits = numbers[torch.isfinite(numbers)].view(torch.int32)
    size = ((bits & 0x7FFFFFFF) >> _LATER).sub_(LOWEST).clamp_(0, SIDE)
    return torch.bincount(torch.where(bits < 0, SIDE - size, SIDE + size), minlength=BINS)


def quantiles(counts: np.ndarray, levels: tuple[float, ...]) -> list[float]:
    """The numbers below which these shares lie, to within a bin."""
    below = np.cumsum(counts)
    wanted = np.array(levels) * below[-1]
    places = np.minimum(np.searchsorted(below, wanted), BINS - 1)
    inside = (wanted - below[places] + counts[places]) / np.maximum(counts[places], 1)
    found = EDGES[places] + np.clip(inside, 0, 1) * (EDGES[places + 1] - EDGES[places])
    return [float(number) for number in np.where(places == SIDE, 0.0, found)]


def histogram(counts: np.ndarray, low: float, high: float, bins: int) -> np.ndarray:
    """Counts in equal bins from `low` to `high`; a bin that lies across several is shared out by
    their parts of it. Zeros are left out."""
    others = counts.astype(np.float64)
    others[SIDE] = 0
    below = np.concatenate([[0.0], np.cumsum(others)])
    return np.diff(np.interp(np.linspace(low, high, bins + 1), EDGES, below))
