"""The columns of a text log, and the table that they make: a point for each number and row."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from core.errors import UserError
from core.files.text_of_files import shown
from core.log_files.oddities import counted
from core.log_formats import COLUMNS

# Names that a counter may have, the likeliest first, without leading underscore.
STEPS = ("step", "global_step", "trainer/global_step", "steps", "iteration", "iterations", "iter",
         "update", "updates", "timestep", "timesteps", "total_timesteps", "batch", "epoch",
         "epochs", "round", "generation")
EPOCHS = ("epoch", "epochs")
TIMES = ("wall_time", "walltime", "timestamp", "time", "datetime", "date", "created_at")
RUNS = ("run", "run_name", "run_id", "experiment")
SPLITS = ("mode", "split", "phase", "stage", "subset")
NAMES = ("tag", "metric", "key", "name", "metric_name")
TEXTS = {*TIMES, *RUNS, *SPLITS, *NAMES}  # columns whose texts are kept
MOST_SPLITS = 20
EARLIEST = 1e8  # seconds since 1970; a smaller "time" counts from the start of the run
LATEST = 1e11  # above it are milliseconds


@dataclass
class Columns:
    """A text log by columns.

    rows: how many there are. numbers: by name, the rows (ascending) that have one, and it.
    texts: of the columns in TEXTS, by row.
    """

    rows: int
    numbers: dict[str, tuple[np.ndarray, np.ndarray]]
    texts: dict[str, list[str]] = field(default_factory=dict)


def known_name(name: str) -> str:
    """A column's name as STEPS and the like have it."""
    return re.sub(r"[ -]+", "_", name.strip().lower()).lstrip("_")


def is_step(name: str) -> bool:
    return known_name(name) in STEPS


def table_of(columns: Columns, run: str,
             file: str) -> tuple[pd.DataFrame, list[str], frozenset[str]]:
    """The points, column by column, what was decided, and the runs whose steps are epochs. Raises
    UserError without any point."""
    step_name, steps, notes = _steps(columns)
    time_name, times = _times(columns)
    metrics = {name: found for name, found in columns.numbers.items()
               if name not in (step_name, time_name)}
    if not metrics or not any(len(rows) for rows, _ in metrics.values()):
        raise UserError(f"{file} has no column of numbers beside the steps, so there is nothing "
                        "to draw. Log a number in each row, for example the loss.")
    valid = np.ones(columns.rows, bool)
    if step_name and len(covered := columns.numbers[step_name][0]) < columns.rows:
        valid = np.isin(np.arange(columns.rows), covered)
    label = _labels(columns, metrics)
    places, values = [], []
    for name, (rows, found) in metrics.items():
        kept = valid[rows]
        if is_step(name):  # another counter, which rows of the same step repeat
            anew = (np.diff(steps[rows]) != 0) | (np.diff(found) != 0)
            kept &= np.append([True], anew)[:len(rows)]
        places.append(rows[kept])
        values.append(found[kept])
    lost = sum(np.count_nonzero(~valid[rows]) for rows, _ in metrics.values())
    if lost:
        notes.append(f"{counted(lost, 'value')} in rows without a {step_name!r} were left out.")
    at = np.concatenate(places)
    runs = _runs(columns, run)
    table = pd.DataFrame(dict(zip(COLUMNS, (
        pd.Categorical(runs[at]) if isinstance(runs, np.ndarray)
        else pd.Categorical.from_codes(np.zeros(len(at), np.int8), [run]),
        _tags(list(metrics), places, label),
        steps[at], times[at], np.concatenate(values)), strict=True)), copy=False)
    table["tag"] = table["tag"].cat.remove_unused_categories()
    by_epoch = step_name is not None and known_name(step_name) in EPOCHS
    return table, notes, frozenset(table["run"].cat.categories if by_epoch else ())


def _steps(columns: Columns) -> tuple[str | None, np.ndarray, list[str]]:
    """The column that counts steps, the step of each row, and what is to be said of it."""
    by_known = {known_name(name): name for name in columns.numbers}
    candidates = [by_known[name] for name in STEPS if name in by_known]
    whole = [name for name in candidates if _is_whole(columns.numbers[name][1])]
    whole.sort(key=lambda name: len(columns.numbers[name][0]) < columns.rows)  # stable
    counted_rows = np.arange(columns.rows)
    first = next(iter(columns.numbers), None)
    if not candidates and first and _counts(columns, first):
        whole = [first]  # a counter by another name, or in another language
    if not whole:
        why = f"{candidates[0]} is not counted in whole numbers" if candidates else (
            "no column is named step or epoch")
        return None, counted_rows, [f"Rows are counted from 0, as {why}."]
    name = whole[0]
    rows, found = columns.numbers[name]
    steps = np.zeros(columns.rows, np.int64)
    steps[rows] = found.astype(np.int64)
    epoch = by_known.get("epoch")
    if epoch and epoch != name and _begins_anew(columns, rows, found, epoch):
        return None, counted_rows, [f"{name} begins anew with each {epoch}, so rows are counted "
                                    "from 0."]
    return name, steps, []


def _is_whole(values: np.ndarray) -> bool:
    return bool(len(values)) and bool(
        np.isfinite(values).all() and (np.abs(values) < 2**63).all()
        and (values == np.floor(values)).all())


def _counts(columns: Columns, name: str) -> bool:
    """Whether a column has an ever larger whole number in each row, and is not the only one."""
    rows, values = columns.numbers[name]
    return len(columns.numbers) > 1 < columns.rows == len(rows) and _is_whole(values) and bool(
        (np.diff(values) > 0).all())


def _begins_anew(columns: Columns, rows: np.ndarray, values: np.ndarray, epoch: str) -> bool:
    epochs = np.full(columns.rows, np.nan)
    epochs[columns.numbers[epoch][0]] = columns.numbers[epoch][1]
    back = np.flatnonzero(np.diff(values) < 0)
    return len(back) > 0 and bool((np.diff(epochs[rows])[back] > 0).all())


def _times(columns: Columns) -> tuple[str | None, np.ndarray]:
    """The column of wall times, and the seconds since 1970 of each row."""
    found = np.full(columns.rows, np.nan)
    for name, (rows, values) in columns.numbers.items():
        if known_name(name) in TIMES and len(values) and (values > EARLIEST).all():
            found[rows] = values / 1000 if (values > LATEST).all() else values
            return name, found
    for name, cells in columns.texts.items():
        if known_name(name) in TIMES and name not in columns.numbers:
            dates = pd.to_datetime(pd.Series(cells), errors="coerce", utc=True, format="ISO8601")
            if dates.notna().any():
                seconds = (dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
                return name, seconds.to_numpy(np.float64)
    return None, found


def _text(columns: Columns, known: Iterable[str]) -> np.ndarray | None:
    """The texts of the first column so named that has one in each row."""
    for name, cells in columns.texts.items():
        if known_name(name) in known and name not in columns.numbers and all(cells):
            return np.array(cells, dtype=object)
    return None


def _labels(columns: Columns, metrics: dict) -> np.ndarray | None:
    """What a row says of the tags of its numbers: the split, or the whole name where a row is one
    point (columns name and value)."""
    if len(metrics) == 1 and known_name(next(iter(metrics))) == "value":
        return _text(columns, NAMES)
    split = _text(columns, SPLITS)
    return split if split is not None and len(set(split)) <= MOST_SPLITS else None


def _tags(names: list[str], places: list[np.ndarray], label: np.ndarray | None) -> pd.Categorical:
    """The tag of each point, by the column it is from and what its row says."""
    if label is None:
        codes = np.repeat(np.arange(len(names), dtype=np.int32), [len(rows) for rows in places])
        return pd.Categorical.from_codes(codes, names)
    if len(names) == 1 and known_name(names[0]) == "value":
        return pd.Categorical(label[places[0]])
    return pd.Categorical([f"{split}/{name}" for name, rows in zip(names, places, strict=True)
                           for split in label[rows]])


def _runs(columns: Columns, run: str) -> np.ndarray | str:
    """The run of each row where a column names it, else the one run."""
    named = _text(columns, RUNS)
    return run if named is None else np.array([f"{run}/{part}" for part in named], object)


def report_of(table: pd.DataFrame, file: str, rows: int) -> str:
    """The first sentence of a text log's report."""
    tags = counted(len(table["tag"].cat.categories), "tag")
    return f"Read {counted(len(table), 'point')} of {tags} from {counted(rows, 'row')} of {file}."


def left_out(name: str, count: int, place: str, cell: str) -> str:
    """The sentence on cells of a column of numbers that hold none."""
    return (f"{counted(count, 'value')} of {shown(name)} "
            f"{'is' if count == 1 else 'are'} no number and "
            f"{'was' if count == 1 else 'were'} left out, the first in {place}: {shown(cell, 30)}.")


def as_float(number: float) -> float:
    """A number of any size as float64, infinite where it is beyond."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
