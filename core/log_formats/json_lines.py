"""JSON lines: an object a line, a number a name, as MMEngine, Detectron2 and many scripts write."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.findings.tag_names import direction
from core.log_files.columns import is_step, report_of, table_of
from core.log_files.json import columns_of, number_of, parsed
from core.log_files.lost import Lost
from core.log_files.oddities import counted
from core.log_files.text import read_text, start_of
from core.log_formats import Format, Logs


def matches(path: Path) -> bool:
    """The first line is an object with a number, and another line begins one; a single line needs
    a step, and no list of objects, which makes it a document."""
    lines = [line for line in start_of(path).splitlines() if line.strip()]
    first = _object(lines[0]) if lines else None
    if not first:
        return False
    numbers = [name for name, value in first.items() if number_of(value) is not None]
    counts = any(map(is_step, numbers)) and len(numbers) > 1
    if len(lines) == 1:
        return counts and not any(isinstance(value, list) and value and isinstance(value[0], dict)
                                  for value in first.values())
    return any(line.lstrip().startswith("{") for line in lines[1:]) and (
        counts or any(map(direction, numbers)))


def _object(line: str) -> dict[str, Any] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        found = parsed(line, Counter())
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def load(files: list[Path], run: str) -> Logs:
    """Raises UserError."""
    text, notes = read_text(files[0])
    bad: list[int] = []
    columns, said = columns_of(_rows(text, bad))
    if not columns.rows:
        raise UserError(f"{files[0].name} has no line that is a JSON object. Log one a step.")
    table, decided, by_epoch = table_of(columns, run, files[0].name)
    if bad:
        named = ", ".join(f"{line:,}" for line in bad[:5]) + (" …" if len(bad) > 5 else "")
        notes.append(Lost(f"{counted(len(bad), 'line')} cut off or no JSON object, skipped: line "
                          f"{named}."))
    return Logs(table, (report_of(table, files[0].name, columns.rows), *notes, *said, *decided),
                by_epoch=by_epoch)


def _rows(text: str, bad: list[int]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        row = _object(line)
        if row is None:
            bad.append(number)
        else:
            yield row


FORMAT = Format("JSON lines", matches, load, alone=True)
