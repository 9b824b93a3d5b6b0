"""What stands under the pointer: at each place along the axis the nearest point of each series."""

import numpy as np
import pandas as pd

from core.curves.axes import AXES, MILLISECONDS
from core.curves.points import Settings

MOST_PLACES = 200
MOST_UNDER_POINTER = 24  # series: a window has room for few lines more
DOTS = ["at", "name", "side", "x", "y"]
Series = dict[tuple[str, str, str], pd.DataFrame]  # by name, tag and side


def pointer(series: Series, settings: Settings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(at, place, and by column s0, s1 … the words of each of the first series; DOTS)."""
    series = dict(list(series.items())[:MOST_UNDER_POINTER])
    inside = {key: _inside(table, settings.stretch) for key, table in series.items()}
    x = np.concatenate([table["x"].to_numpy() for table in inside.values()] or [np.empty(0)])
    at = places(x, settings.log_x)
    span = np.ptp(at) / 50 if len(at) else 0.0
    rows, dots = {"at": at, "place": [_place(place, settings.axis) for place in at]}, []
    for number, (key, table) in enumerate(series.items()):
        if not len(at) or not len(table):
            continue
        near = table.iloc[nearest(table["x"].to_numpy(), at)]
        rows[f"s{number}"] = [
            words + (f" at {_place(there, settings.axis)}" if abs(there - place) > span else "")
            for words, there, place in zip(_words(near), near["x"], at, strict=True)]
        dots.append(pd.DataFrame({"at": at, "name": key[0], "side": key[2],
                                  "x": near["x"].to_numpy(), "y": near["y"].to_numpy()}))
    return pd.DataFrame(rows), (pd.concat(dots, ignore_index=True).dropna() if dots
                                else pd.DataFrame(columns=DOTS))


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


def _inside(table: pd.DataFrame, stretch: tuple[float, float] | None) -> pd.DataFrame:
    return table if stretch is None else table[table["x"].between(*stretch)]


def _words(near: pd.DataFrame) -> list[str]:
    """The value of each point: smoothed (as logged), a mean (its band, of how many runs), or a
    value (its margin)."""
    if "n" in near:
        return [f"{y:.4g} ({low:.4g} to {high:.4g}, {n} runs)" if n > 1 else f"{y:.4g} (1 run)"
                for y, low, high, n in zip(near["y"], near["least"], near["most"], near["n"],
                                           strict=True)]
    if "least" in near:
        return [f"{number(y)} ({number(low)} to {number(high)})"
                for y, low, high in zip(near["y"], near["least"], near["most"], strict=True)]
    return [number(y) if y == value or y != y else f"{y:.4g} ({value:.4g})"
            for y, value in zip(near["y"], near["value"], strict=True)]


def number(value: float) -> str:
    """A value in four digits, or in words."""
    return f"{value:.4g}".replace("nan", "NaN").replace("inf", "infinite")


def _place(x: float, axis: str) -> str:
    if AXES[axis].kind == "date":
        return pd.Timestamp(x / MILLISECONDS, unit="s").strftime("%Y-%m-%d %H:%M:%S")
    return f"{x:,.0f}" if axis in ("step", "index") else f"{x:,.4g}"
