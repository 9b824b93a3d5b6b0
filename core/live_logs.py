"""Logs of training that still runs: whether they are being written, how fast, how long still."""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core.cache import cached_result
from core.findings.curves import Curve, curves_of
from core.library import open_logs
from core.log_files.bytes import FRESH, is_fresh
from core.log_files.oddities import in_series
from core.log_files.search import find_logs
from core.log_formats import Settings
from core.places import path_of

RECENT = 200  # points that the pace is measured over
STEPS = ("max_steps", "total_steps", "num_steps", "train_steps", "num_train_steps",
         "total_timesteps", "max_iters", "total_iters", "iterations", "num_iterations")  # fmt: skip
EPOCHS = ("num_train_epochs", "max_epochs", "num_epochs", "n_epochs", "epochs")
COUNTS_EPOCHS = "epoch"  # a tag that says in which epoch a step was
LOOK_AGAIN = 10.0  # seconds until files that are new are looked for


@dataclass(frozen=True)
class Pace:
    """How far a run is. last_time: seconds since 1970. per_second: steps, None where their times
    are not known. total: the step at which it ends, None where no hyperparameter says so."""

    run: str
    last_step: int
    last_time: float | None
    per_second: float | None
    total: int | None

    @property
    def seconds_left(self) -> float | None:
        """At the present pace."""
        if not self.per_second or self.total is None:
            return None
        return max(0, self.total - self.last_step) / self.per_second


@dataclass(frozen=True)
class State:
    """The log files of a folder at one moment. changed: when the last of them was written to."""

    sizes: tuple[tuple[Path, int], ...]
    changed: float

    def is_written(self, now: float) -> bool:
        """Whether one of them was written to a moment ago."""
        return now - self.changed < FRESH


class Watch:
    """Looks whether the logs of a folder grow, at the price of a few sizes."""

    def __init__(self, path: Path) -> None:
        self._path, self._files, self._listed = path, (), -math.inf

    def state(self) -> State:
        """As it is now. New files are seen some seconds late."""
        if time.monotonic() - self._listed >= LOOK_AGAIN:
            self._files = tuple(file for run in find_logs(self._path).runs for file in run.files)
            self._listed = time.monotonic()
        sizes, changed = [], 0.0
        for file in self._files:
            try:
                stat = file.stat()
            except OSError:  # deleted meanwhile: the next listing lacks it
                continue
            sizes.append((file, stat.st_size))
            changed = max(changed, stat.st_mtime)
        return State(tuple(sizes), changed)


def time_now() -> float:
    """Seconds since 1970."""
    return time.time()


def runs_written(any_logs_id: str) -> list[str]:
    """The runs, by the names of their folders, that were written to in the last minute."""
    runs = find_logs(path_of(any_logs_id)).runs
    return [run.name for run in runs if any(map(_is_fresh, run.files))]


def is_part(run: str, folders: Sequence[str]) -> bool:
    """Whether one of these is the run or lies in its folder, as its children's files do."""
    return any(name == run or name.startswith(f"{run}/") for name in folders)


def _is_fresh(file: Path) -> bool:
    try:
        return is_fresh(file.stat())
    except FileNotFoundError:  # gone since it was listed
        return False


@cached_result
def paces(logs_id: str) -> list[Pace]:
    """Of each run that has steps, that with the latest point first."""
    logs = open_logs(logs_id)
    return paces_of(logs.table, logs.hyperparameters)


def paces_of(table: pd.DataFrame, settings: dict[str, Settings]) -> list[Pace]:
    """See `paces`."""
    curves: dict[str, list[Curve]] = {}
    for curve in _since_restart(table):
        curves.setdefault(curve.run, []).append(curve)
    found = [pace(run, own, _epochs(table, run), settings.get(run, {}))
             for run, own in curves.items()]
    return sorted(found, key=lambda pace: -(pace.last_time or 0))


def _since_restart(table: pd.DataFrame) -> list[Curve]:
    """Wall times by step of each run and tag, as they were logged since steps last went back."""
    rows, starts = in_series(table)
    runs, tags = table["run"], table["tag"]
    steps, times = table["step"].to_numpy(), table["wall_time"].to_numpy()
    found = []
    for part in np.split(rows, starts[1:]) if len(rows) else ():
        back = np.flatnonzero(np.diff(steps[part]) < 0)
        part = part[back[-1] + 1 :] if len(back) else part
        found.append(Curve(runs.iat[part[0]], tags.iat[part[0]], steps[part], times[part]))
    return found


def _epochs(table: pd.DataFrame, run: str) -> Curve | None:
    tags = [tag for tag in table["tag"].cat.categories if tag.lower() == COUNTS_EPOCHS]
    chosen = table[(table["run"] == run) & table["tag"].isin(tags)]
    return curves_of(chosen)[0] if len(chosen) else None


def pace(run: str, times: Iterable[Curve], epochs: Curve | None, settings: Settings) -> Pace:
    """times: wall times by step, a curve a tag. The tag with the highest step counts; of those the
    one with most points."""
    curve = max(times, key=lambda curve: (curve.steps[-1], len(curve.steps)))
    known = curve.of(np.isfinite(curve.values) & (curve.values > 0))
    last_step = int(curve.steps[-1])
    total = _total(settings, last_step, epochs)
    if not len(known.steps):
        return Pace(run, last_step, None, None, total)
    last = known.of(slice(-RECENT, None))
    took, steps = last.values[-1] - last.values[0], last.steps[-1] - last.steps[0]
    per_second = float(steps / took) if took > 0 else None
    return Pace(run, last_step, float(known.values.max()), per_second, total)


def _total(settings: Settings, last_step: int, epochs: Curve | None) -> int | None:
    """The last step by the hyperparameters; from epochs where the log says which step is in which,
    or where steps are too few to be anything but epochs."""
    for name in STEPS:
        if (steps := _number(settings, name)) and steps >= last_step:
            return int(steps)
    for name in EPOCHS:
        count = _number(settings, name)
        if not count:
            continue
        if epochs is not None and epochs.values[-1] > 0 and epochs.steps[-1] > epochs.values[-1]:
            whole = len(set(np.diff(np.unique(epochs.values)).tolist())) <= 1 and not (
                epochs.values % 1).any()
            done = epochs.values[-1] + (1 if whole else 0)  # epoch 0 is the first that is done
            return max(last_step, round(epochs.steps[-1] * count / done))
        if epochs is None and last_step <= count:
            return int(count)
    return None


def _number(settings: Settings, name: str) -> float | None:
    value = next((value for key, value in settings.items()
                  if key.rpartition("/")[2].rpartition(".")[2].lower() == name), None)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and np.isfinite(value) and value > 0 else None
