"""Round numbers along an axis, and how they are written."""

import numpy as np
import pandas as pd

from core.curves.axes import MILLISECONDS

SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200,
           86_400, 172_800, 604_800, 2_592_000, 31_536_000)


def ticks(low: float, high: float, log: bool = False, date: bool = False,
          about: int = 6) -> list[float]:
    """Round values from low to high, about so many; of a date in milliseconds since 1970."""
    if date:
        wished = (high - low) / MILLISECONDS / about
        step = next((size for size in SECONDS if size >= wished), SECONDS[-1]) * MILLISECONDS
        return _multiples(low, high, step)
    if log and high / low >= 10:
        first, last = np.ceil(np.log10(low) - 1e-9), np.floor(np.log10(high) + 1e-9)
        every = max(1, int(np.ceil((last - first) / (about + 1))))
        found = [10.0**power for power in np.arange(first, last + 1, every)]
        if len(found) > 1:
            return found
    wished = (high - low) / about
    if wished <= 0 or not np.isfinite(wished):
        return [low]
    size = 10.0 ** np.floor(np.log10(wished))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= wished * 0.999)
    return _multiples(low, high, step)


def _multiples(low: float, high: float, step: float) -> list[float]:
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    # Adding 0 makes 0 of -0, which would be written with its sign.
    return [float(f"{place * step:.12g}") + 0.0 for place in np.arange(first, last + 1)]


def written(values: list[float], date: bool = False) -> list[str]:
    """What stands beside ticks: 2k for 2000; a date in as few words as tell them apart."""
    if not date:
        return [_number(value) for value in values]
    stamps = [pd.Timestamp(value / MILLISECONDS, unit="s") for value in values]
    days = len({stamp.date() for stamp in stamps}) > 1
    whole = all(stamp.normalize() == stamp for stamp in stamps)
    form = "%Y-%m-%d" if whole else "%m-%d %H:%M" if days else "%H:%M:%S"
    return [stamp.strftime(form) for stamp in stamps]


def _number(value: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size <= abs(value) < size * 1000:
            return f"{value / size:.6g}{unit}"
    return f"{value:.6g}"
