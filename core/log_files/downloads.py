"""Series of (wall time, step, value), as TensorBoard and tensorboardX hand them out."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.errors import UserError
from core.log_files.columns import as_float
from core.log_files.json import number_of
from core.log_files.oddities import counted
from core.log_formats import COLUMNS, Logs

NAME = re.compile(r"run-(.*)-tag-(.*)", re.DOTALL)  # TensorBoard puts both into the file's name


def said_by_name(path: Path, run: str) -> tuple[str, str]:
    """Run and tag of a download by the name of its file."""
    stem = re.sub(r"\.(csv|json)(\.gz)?$", "", path.name, flags=re.IGNORECASE)
    found = NAME.fullmatch(re.sub(r" \(\d+\)$", "", stem))  # a browser's second copy
    if not found:
        return run, stem
    return (f"{run}/{found[1]}" if found[1] not in ("", ".") else run), found[2]


def read_downloads(files: list[Path], run: str, read: Callable[[Path, str], Logs]) -> Logs:
    """The files of a folder one after the other; one that cannot be read is noted."""
    found, refused = [], []
    for path in files:
        try:
            found.append(read(path, run))
        except UserError as error:
            refused.append(str(error))
    if not found:
        raise UserError(refused[0])
    table = pd.concat([logs.table.astype({"run": object, "tag": object}) for logs in found],
                      ignore_index=True).astype({"run": "category", "tag": "category"})
    return Logs(table, (*(note for logs in found for note in logs.notes), *refused))


def points_table(series: dict[str, Any], run: str, file: str) -> tuple[pd.DataFrame, list[str]]:
    """The points of named series, and the report. Raises UserError where there is none."""
    tags = list(series)
    parts = [(code, *point) for code, tag in enumerate(tags) for point in _points(series[tag])]
    given = sum(len(points) if isinstance(points, list) else 1 for points in series.values())
    if not parts:
        raise UserError(f"{file} has no points of the form [wall time, step, value]. "
                        "Download it from TensorBoard again.")
    codes, times, steps, values = zip(*parts, strict=True)
    table = pd.DataFrame(dict(zip(COLUMNS, (
        pd.Categorical.from_codes(np.zeros(len(parts), np.int8), [run]),
        pd.Categorical.from_codes(np.array(codes, np.int32), tags),
        np.array(steps, np.int64), np.array(times), np.array(values)), strict=True)), copy=False)
    notes = [f"Read {counted(len(parts), 'point')} of {counted(len(tags), 'tag')} from {file}."]
    if lost := given - len(parts):
        notes.append(f"{counted(lost, 'entry')} of {file} that are no point were skipped.")
    return table, notes


def _points(entries: Any) -> list[tuple[float, int, float]]:
    found = []
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, list) and len(entry) == 3:
            time, step, value = map(number_of, entry)
            if None not in (time, step, value) and abs(step) < 2**63 and step == int(step):
                found.append((as_float(time), int(step), as_float(value)))
    return found
