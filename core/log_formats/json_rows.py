"""A JSON list of objects, each with the numbers of one step."""

import json
from pathlib import Path

from core.errors import UserError
from core.log_files.columns import is_step, report_of, table_of
from core.log_files.json import columns_of, number_of, read_json
from core.log_files.oddities import counted
from core.log_files.text import start_of
from core.log_formats import Format, Logs


def matches(path: Path) -> bool:
    """The first object of the list has a step and another number."""
    start = start_of(path).lstrip()
    if not start.startswith("[") or not start[1:].lstrip().startswith("{"):
        return False
    try:
        first, _ = json.JSONDecoder().raw_decode(start, start.index("{"))
    except (ValueError, RecursionError):
        return False
    numbers = [name for name, value in first.items() if number_of(value) is not None]
    return len(numbers) > 1 and any(map(is_step, numbers))


def load(files: list[Path], run: str) -> Logs:
    """Raises UserError."""
    found, notes = read_json(files[0])
    return read_rows(found, files[0].name, run, notes)


def read_rows(rows: list, file: str, run: str, notes: list[str]) -> Logs:
    """The points of a list of objects. Raises UserError."""
    objects = [row for row in rows if isinstance(row, dict)]
    if not objects:
        raise UserError(f"{file} lists no objects with numbers. Log one object a step.")
    columns, said = columns_of(objects)
    table, decided, by_epoch = table_of(columns, run, file)
    if lost := len(rows) - len(objects):
        notes = [*notes, f"{counted(lost, 'row')} of {file} that are no object were skipped."]
    return Logs(table, (report_of(table, file, columns.rows), *notes, *said, *decided),
                by_epoch=by_epoch)


FORMAT = Format("JSON list of rows", matches, load, alone=True)
