"""Which points of a series make one line, which of them are in sight, and which are drawn."""

import numpy as np
import pandas as pd

from core.training_curves import extremes


def pieces(table: pd.DataFrame, starts: np.ndarray) -> np.ndarray:
    """A number that changes with each series, where steps go back, and around NaN and infinity."""
    steps, odd = table["step"].to_numpy(), ~np.isfinite(table["value"].to_numpy())
    new = odd.copy()
    new[1:] |= odd[:-1] | (steps[1:] < steps[:-1])
    new[starts] = True
    return np.cumsum(new, dtype=np.int32)


def in_stretch(table: pd.DataFrame,
               stretch: tuple[float, float] | None) -> tuple[pd.DataFrame, np.ndarray]:
    """The points in the stretch with their neighbours, so that lines reach the edge; and which of
    them are inside."""
    if stretch is None:
        return table, np.ones(len(table), bool)
    x, piece = table["x"].to_numpy(), table["piece"].to_numpy()
    inside = (x >= stretch[0]) & (x <= stretch[1])
    same = piece[1:] == piece[:-1]
    kept = inside.copy()
    kept[1:] |= inside[:-1] & same
    kept[:-1] |= inside[1:] & same
    crossing = np.flatnonzero(same & (x[:-1] < stretch[0]) & (x[1:] > stretch[1]))
    kept[crossing] = kept[crossing + 1] = True  # a line that only passes through
    return table[kept], inside[kept]


def thinned(table: pd.DataFrame, limit: int) -> np.ndarray:
    """Places of at most `limit` points a run."""
    runs = table["run"].cat.codes.to_numpy()
    starts = np.flatnonzero(np.diff(runs, prepend=-1))
    values = table["value"].to_numpy()
    kept = [part if len(part) <= limit else part[extremes(values[part], limit)]
            for part in np.split(np.arange(len(runs)), starts[1:])]
    return np.concatenate(kept)
