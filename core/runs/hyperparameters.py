"""Runs side by side: their hyperparameters, what they reached, and what goes with what."""

import math

import numpy as np
import pandas as pd

from core.cache import cached_result
from core.findings.tag_names import direction, split_of
from core.library import open_logs
from core.log_formats import Settings
from core.runs.rank_association import associations
from core.training_curves import run_summary

MOST_MEASURED = 40
SPLITS = ("validation", "test", "", "train")  # whose metric says most about a run
Typed = np.ndarray | pd.api.extensions.ExtensionArray


@cached_result
def run_table(logs_id: str) -> pd.DataFrame:
    """See `table_of_runs`."""
    return table_of_runs(open_logs(logs_id).hyperparameters, run_summary(logs_id))


def table_of_runs(settings: dict[str, Settings], sums: pd.DataFrame) -> pd.DataFrame:
    """One row a run, in name order; columns (kind, name).

    hyperparameter: numbers, booleans or words, NaN where a run states none; those that differ
    between runs (see `varying`) first, then in name order. last, best: of each tag, as
    `core.training_curves.summary` has them; points: how many there are, <NA> for none.
    """
    runs = pd.Index(sorted({*settings, *sums["run"].astype(str)}), name="run")
    stated = _stated(settings).reindex(runs)
    different = set(varying(stated))
    stated = stated[sorted(stated.columns, key=lambda name: name not in different)]
    sums = sums.astype({"run": str, "tag": str})
    parts = {"hyperparameter": stated} | {
        kind: sums.pivot(index="run", columns="tag", values=kind).reindex(runs)
        for kind in ("last", "best", "points")
    }
    directed = [tag for tag in parts["best"] if direction(tag)]
    parts["best"] = parts["best"][directed]
    parts["points"] = parts["points"].astype("Int64")
    columns = [(kind, name) for kind, part in parts.items() for name in part]
    table = pd.concat(parts.values(), axis=1)
    table.columns = pd.MultiIndex.from_tuples(columns, names=["kind", "name"])
    return table


def of_kind(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The columns of one kind under their own names; none is no error."""
    part = table.loc[:, table.columns.get_level_values("kind") == kind]
    return part.droplevel("kind", axis=1)


def constants(stated: pd.DataFrame) -> Settings:
    """The hyperparameters with one value in all the runs that state any."""
    said = _speaking(stated)
    return {
        str(name): column.iloc[0]
        for name, column in said.items()
        if column.notna().all() and column.nunique() == 1
    }


def varying(stated: pd.DataFrame) -> pd.DataFrame:
    """The hyperparameters that differ between the runs that state any: two runs or more state it,
    and not all of them the same. What a single run states compares it with none."""
    said = _speaking(stated)
    several = said.notna().sum() > 1
    return stated.loc[:, several & ((said.nunique() > 1) | said.isna().any())]


def of_one_run(stated: pd.DataFrame) -> dict[str, str]:
    """The hyperparameters that only one of several runs states, and which run."""
    said = _speaking(stated)
    return {
        str(name): str(column.first_valid_index())
        for name, column in said.items()
        if len(said) > 1 and column.notna().sum() == 1
    }


def _speaking(stated: pd.DataFrame) -> pd.DataFrame:
    """The runs that state any."""
    return stated[stated.notna().any(axis=1)]


def _stated(settings: dict[str, Settings]) -> pd.DataFrame:
    names = sorted({name for stated in settings.values() for name in stated})
    return pd.DataFrame(
        {name: _typed([stated.get(name) for stated in settings.values()]) for name in names},
        index=list(settings),
    ).set_axis(list(settings), axis=0)


def _typed(values: list[float | str | bool | None]) -> Typed:
    """Booleans, numbers, or words; of several kinds, words."""
    present = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in present):
        return pd.array(values, dtype="boolean")
    if not any(isinstance(value, bool | str) for value in present):
        return np.array([math.nan if value is None else value for value in values], np.float64)
    return pd.array([None if value is None else str(value) for value in values], dtype="str")


def default_metrics(table: pd.DataFrame, most: int = 2) -> list[tuple[str, str]]:
    """(kind, tag) of the metrics that say most: the best of validation data, if it is known."""
    best, last = list(of_kind(table, "best")), list(of_kind(table, "last"))
    known = [("best", tag) for tag in best] or [("last", tag) for tag in last]
    return sorted(known, key=lambda metric: SPLITS.index(split_of(metric[1])))[:most]


@cached_result
def what_mattered(
    logs_id: str, metric: tuple[str, str], runs: tuple[str, ...]
) -> tuple[pd.DataFrame, list[str]]:
    """See `associations`: of a metric, (kind, tag), in those runs."""
    table = run_table(logs_id).loc[list(runs)]
    stated = varying(of_kind(table, "hyperparameter"))
    found, notes = associations(stated.iloc[:, :MOST_MEASURED], table[metric])
    if len(stated.columns) > MOST_MEASURED:
        notes.append(f"Measured: the first {MOST_MEASURED} of {len(stated.columns)} that differ.")
    return found, notes
