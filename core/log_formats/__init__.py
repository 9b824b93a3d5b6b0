"""Training logs: one file a format; whatever the format, what comes out is one table."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pandas as pd

from core.errors import UserError
from core.log_files.points import Points

COLUMNS = ["run", "tag", "step", "wall_time", "value"]

# Where a value that is no number is: the whole record of an event file, unpacked if it is packed.
OTHERS = ["run", "tag", "kind", "step", "wall_time", "file", "byte", "size"]

Settings = dict[str, float | str | bool]  # hyperparameters of one run


@cache
def no_others() -> pd.DataFrame:
    """A table of OTHERS without a row; the same for all, never to be written to."""
    return pd.DataFrame({name: pd.Series(dtype=object) for name in OTHERS[:3]}
                        | {"step": pd.Series(dtype="int64"), "wall_time": pd.Series(dtype=float),
                           "file": pd.Series(dtype=object)}
                        | {name: pd.Series(dtype="int64") for name in OTHERS[6:]})


@dataclass(frozen=True)
class Logs:
    """What was read from one file or folder.

    points: the table, or what it is made of.
    notes: the loading report, one sentence each: read, skipped, truncated, repeated, odd.
    hyperparameters: by run, of the runs that state any; a run may have them and no point.
    by_epoch: runs whose steps are epochs.
    others: OTHERS, a row for each histogram, image, text, curve … (kind, or the plug-in's name), in
    the order of the files; core.events.payloads reads what is there.
    """

    points: pd.DataFrame | Points
    notes: tuple[str, ...] = field(default=())
    hyperparameters: dict[str, Settings] = field(default_factory=dict)
    others: pd.DataFrame = field(default_factory=no_others)
    by_epoch: frozenset[str] = frozenset()

    @property
    def table(self) -> pd.DataFrame:
        """COLUMNS; run and tag categorical, step int64, wall_time seconds since 1970 (NaN where
        the log has none), value float64, NaN and infinity kept; in the order of the files."""
        return self.points.table if isinstance(self.points, Points) else self.points


@dataclass(frozen=True)
class Format:
    """One kind of log file.

    matches: from the first bytes; text formats look at files with a text's ending only.
    load: the files of this format that lie in one folder, sorted by name, which make one run,
    named `run`. A damaged file costs its damaged part, never the rest. Raises UserError.
    alone: each file is a run of its own, so `load` receives one.
    snapshots: a file holds all that earlier ones hold, as those beside checkpoints do.
    fallback: asked only about files that no other format knows.
    endings, naming: a file with such an end of its name, or with this in it, if a person chose it,
    is loaded even where it does not match, so that `load` says why it is no log.
    load_together: several runs, by name, where that is quicker than one by one; see `load_runs`.
    """

    title: str
    matches: Callable[[Path], bool]
    load: Callable[[list[Path], str], Logs]
    alone: bool = False
    snapshots: bool = False
    fallback: bool = False
    endings: tuple[str, ...] = ()
    naming: re.Pattern[str] | None = None
    load_together: Callable[[dict[str, list[Path]]], dict[str, Logs | UserError]] | None = None

    def load_runs(self, runs: dict[str, list[Path]]) -> dict[str, Logs | UserError]:
        """What `load` gives of the files of each run, or the error that it raises."""
        if self.load_together:
            return self.load_together(runs)
        return {run: self._loaded(files, run) for run, files in runs.items()}

    def _loaded(self, files: list[Path], run: str) -> Logs | UserError:
        try:
            return self.load(files, run)
        except UserError as error:
            return error
