"""Precision-recall curves that training logged, step by step."""

from pathlib import Path

import numpy as np
import pandas as pd

from core.cache import cached_result, shared_resource
from core.errors import UserError
from core.events.payloads import payload, record_at
from core.library import open_logs
from core.logged.histograms import counting_order

KIND = "pr_curves"
COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")
ROWS = (*COUNTS, "precision", "recall")  # of the plug-in's tensor


@cached_result
def curve_series(logs_id: str) -> pd.DataFrame:
    """run, tag and how many curves (`logged`), by tag and run."""
    others = open_logs(logs_id).others
    table = others[others["kind"] == KIND].groupby(["tag", "run"], sort=False).size()
    return table.rename("logged").reset_index().sort_values(
        ["tag", "run"], key=lambda names: names.map(counting_order), ignore_index=True)


@cached_result
def curve_steps(logs_id: str) -> list[int]:
    """Every step at which a curve was logged, ascending."""
    others = open_logs(logs_id).others
    return np.unique(others.loc[others["kind"] == KIND, "step"].to_numpy(np.int64)).tolist()


@shared_resource(entries=256)
def curve_at(logs_id: str, run: str, tag: str, step: int) -> pd.DataFrame | None:
    """The curve that was logged last at or before the step: threshold, ROWS, and the true step in
    each row; None where there was none. Raises UserError where it cannot be read."""
    others = open_logs(logs_id).others
    rows = others[(others["run"] == run) & (others["tag"] == tag) & (others["kind"] == KIND)
                  & (others["step"] <= step)].sort_values("step", kind="stable")
    if rows.empty:
        return None
    row = rows.iloc[-1]
    try:
        found = payload(record_at(Path(row["file"]), int(row["byte"]), int(row["size"])), tag)
        return curve(found).assign(step=int(row["step"]))
    except ValueError as error:
        raise UserError(f"{tag} of {run} at step {int(row['step']):,} is no precision-recall curve "
                        f"({error}). Choose another step.") from error


def curve(found: object) -> pd.DataFrame:
    """threshold and ROWS of the plug-in's tensor (6, N), as TensorBoard shows it: without the
    thresholds at the end that nothing reaches. Raises ValueError on anything else."""
    if not isinstance(found, np.ndarray) or found.ndim != 2 or len(found) != len(ROWS) \
            or not found.shape[1]:
        raise ValueError("it has not six rows")
    table = pd.DataFrame(dict(zip(ROWS, found.astype(float), strict=True)))
    table.insert(0, "threshold", np.linspace(0.0, 1.0, found.shape[1]))
    positive = np.trunc(found[:2].astype(float)).sum(axis=0)
    reached = np.flatnonzero(positive)
    return table.iloc[:reached[-1] + 1 if len(reached) else 1]
