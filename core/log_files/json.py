"""JSON logs: bounded in size and depth, doubled keys said, NaN and Infinity as Python writes them;
rows of numbers into columns."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import UserError
from core.files.json_depth import json_depth
from core.files.limits import MB, current_limits
from core.files.text_of_files import shown
from core.log_files.columns import TEXTS, Columns, as_float, known_name, left_out
from core.log_files.text import read_text

LARGEST = 64 * MB  # of one document: parsed, it takes ten times as much memory
MOST_COLUMNS = 1000
DEEPEST_NAME = 3  # {"train": {"loss": 1}} is train/loss
LONGEST_WHOLE = 20  # digits of a number that is read as a whole one
NUMBER = r"(?:-?\d[\d.eE+-]*|NaN|-?Infinity)"
TEXT = r'"(?:[^"\\]|\\.)*"'
WORDS = {"nan", "inf", "-inf", "infinity", "-infinity"}


def read_json(path: Path) -> tuple[Any, list[str]]:
    """The document in a file, and what is odd about it. Raises UserError."""
    text, notes = read_text(path, LARGEST)
    doubled: Counter[str] = Counter()
    try:
        found = parsed(text, doubled)
    except ValueError as error:
        raise UserError(f"{path.name} is no JSON, or it is cut off or damaged ({error}). "
                        "Save it again.") from error
    if doubled:
        name, count = doubled.most_common(1)[0]
        notes.append(f"{path.name} has {count + 1:,} entries named {shown(name)} in one place; of "
                     "duplicate names the last counts.")
    return found, notes


def parsed(text: str, doubled: Counter[str]) -> Any:
    """A document; `doubled` counts the names that an object repeats. Raises ValueError."""
    deepest = current_limits().json_depth
    if text.count("[") + text.count("{") > deepest and json_depth(text.encode()) > deepest:
        raise ValueError(f"it is nested more than {deepest} deep")

    def as_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            doubled.update(Counter(name for name, _ in pairs) - Counter(list(made)))
        return made

    return json.loads(text, object_pairs_hook=as_dict, parse_int=_whole)


def _whole(digits: str) -> float:
    return int(digits) if len(digits) <= LONGEST_WHOLE else float(digits)


def number_of(value: Any) -> float | None:
    """The number that a value of JSON is, or spells as "NaN" and the like; None for others."""
    if isinstance(value, str):
        return float(value) if value.strip().lower() in WORDS else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def columns_of(rows: Iterable[dict[str, Any]]) -> tuple[Columns, list[str]]:
    """Rows of numbers by name, names of nested objects joined by '/'; and what was left out."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    texts: dict[str, dict[int, str]] = {}
    odd: dict[str, tuple[int, int, str]] = {}  # how many, the first's row, and what it says
    count, beyond = 0, set()
    for count, row in enumerate(rows, 1):
        for name, value in _flat(row):
            number = number_of(value)
            if number is None:
                if known_name(name) in TEXTS and isinstance(value, str):
                    texts.setdefault(name, {})[count - 1] = value
                elif value is not None and len(odd) < MOST_COLUMNS:
                    times, *first = odd.get(name, (0, count, str(value)[:40]))
                    odd[name] = (times + 1, *first)
            elif name in found or len(found) < MOST_COLUMNS:
                places, numbers = found.setdefault(name, ([], []))
                places.append(count - 1)
                numbers.append(as_float(number))
            else:
                beyond.add(name)
    notes = [left_out(name, *_place(odd[name])) for name in odd if name in found]
    if others := [name for name in odd if name not in found]:
        more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
        notes.append(f"Entries that are no numbers are not drawn: {shown(others[0])}{more}.")
    if beyond:
        notes.append(f"It has many columns; the first {MOST_COLUMNS:,} were read, the limit.")
    return Columns(count, {name: (np.array(places, np.int64), np.array(numbers, np.float64))
                           for name, (places, numbers) in found.items()},
                   {name: [cells.get(row, "") for row in range(count)]
                    for name, cells in texts.items()}), notes


def _place(said: tuple[int, int, str]) -> tuple[int, str, str]:
    times, row, cell = said
    return times, f"row {row:,}", cell


def _flat(row: dict[str, Any], prefix: str = "", depth: int = 1) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, dict) and depth < DEEPEST_NAME:
            yield from _flat(value, f"{prefix}{name}/", depth + 1)
        else:
            yield prefix + name, value
