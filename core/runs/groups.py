"""Runs that share a hyperparameter, as one curve: their mean and a band on common steps."""

from typing import Literal

import numpy as np
import pandas as pd

COLUMNS = ["group", "tag", "step", "mean", "low", "high", "n"]
NOT_STATED = "not stated"


def groups_by(settings: pd.Series) -> dict[str, str]:
    """The group of each run: settings are one hyperparameter's values, indexed by run."""
    return {str(run): stated_as(value) for run, value in settings.items()}


def stated_as(value: float | str | bool | None) -> str:
    """A hyperparameter in words: 32.0 as "32"."""
    return NOT_STATED if pd.isna(value) else str(value).removesuffix(".0")


def band(
    curves: pd.DataFrame,
    group_of: dict[str, str],
    kind: Literal["std", "min-max"],
    points: int = 500,
    value: str = "value",
) -> pd.DataFrame:
    """Mean and band of each group and tag: COLUMNS, groups in the order in which `group_of` first
    names them, steps ascending.

    curves: run, tag, step and the column `value`; runs that `group_of` does not name are left out.
    A run counts at a step (n of them do) between its own first and last, on the straight line from
    one point to the next; where one of the two is NaN or infinite it does not count, and of points
    at the same step the last one counts. Steps without a run are left out. The steps are those that
    were logged, or `points` evenly spaced ones where more were.
    low, high: mean ± the sample standard deviation, NaN where n is 1; or the extremes of the runs.
    """
    known = curves[curves["run"].isin(list(group_of))]
    known = known.assign(group=known["run"].astype(str).map(group_of))
    parts = [
        _band(part, kind, points, value).assign(group=group, tag=tag)
        for group in dict.fromkeys(group_of.values())
        for tag, part in known[known["group"] == group].groupby("tag", observed=True)
    ]
    kept = [part for part in parts if len(part)]
    return pd.concat(kept, ignore_index=True)[COLUMNS] if kept else pd.DataFrame(columns=COLUMNS)


def _band(part: pd.DataFrame, kind: str, points: int, value: str) -> pd.DataFrame:
    steps = _steps(part["step"].to_numpy(np.float64), points)
    lines = np.stack([
        _at(steps, run["step"].to_numpy(np.float64), run[value].to_numpy(np.float64))
        for _, run in part.groupby("run", observed=True)
    ])  # (runs, steps)
    n = np.isfinite(lines).sum(axis=0)
    steps, lines, n = steps[n > 0], lines[:, n > 0], n[n > 0]
    mean = np.nanmean(lines, axis=0)
    if kind == "min-max":
        low, high = np.nanmin(lines, axis=0), np.nanmax(lines, axis=0)
    else:
        squares = np.nansum((lines - mean) ** 2, axis=0)
        spread = np.sqrt(squares / np.where(n > 1, n - 1, np.nan))
        low, high = mean - spread, mean + spread
    return pd.DataFrame({"step": steps, "mean": mean, "low": low, "high": high, "n": n})


def _steps(logged: np.ndarray, points: int) -> np.ndarray:
    different = np.unique(logged)
    if len(different) <= points:
        return different
    return np.linspace(different[0], different[-1], points)


def _at(steps: np.ndarray, logged: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The values at those steps on straight lines between the points; NaN where none says."""
    order = np.argsort(logged, kind="stable")
    logged, values = logged[order], values[order]
    last = np.append(logged[1:] != logged[:-1], True)
    logged, values = logged[last], values[last]
    left = np.searchsorted(logged, steps, side="right") - 1
    right = np.searchsorted(logged, steps, side="left")
    inside = (left >= 0) & (right < len(logged))
    left, right = left.clip(0), right.clip(max=len(logged) - 1)
    sound = inside & np.isfinite(values[left]) & np.isfinite(values[right])
    finite = np.where(np.isfinite(values), values, 0.0)
    return np.where(sound, np.interp(steps, logged, finite), np.nan)
