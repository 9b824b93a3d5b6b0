"""What is odd about the steps, times and values of any log: said, never mended."""

import numpy as np
import pandas as pd

EXACT = 2**53  # above it a chart's float64 axis no longer tells whole numbers apart
LAST_DATE = 253_402_300_799  # seconds since 1970, the end of the year 9999


def counted(count: int, noun: str) -> str:
    """"1 point", "2,000 points"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def oddities(table: pd.DataFrame) -> list[str]:
    """One sentence on each kind of oddity of a log table, at its first place and counted."""
    if table.empty:
        return []
    return [*_step_order(table), *_step_range(table), *_times(table), *_values(table)]


def in_series(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(rows ordered by run and tag, each series in file order; where each series begins)."""
    runs, tags = table["run"].array, table["tag"].array
    several = len(tags.categories)
    few = several * len(runs.categories) < 1 << 16
    kind = np.uint16 if few else np.int64  # numpy sorts the former by radix
    key = runs.codes.astype(kind) * kind(several) + tags.codes.astype(kind)
    rows = np.argsort(key, kind="stable")
    sorted_key = key[rows]
    new = np.ones(len(rows), bool)
    new[1:] = sorted_key[1:] != sorted_key[:-1]
    return rows, np.flatnonzero(new)


def _rises(table: pd.DataFrame) -> bool:
    """Whether the steps of each series are seen to rise without sorting them: where the tags come
    in turn, a series goes on as many rows below as there are tags."""
    runs, tags, steps = (table["run"].array.codes, table["tag"].array.codes,
                         table["step"].to_numpy())
    turn = 1 + int((tags[1:] == tags[0]).argmax()) if len(tags) > 1 else 1
    in_turn = (tags[turn:] == tags[:-turn]).all() and len(set(tags[:turn].tolist())) == turn
    if not in_turn or _parted(runs):
        return False
    return bool(((steps[turn:] > steps[:-turn]) | (runs[turn:] != runs[:-turn])).all())


def _parted(runs: np.ndarray) -> bool:
    """Whether rows of another run lie between those of one."""
    begins = runs[np.append(0, np.flatnonzero(runs[1:] != runs[:-1]) + 1)]
    return len(set(begins.tolist())) < len(begins)


def _step_order(table: pd.DataFrame) -> list[str]:
    if _rises(table):
        return []
    rows, starts = in_series(table)
    steps = table["step"].to_numpy()[rows]
    stays = np.zeros(len(rows), bool)
    stays[1:] = steps[1:] <= steps[:-1]
    stays[starts] = False
    places = np.flatnonzero(stays)
    repeats = steps[places] == steps[places - 1]
    back, same = places[~repeats], places[repeats]
    notes = []
    if len(back):
        first = table.iloc[rows[back[0]]]
        notes.append(f"Steps go back {counted(len(back), 'time')}, as after a restart from a "
                     f"checkpoint; all points are kept. First {_where(first)}, from step "
                     f"{steps[back[0] - 1]:,} to {first['step']:,}.")
    if len(same):
        first = table.iloc[rows[same[0]]]
        notes.append(f"{counted(len(same), 'point')} with the same step as the one before: "
                     f"repeated steps are kept. First {_where(first)}, step {first['step']:,}.")
    return notes


def _step_range(table: pd.DataFrame) -> list[str]:
    steps = table["step"].to_numpy()
    low, high = int(steps.min()), int(steps.max())
    if low < -EXACT or high > EXACT:
        return [f"Steps range from {low:,} to {high:,}, too large for a chart to tell apart."]
    if low < 0:
        return [f"{counted(np.count_nonzero(steps < 0), 'point')} with a negative step, the lowest "
                f"{low:,}."]
    return []


def _times(table: pd.DataFrame) -> list[str]:
    times = table["wall_time"].to_numpy()
    if times.min() > 0 and times.max() <= LAST_DATE:  # no NaN either
        return []
    absent, none = np.count_nonzero(times == 0), np.isnan(times)
    with np.errstate(invalid="ignore"):
        beyond = np.count_nonzero(~none & ((np.abs(times) > LAST_DATE) | (times < 0)))
    notes = []
    if absent:
        notes.append(f"{counted(absent, 'point')} without a wall time (it is written as 0).")
    if beyond:
        notes.append(f"{counted(beyond, 'point')} with a wall time that is no date; do not trust "
                     "the time axes there.")
    if 0 < np.count_nonzero(none) < len(times):
        notes.append(f"{counted(np.count_nonzero(none), 'point')} without a wall time, which their "
                     "log does not state: use a step axis for them.")
    return notes


def _values(table: pd.DataFrame) -> list[str]:
    finite = np.isfinite(table["value"].to_numpy())
    if finite.all():
        return []
    odd = np.flatnonzero(~finite)
    return [f"{counted(len(odd), 'value')} NaN or infinite, kept and marked. "
            f"First {_where(table.iloc[odd[0]])}, step {table['step'].iloc[odd[0]]:,}."]


def _where(row: pd.Series) -> str:
    tag = row["tag"] if len(row["tag"]) <= 80 else row["tag"][:79] + "…"
    return f"in {row['run']}, {tag!r}"
