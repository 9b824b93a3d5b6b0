"""Keras's history.history as JSON, and what else has a list of numbers a metric."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import UserError
from core.files.text_of_files import shown
from core.findings.tag_names import direction
from core.log_files.columns import Columns, as_float, is_step, report_of, table_of
from core.log_files.json import MOST_COLUMNS, NUMBER, TEXT, number_of, read_json
from core.log_files.oddities import counted
from core.log_files.text import start_of
from core.log_formats import Format, Logs

SERIES = re.compile(rf"({TEXT})\s*:\s*\[\s*(?:{NUMBER}|null)\s*[,\]]")
ENDINGS = (".json", ".json.gz", ".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")


def matches(path: Path) -> bool:
    """An object in which a list of numbers is named as a metric is."""
    start = start_of(path)
    return start.lstrip().startswith("{") and any(
        direction(found[1]) for found in SERIES.finditer(start))


def load(files: list[Path], run: str) -> Logs:
    """Each list counted from 0, or by a list of steps or epochs of its length."""
    file = files[0].name
    found, notes = read_json(files[0])
    series, others = _series(found)
    if not series:
        raise UserError(f"{file} has no list of numbers by the name of a metric, as "
                        '{"loss": [0.9, 0.7]}, and no list of rows. Choose another file.')
    if len(series) > MOST_COLUMNS:
        notes.append(f"It has many series; the first {MOST_COLUMNS:,} were read, the limit.")
    longest = max(map(len, series.values()))
    columns, said = _columns({name: values for name, values in [*series.items()][:MOST_COLUMNS]
                              if len(values) == longest or not is_step(name)})
    table, decided, by_epoch = table_of(columns, run, file)
    if others:
        more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
        notes.append(f"Entries that are no series are not drawn: {shown(others[0])}{more}.")
    return Logs(table, (report_of(table, file, columns.rows), *notes, *said,
                        *(note for note in decided if any(map(is_step, series)))),
                by_epoch=by_epoch)


def _series(found: Any, prefix: str = "") -> tuple[dict[str, list], list[str]]:
    """The lists of numbers by name, one object deep, and the names of what is none."""
    if not isinstance(found, dict):
        return {}, []
    series, others = {}, []
    for name, value in found.items():
        if isinstance(value, dict) and not prefix:
            inner, rest = _series(value, "" if name == "history" else f"{name}/")
            series |= inner
            others += rest
        elif isinstance(value, list) and any(number_of(part) is not None for part in value):
            series[prefix + name] = value
        else:
            others.append(prefix + name)
    return series, others


def _columns(series: dict[str, list]) -> tuple[Columns, list[str]]:
    numbers, notes, lost = {}, [], 0
    for name, values in series.items():
        found = [(row, as_float(number)) for row, value in enumerate(values)
                 if (number := number_of(value)) is not None]
        rows, kept = zip(*found, strict=True)
        numbers[name] = np.array(rows, np.int64), np.array(kept, np.float64)
        lost += sum(value is not None for value in values) - len(found)
    lengths = sorted({len(values) for values in series.values()})
    if len(lengths) > 1:
        notes.append(f"The series differ in length ({lengths[0]:,} to {lengths[-1]:,}); each is "
                     "counted from its first.")
    if lost:
        notes.append(f"{counted(lost, 'value')} no number, left out.")
    return Columns(lengths[-1], numbers), notes


FORMAT = Format("JSON of series", matches, load, alone=True, fallback=True, endings=ENDINGS)
