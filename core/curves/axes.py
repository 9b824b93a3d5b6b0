"""Where a point stands along an axis: its step, epoch, time or place in the series."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.log_files.columns import EPOCHS, known_name
from core.log_files.oddities import in_series

UNITS = (("seconds", 1.0, 180.0), ("minutes", 60.0, 180.0), ("hours", 3600.0, np.inf))
MILLISECONDS = 1000.0


@dataclass(frozen=True)
class Axis:
    """title: under the chart. kind: "number" or "date" (milliseconds since 1970). lacking: why a
    point has no place on it."""

    title: str
    kind: str = "number"
    lacking: str = ""


NO_TIME = "without a wall time in the log, so without a place along this axis"
AXES = {
    "step": Axis("step"),
    "epoch": Axis("epoch", lacking="without an epoch: it comes from a step counted in epochs, or a "
                                   "tag named epoch in the same run, between its first and last "
                                   "step"),
    "relative time": Axis("since the first point", lacking=NO_TIME),
    "wall time": Axis("time, UTC", "date", NO_TIME),
    "index": Axis("number of the point in its run"),
}


def is_epoch(tag: str) -> bool:
    """Whether a tag says which epoch a step belongs to: epoch, trainer/epoch."""
    return known_name(tag.rpartition("/")[2]) in EPOCHS


def epochs_of(table: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By run its steps, ascending and each once, and their epochs, from its first tag of epochs.

    Of a counter that stays the same for many steps only the first one is kept, so that the epochs
    between are fractions; its last epoch is as long as the one before.
    """
    tags = [tag for tag in table["tag"].cat.categories if is_epoch(tag)]
    found = {}
    for run, part in table[table["tag"].isin(tags)].groupby("run", observed=True):
        first = part[part["tag"] == part["tag"].iat[0]].dropna(subset="value")
        last = first.drop_duplicates("step", keep="last").sort_values("step")
        if len(last):
            found[run] = _begins(last["step"].to_numpy(np.float64),
                                 last["value"].to_numpy(np.float64))
    return found


def _begins(steps: np.ndarray, epochs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each epoch begins, and the last step."""
    new = np.append(True, epochs[1:] != epochs[:-1])
    begins, values = steps[new], epochs[new]
    if steps[-1] == begins[-1]:
        return begins, values
    length = begins[-1] - begins[-2] if len(begins) > 1 else steps[-1] - begins[-1] + 1
    share = min(1.0, (steps[-1] - begins[-1]) / length)
    return np.append(begins, steps[-1]), np.append(values, values[-1] + share)


def epoch_at(steps: np.ndarray, known: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Epochs at steps, on straight lines between those that are known; NaN outside them."""
    return np.interp(steps, *known, left=np.nan, right=np.nan)


def unit_of_time(table: pd.DataFrame) -> tuple[str, float]:
    """The name and the seconds of the unit that suits the longest series of a log."""
    rows, starts = in_series(table)
    if not len(rows):
        return UNITS[0][:2]
    times = dated(table["wall_time"].to_numpy())[rows]
    low, high = np.fmin.reduceat(times, starts), np.fmax.reduceat(times, starts)
    spans = high - low
    longest = np.nanmax(spans) if np.isfinite(spans).any() else 0.0
    return next((name, size) for name, size, most in UNITS if longest <= most * size)


def dated(times: np.ndarray) -> np.ndarray:
    """Wall times, NaN where the log has none or has written 0."""
    return np.where(times > 0, times, np.nan)


def since_first(times: np.ndarray, parts: Iterable[np.ndarray]) -> np.ndarray:
    """Seconds since the first dated point of each part."""
    result = np.full(len(times), np.nan)
    for part in parts:
        known = times[part][np.isfinite(times[part])]
        if len(known):
            result[part] = times[part] - known[0]
    return result
