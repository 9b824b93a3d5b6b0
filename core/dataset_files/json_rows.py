"""Objects in JSON as rows of a table: plain values are cells, lists and objects are left out."""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from core.dataset_files.counts import counted
from core.errors import UserError
from core.files.json_depth import json_depth
from core.files.limits import current_limits
from core.files.text_of_files import shown

Row = dict[str, Any]
SAMPLED = 50  # rows that say which columns there are
MOST_COLUMNS = 200
BYTES_A_CELL = 16
PLAIN = (str, int, float, bool, type(None))


def row_of(text: bytes) -> Row | None:
    """The object that a text is; None where it is something else or damaged."""
    if json_depth(text) > current_limits().json_depth:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return {_text(key): cell for key, cell in found.items()} if isinstance(found, dict) else None


def sample_of(rows: Sequence[Row]) -> dict[str, list[str]]:
    """The first cells of the plain columns, as text."""
    few = rows[:SAMPLED]
    return {name: [_text(row.get(name)) or "" for row in few] for name in _columns(few)[0]}


def table_of(rows: Sequence[Row], name: str) -> tuple[pa.Table, tuple[str, ...]]:
    """The plain columns of all rows, and what was left out. Raises UserError for too many."""
    plain, others = _columns(rows[:SAMPLED])
    most = current_limits().unpacked_bytes // BYTES_A_CELL
    if len(rows) * len(plain) > most:
        raise UserError(f"{name}: {len(rows):,} rows of {len(plain):,} columns are too many; the "
                        f"limit is {most:,} cells. Keep fewer columns or rows.")
    table = pa.table({column: _cells([row.get(column) for row in rows]) for column in plain})
    said = (f"{counted(len(others), 'column')} of lists or records left out, first "
            f"{shown(others[0])}.",) if others else ()
    return table, said


def _columns(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """(those of which all cells are plain, the rest), in the order of the rows."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    plain = [name for name in names if all(isinstance(row.get(name), PLAIN) for row in rows)]
    return plain[:MOST_COLUMNS], [name for name in names if name not in plain[:MOST_COLUMNS]]


def _cells(values: list[Any]) -> pa.Array:
    """Whole numbers and numbers as such, all else as text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds and kinds <= {int, float}:
        try:
            return pa.array(values, pa.int64() if kinds == {int} else pa.float64())
        except (pa.ArrowException, OverflowError):
            pass  # larger than 64 bits
    return pa.array([_text(value) for value in values], pa.large_string())


def _text(value: Any) -> str | None:
    """A lone surrogate, which JSON can write, is no text that Arrow takes."""
    plain = value is not None and isinstance(value, PLAIN)
    return str(value).encode("utf-8", "replace").decode() if plain else None
