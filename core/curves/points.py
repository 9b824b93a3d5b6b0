"""The points of one tag as they are drawn: placed along an axis, split at gaps, thinned."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.cache import shared_resource
from core.curves.axes import (
    AXES,
    MILLISECONDS,
    dated,
    epoch_at,
    epochs_of,
    since_first,
    unit_of_time,
)
from core.curves.pieces import in_stretch, pieces, thinned
from core.errors import UserError
from core.library import open_logs
from core.log_files.oddities import counted, in_series
from core.training_curves import SMOOTHING, smoothed, visible_domain

MOST_OF_A_SERIES = 1000  # points in a chart
MOST_OF_A_CHART = 16_000  # beyond it a browser needs seconds
FEWEST_OF_A_SERIES = 60
MARKED = "marked ▲ where the last one before was."


@dataclass(frozen=True)
class Settings:
    """How curves are drawn. log: the vertical axis. stretch, vertical: what is zoomed on along the
    axis and along the left vertical one, in their units; None for all."""

    smoothing: float = SMOOTHING
    axis: str = "step"
    log: bool = False
    outliers: bool = False
    log_x: bool = False
    stretch: tuple[float, float] | None = None
    vertical: tuple[float, float] | None = None


@dataclass(frozen=True)
class Points:
    """One tag of some runs.

    full: run, step, wall_time, value, smoothed, x, piece, for each point in the stretch and one
    beyond each of its ends; piece differs where a line must not go on: after a NaN, where steps go
    back. drawn: places in `full`, ascending, of the points that are drawn. domain: of the vertical
    axis, None for all. total: points in the stretch. notes: what is left out, one sentence each.
    """

    tag: str
    full: pd.DataFrame
    drawn: np.ndarray
    domain: tuple[float, float] | None
    total: int
    notes: tuple[str, ...]


def limit_for(series: int) -> int:
    """How many points each of so many series may have in a chart."""
    return min(MOST_OF_A_SERIES, max(FEWEST_OF_A_SERIES, MOST_OF_A_CHART // max(1, series)))


@shared_resource(entries=32)
def points(logs_id: str, tag: str, runs: tuple[str, ...], settings: Settings,
           limit: int = MOST_OF_A_SERIES) -> Points:
    """See Points. Raises UserError on a tag that is absent."""
    table = _placed(logs_id, tag, settings.smoothing, settings.axis)
    table = table[table["run"].isin(runs)]
    kept, notes = _drawable(table, settings)
    table, inside = in_stretch(table[kept], settings.stretch)
    domain = settings.vertical or (None if settings.outliers else _domain(table[inside]))
    return Points(tag, table, thinned(table, limit), domain, int(inside.sum()),
                  (*notes, *_odd(table["value"].to_numpy()[inside])))


def _domain(table: pd.DataFrame) -> tuple[float, float] | None:
    return visible_domain(table["smoothed"].to_numpy(), table["run"].cat.codes.to_numpy(),
                          table["value"].to_numpy())


@shared_resource(entries=4)
def _epochs(logs_id: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return epochs_of(open_logs(logs_id).table)


@shared_resource(entries=4)
def time_unit(logs_id: str) -> tuple[str, float]:
    """Of relative time in these logs: its name and its seconds."""
    return unit_of_time(open_logs(logs_id).table)


def axis_title(logs_id: str, axis: str) -> str:
    """What stands under a chart."""
    unit = f"{time_unit(logs_id)[0]} " if axis == "relative time" else ""
    return unit + AXES[axis].title


@shared_resource(entries=32)
def _placed(logs_id: str, tag: str, smoothing: float, axis: str) -> pd.DataFrame:
    """Every point of a tag with its smoothed value and its place, series after series."""
    table = open_logs(logs_id).table
    if tag not in table["tag"].cat.categories:
        some = ", ".join(table["tag"].cat.categories[:5])
        raise UserError(f"These logs have no tag {tag!r}. They have {some} …")
    table = table[table["tag"] == tag]
    rows, starts = in_series(table)
    table = table.iloc[rows].reset_index(drop=True)
    parts = np.split(np.arange(len(table)), starts[1:]) if len(table) else []
    values, smooth = table["value"].to_numpy(), np.empty(len(table))
    for part in parts:
        smooth[part] = smoothed(values[part], smoothing)
    table = table.assign(smoothed=smooth, x=_along(logs_id, table, parts, axis),
                         piece=pieces(table, starts), wall_time=dated(table["wall_time"]))
    return table.drop(columns="tag")


def _along(logs_id: str, table: pd.DataFrame, parts: list[np.ndarray], axis: str) -> np.ndarray:
    steps, times = table["step"].to_numpy(np.float64), dated(table["wall_time"].to_numpy())
    if axis == "step":
        return steps
    if axis == "index":
        return np.concatenate([np.arange(len(part)) for part in parts]).astype(np.float64)
    if axis == "wall time":
        return times * MILLISECONDS
    if axis == "relative time":
        return since_first(times, parts) / time_unit(logs_id)[1]
    result, known = np.full(len(table), np.nan), _epochs(logs_id)
    for part in parts:
        if (run := table["run"].iat[part[0]]) in known:
            result[part] = epoch_at(steps[part], known[run])
        elif run in open_logs(logs_id).by_epoch:
            result[part] = steps[part]
    return result


def _drawable(table: pd.DataFrame, settings: Settings) -> tuple[np.ndarray, list[str]]:
    """Which points have a place, and what is to be said of the others."""
    x, values = table["x"].to_numpy(), table["value"].to_numpy()
    placed, notes = np.isfinite(x), []
    if lost := int((~placed).sum()):
        runs = table["run"][~placed].nunique()
        notes.append(f"{counted(lost, 'point')} of {counted(runs, 'run')} "
                     f"{AXES[settings.axis].lacking}.")
    if settings.log_x and (low := int((placed & (x <= 0)).sum())):
        placed &= x > 0
        notes.append(f"{counted(low, 'point')} at 0 or before, which a logarithmic axis has not.")
    if settings.log:
        lowest = np.fmin(values, table["smoothed"].to_numpy())
        if low := int((placed & (lowest <= 0)).sum()):
            placed &= ~(lowest <= 0)
            notes.append(f"{counted(low, 'point')} of 0 or below, which a logarithmic axis has "
                         "not.")
    return placed, notes


def _odd(values: np.ndarray) -> list[str]:
    count = int((~np.isfinite(values)).sum())
    told = MARKED if count < len(values) else "so there is nothing to draw."
    return [f"{counted(count, 'value')} NaN or infinite, {told}"] if count else []


def held(points: Points) -> pd.DataFrame:
    """The drawn points that are NaN or infinite, `held` at the finite value before them (or after,
    where none is before), inside the domain; none of a series without any finite value."""
    table = points.full.iloc[points.drawn]
    finite = table["value"].where(np.isfinite(table["value"]))
    runs = finite.groupby(table["run"], observed=True)
    level = runs.ffill().fillna(runs.bfill())
    if points.domain:
        level = level.clip(*points.domain)  # at the edge rather than out of sight
    odd = table[finite.isna()].assign(held=level[finite.isna()])
    return odd.dropna(subset="held")
