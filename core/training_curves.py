"""Training curves: smoothed, thinned and summed up, run by run and tag by tag."""

from itertools import accumulate, pairwise

import numpy as np
import pandas as pd

from core.cache import cached_result
from core.findings.tag_names import direction
from core.library import open_logs
from core.log_files.oddities import in_series

SMOOTHING = 0.6  # TensorBoard's default
MOST_POINTS = 1000  # of one series in a chart
FEW, FAR = 20, 10  # points of a curve, of which only one that is as far off is an outlier


def smoothed(values: np.ndarray, weight: float = SMOOTHING) -> np.ndarray:
    """TensorBoard's debiased exponential moving average, number for number; weight 0 to below 1.

    NaN and infinity pass through and do not count; a constant series is left as it is.
    """
    finite = np.isfinite(values)
    if not finite.any() or (values == values[0]).all():
        return values.copy()
    averages = accumulate(
        values[finite].tolist(),
        lambda last, value: last * weight + (1 - weight) * value,
        initial=0.0,
    )
    # numpy's powers differ from the C library's in the last bit on some processors.
    powers = np.array([weight**count for count in range(1, int(finite.sum()) + 1)])
    result = values.copy()
    result[finite] = np.array(list(averages)[1:]) / (1 - powers)
    return result


def outlier_domain(values: np.ndarray) -> tuple[float, float] | None:
    """The 5th and the 95th percentile of the finite values, by TensorBoard's rule (a value that
    is there, never between two; all of them where there are two or fewer). None without any."""
    kept = np.sort(values[np.isfinite(values)])
    if not len(kept):
        return None
    last = len(kept) - 1
    if last < 2:
        return float(kept[0]), float(kept[last])
    return float(kept[int(np.ceil(last * 0.05))]), float(kept[int(np.floor(last * 0.95))])


def visible_domain(values: np.ndarray, curve: np.ndarray,
                   raw: np.ndarray | None = None) -> tuple[float, float] | None:
    """What a vertical axis covers without outliers: `outlier_domain` of all values, and each value
    of the curves of FEW points or fewer, of which that rule would hide the beginning and the end.
    Beside other curves not those that lie farther off than FAR times the height of that domain:
    for a short run that diverged, the others would be a flat line.

    values: (N,), or (N, K) for points with a band. curve: (N,), a number from 0 on for the curve
    that a point is of. raw: (N,), what was logged, of short curves in sight as well.
    """
    domain = outlier_domain(values.ravel())
    if domain is None:
        return None
    low, high = domain
    by_point = values.reshape(len(curve), -1)
    counts = np.bincount(curve[np.isfinite(by_point).any(axis=1)], minlength=curve.max() + 1)
    short = counts[curve] <= FEW
    seen = np.append(by_point[short], [] if raw is None else raw[short])
    reach = FAR * (high - low) if counts.sum() > FEW and high > low else np.inf
    seen = seen[np.isfinite(seen) & (seen >= low - reach) & (seen <= high + reach)]
    return float(seen.min(initial=low)), float(seen.max(initial=high))


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row a run and tag that has points.

    last: the last value, be it NaN. best, best_step: of the finite values, by `better`, which is
    "lower" or "higher" as the tag's name says; NaN and <NA> where it says nothing.
    duration: seconds from the first to the last wall time. not_finite: how many values.
    """
    rows = [_summed_up(run, tag, part) for run, tag, part in series(table)]
    columns = [
        "run",
        "tag",
        "points",
        "first_step",
        "last_step",
        "last",
        "better",
        "best",
        "best_step",
        "duration",
        "not_finite",
    ]
    result = pd.DataFrame(rows, columns=columns)
    return result.astype({"best_step": "Int64", "last": float, "best": float, "duration": float})


def series(table: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """(run, tag, its rows in file order) of every run and tag that has points."""
    rows, starts = in_series(table)
    parts = [table.iloc[rows[a:b]] for a, b in pairwise([*starts, len(rows)])]
    return [(part["run"].iat[0], part["tag"].iat[0], part) for part in parts]


def _summed_up(run: str, tag: str, part: pd.DataFrame) -> tuple:
    steps, values = part["step"].to_numpy(), part["value"].to_numpy()
    times = part["wall_time"].to_numpy()
    finite, better = np.isfinite(values), direction(tag)
    best, best_step = np.nan, None
    if better and finite.any():
        toward = np.where(finite, values if better == "lower" else -values, np.inf)
        at = int(toward.argmin())
        best, best_step = values[at], int(steps[at])
    dated = times[np.isfinite(times)]
    duration = np.ptp(dated) if len(dated) else np.nan
    return (
        run,
        tag,
        len(part),
        int(steps[0]),
        int(steps[-1]),
        values[-1],
        better,
        best,
        best_step,
        duration,
        int((~finite).sum()),
    )


def extremes(values: np.ndarray, limit: int) -> np.ndarray:
    """Places, ascending, of at most `limit` values: see `downsampled`."""
    finite = np.isfinite(values)
    stretches = (limit - 2) // (2 if finite.all() else 3)
    size = -(-len(values) // stretches)
    padded = np.pad(values, (0, stretches * size - len(values)))
    real = np.pad(finite, (0, stretches * size - len(values)))
    odd = np.pad(~finite, (0, stretches * size - len(values)))
    places = [np.array([0, len(values) - 1])]
    for ranked, there in (
        (np.where(real, padded, np.inf), real),
        (np.where(real, -padded, np.inf), real),
        (~odd, odd),
    ):
        lowest = ranked.reshape(stretches, size).argmin(axis=1) + np.arange(stretches) * size
        places.append(lowest[there.reshape(stretches, size).any(axis=1)])
    return np.unique(np.concatenate(places))


@cached_result
def tags_and_runs(logs_id: str) -> tuple[list[str], list[str]]:
    """The names of tags and of runs, each in name order."""
    table = open_logs(logs_id).table
    return list(table["tag"].cat.categories), list(table["run"].cat.categories)


@cached_result
def runs_without_points(logs_id: str) -> list[str]:
    """The names of runs that logged pictures, histograms and the like, and no scalar."""
    logs = open_logs(logs_id)
    return sorted(set(logs.others["run"]) - set(logs.table["run"].cat.categories))


@cached_result
def run_summary(logs_id: str) -> pd.DataFrame:
    """See `summary`."""
    return summary(open_logs(logs_id).table)


@cached_result
def loading_report(logs_id: str) -> tuple[str, ...]:
    """What was read and what was not: the notes of the logs."""
    return open_logs(logs_id).notes
