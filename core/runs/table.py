"""Runs side by side: their hyperparameters, what differs first, and how each metric ended."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from core.cache import cached_result
from core.curves.axes import dated
from core.findings.tag_names import direction, split_of
from core.library import open_logs
from core.log_formats import Settings
from core.runs.hyperparameters import SPLITS
from core.training_curves import summary

ENDS = {"last": "last", "best": "best", "best_step": "step of best"}
FEW_METRICS = 4
OWN = {"run", "colour", "duration", "points"}  # columns that no hyperparameter may have


def settings_table(stated: dict[str, Settings], runs: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """One row a run, one column a hyperparameter, those that differ between runs (as in `varying`)
    first, each kind in name order; and how many differ. What a run does not state is missing."""
    names = sorted({name for run in runs for name in stated.get(run, {})})
    columns = {name: [stated.get(run, {}).get(name) for run in runs] for name in names}
    speaking = [run for run in runs if stated.get(run)]
    differing = [name for name in names if _differs([stated[run].get(name) for run in speaking])]
    order = differing + [name for name in names if name not in differing]
    table = pd.DataFrame({name: _of_one_type(columns[name]) for name in order},
                         index=pd.RangeIndex(len(runs)))
    return table.set_axis(pd.Index(list(runs), name="run")), len(differing)


def _differs(values: list) -> bool:
    several = sum(value is not None for value in values) > 1
    return several and len(set(map(repr, values))) > 1


def _of_one_type(values: list) -> pd.Series:
    there = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
        return pd.Series(values, dtype=np.float64)
    return pd.Series([None if value is None else str(value) for value in values], dtype="str")


def durations(table: pd.DataFrame) -> pd.Series:
    """Seconds from the first to the last dated point of each run; NaN without two."""
    times = pd.Series(dated(table["wall_time"].to_numpy()), name="duration")
    by_run = times.groupby(table["run"].astype(str).to_numpy())
    return (by_run.max() - by_run.min()).where(by_run.count() > 1)


def first_metrics(tags: Sequence[str]) -> list[str]:
    """The metrics that a table begins with: those whose name says what is better, else any; of
    validation data first, and losses and accuracies before other scores."""
    told = [tag for tag in tags if direction(tag)] or list(tags)
    return sorted(told, key=_rank)[:FEW_METRICS]


def _rank(tag: str) -> tuple[int, int]:
    kinds = [word in tag.lower() for word in ("loss", "acc")]
    return SPLITS.index(split_of(tag)), kinds.index(True) if any(kinds) else len(kinds)


def run_table(table: pd.DataFrame, stated: dict[str, Settings],
              tags: Sequence[str]) -> pd.DataFrame:
    """One row a run: run, the hyperparameters that differ, "<tag> last", "<tag> best",
    "<tag> step of best" of each tag, duration (s), points, the hyperparameters that all share.

    Runs that state hyperparameters and have no point are there too.
    """
    runs = sorted({*table["run"].cat.categories, *stated})
    settings, differing = settings_table(stated, runs)
    own = {f"{tag} {words}" for tag in tags for words in ENDS.values()}
    own |= OWN
    settings = settings.rename(columns={name: f"setting {name}" for name in own})
    ends = summary(table[table["tag"].isin(tags)])
    wide = {f"{tag} {words}": ends[ends["tag"] == tag].set_index("run")[name].reindex(runs)
            for tag in tags for name, words in ENDS.items()}
    wide = {name: column for name, column in wide.items() if column.notna().any()}
    counts = table["run"].value_counts().reindex(runs, fill_value=0).astype("int64")
    middle = pd.DataFrame({**wide, "duration": durations(table).reindex(runs), "points": counts},
                          index=pd.Index(runs, name="run"))
    parts = [settings.iloc[:, :differing], middle, settings.iloc[:, differing:]]
    return pd.concat(parts, axis=1).reset_index()


@cached_result
def runs_of(logs_id: str, tags: tuple[str, ...]) -> pd.DataFrame:
    """See run_table."""
    logs = open_logs(logs_id)
    return run_table(logs.table, logs.hyperparameters, tags)


@cached_result
def settings_of(logs_id: str, runs: tuple[str, ...]) -> tuple[pd.DataFrame, int]:
    """See settings_table."""
    return settings_table(open_logs(logs_id).hyperparameters, runs)
