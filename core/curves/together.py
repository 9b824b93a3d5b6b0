"""Runs with the same hyperparameter drawn as one: a mean and a band."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.curves.points import Points, Settings
from core.library import open_logs
from core.runs.groups import NOT_STATED, band, groups_by
from core.training_curves import tags_and_runs, visible_domain

BAND_POINTS = 500
BANDS = {"± standard deviation": "std", "lowest to highest": "min-max"}


@dataclass(frozen=True)
class Grouping:
    """Runs with the same value of the hyperparameter `by` drawn as one; band: see BANDS."""

    by: str
    band: str = "± standard deviation"


def names_of(logs_id: str, grouping: Grouping | None) -> list[str]:
    """All runs, or all groups of runs: what colours are given to."""
    runs = tags_and_runs(logs_id)[1]
    return list(dict.fromkeys(groups_of(logs_id, tuple(runs), grouping).values())
                ) if grouping else runs


def groups_of(logs_id: str, runs: tuple[str, ...], grouping: Grouping) -> dict[str, str]:
    """The group of each run, groups in order."""
    stated = open_logs(logs_id).hyperparameters
    found = groups_by(pd.Series({run: stated.get(run, {}).get(grouping.by) for run in runs},
                                dtype=object))
    return {run: group if group == NOT_STATED else f"{grouping.by} = {group}"
            for run, group in sorted(found.items(), key=lambda item: (_order(item[1]), item[0]))}


def _order(value: str) -> tuple[int, float, str]:
    """Numbers by size, then words, then what is not stated."""
    try:
        return 0, float(value), value
    except ValueError:
        return 1 + (value == NOT_STATED), 0.0, value


def grouped(part: Points, group_of: dict[str, str], kind: str, settings: Settings
            ) -> tuple[pd.DataFrame, dict[str, pd.DataFrame], tuple[float, float] | None]:
    """The mean and the band of each group: lines, what the pointer finds, and the domain."""
    curves = part.full.assign(step=part.full["x"], tag=part.tag)
    table = band(curves, group_of, kind, BAND_POINTS, "smoothed").rename(columns={"group": "name"})
    table = table.assign(x=table["step"], y=table["mean"], raw=np.nan, alone=False)
    if settings.log:
        table["low"] = table["low"].where(table["low"] > 0)
    table["piece"] = table.groupby("name", sort=False).ngroup()
    sizes = table["piece"].map(table["piece"].value_counts())
    ends = table[["low", "mean", "high"]].to_numpy(np.float64)
    domain = settings.vertical or (
        None if settings.outliers else visible_domain(ends, table["piece"].to_numpy()))
    by_name = {name: rows.rename(columns={"low": "least", "high": "most"})
               for name, rows in table.groupby("name", sort=False)}
    return table.assign(alone=sizes == 1), by_name, domain
