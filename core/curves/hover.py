"""What stands under the pointer: at each place along the axis the nearest point of each series."""

import numpy as np
import pandas as pd

MOST_PLACES = 200


def places(x: np.ndarray, logarithmic: bool = False, most: int = MOST_PLACES) -> np.ndarray:
    """Where the pointer can stop, ascending: at each point, or evenly spaced where they are many.

    Evenly as it looks: in logarithms on a logarithmic axis.
    """
    different = np.unique(x[np.isfinite(x)])
    if len(different) <= most:
        return different
    spaced = np.geomspace if logarithmic else np.linspace
    return spaced(different[0], different[-1], most)


def nearest(x: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Rows of the points (any order) that are nearest to each place; of two as near the later in x,
    of several at the same x the last one."""
    order = np.argsort(x, kind="stable")
    ranked = x[order]
    right = np.searchsorted(ranked, at, side="left").clip(max=len(x) - 1)
    left = (right - 1).clip(0)
    closer = np.where(at - ranked[left] < ranked[right] - at, left, right)
    return order[np.searchsorted(ranked, ranked[closer], side="right") - 1]


def under_pointer(series: dict[str, pd.DataFrame], at: np.ndarray) -> dict[str, pd.DataFrame]:
    """By name of the series, its rows nearest to each place: as many as there are places."""
    return {name: part.iloc[nearest(part["x"].to_numpy(), at)]
            for name, part in series.items() if len(part)}
