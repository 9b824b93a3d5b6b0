"""CSV logs: a header, then a row a step; any delimiter, decimal comma, damaged lines noted."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from core.errors import UserError
from core.files.text_of_files import shown
from core.log_files.columns import TEXTS, Columns, known_name, left_out, report_of, table_of
from core.log_files.lost import Lost
from core.log_files.oddities import counted
from core.log_files.text import plain_name, read_text, start_of
from core.log_formats import Logs

ENDINGS = (".csv", ".tsv", ".tab")
DELIMITERS = ",;\t|"
MOST_COLUMNS = 1000
CELLS = 1 << 20  # parsed at a time
SAMPLE = 20  # rows looked at to tell what a table is
LINES_NAMED = 5
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)",
                    re.ASCII | re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Start:
    """The first lines of a table: names of columns, and the cells of the rows that fit."""

    names: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()

    def numbers(self) -> list[str]:
        """The columns of which at least half of the cells that are filled hold a number."""
        columns = zip(self.names, zip(*self.rows, strict=True), strict=True) if self.rows else ()
        return [name for name, cells in columns
                if 2 * sum(_number(cell, True) is not None for cell in cells)
                >= sum(map(bool, cells)) > 0]


@dataclass
class _Odd:
    """What was skipped on the way: lines by number, and the cells of each column by count."""

    ragged: list[int] = field(default_factory=list)
    headers: int = 0
    comments: int = 0
    cells: dict[str, int] = field(default_factory=dict)
    first: dict[str, tuple[int, str]] = field(default_factory=dict)


def table_start(path: Path) -> Start:
    """The first lines of a file with a table's ending; empty where it holds none."""
    return _start(start_of(path)) if plain_name(path).endswith(ENDINGS) else Start()


@lru_cache(maxsize=8)
def _start(text: str) -> Start:
    lines = text.lstrip("\r\n").splitlines()[:SAMPLE + 1]
    if not lines:
        return Start()
    form = {"delimiter": _delimiter(lines[0]), "strict": True}
    try:
        header, *rows = csv.reader(lines, **form)
    except csv.Error:  # a quote that does not close
        header, *rows = csv.reader(lines, **form, quoting=csv.QUOTE_NONE)
    names = _names(header)
    fit = [tuple(cell.strip() for cell in row) for row in rows if len(row) == len(names)]
    return Start(names, tuple(fit))


def _delimiter(header: str) -> str:
    return max(DELIMITERS, key=header.count)


def _names(header: list[str]) -> tuple[str, ...]:
    """The names of columns, each once."""
    seen: dict[str, int] = {}
    names = []
    for number, cell in enumerate(header):
        name = cell.strip() or f"column {number + 1}"
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(names)


def read_table(path: Path, run: str) -> Logs:
    """The points of a CSV file. Raises UserError where it holds none."""
    text, notes = read_text(path)
    columns, said = _columns(text, path.name)
    table, decided, by_epoch = table_of(columns, run, path.name)
    return Logs(table, (report_of(table, path.name, columns.rows), *notes, *said, *decided),
                by_epoch=by_epoch)


def _columns(text: str, file: str) -> tuple[Columns, list[str]]:
    try:
        return _parsed(text, file, csv.QUOTE_MINIMAL)
    except csv.Error as error:
        try:
            columns, notes = _parsed(text, file, csv.QUOTE_NONE)
        except csv.Error as again:
            raise UserError(f"{file} is damaged or no table ({again}). Save it again.") from again
        return columns, [Lost(f"{file} is damaged ({error}): a quote is opened and not closed, so "
                              "quotes were read like any other character."), *notes]


def _parsed(text: str, file: str, quoting: int) -> tuple[Columns, list[str]]:
    stream = io.StringIO(text.lstrip("\r\n"), newline="")
    first = stream.readline()
    stream.seek(0)
    delimiter = _delimiter(first)
    reader = csv.reader(stream, delimiter=delimiter, quoting=quoting, strict=True)
    header = next(reader)
    names, odd, notes = _names(header), _Odd(), []
    if len(names) > MOST_COLUMNS:
        notes.append(f"{file} has {len(names):,} columns; the first {MOST_COLUMNS:,} were read, "
                     "which is the limit.")
    builder = _Builder(names[:MOST_COLUMNS], delimiter != ",", odd)
    rows, chunk = _rows(reader, header, odd), max(1, CELLS // len(names))
    while block := list(islice(rows, chunk)):
        builder.add(block)
    if not builder.count:
        raise UserError(f"{file} has no rows below its header: it is empty. Open it again once "
                        "training has logged a step.")
    return builder.columns(), [*notes, *builder.notes(), *_skipped(odd)]


def _rows(reader: Iterator[list[str]], header: list[str], odd: _Odd) -> Iterator[list[str]]:
    """The rows as wide as the header; a row may end with delimiters too many."""
    width = len(header)
    for row in reader:
        if len(row) > width and not any(row[width:]):
            row = row[:width]
        if len(row) != width:
            if row and row[0].lstrip().startswith("#"):
                odd.comments += 1
            elif row:
                odd.ragged.append(reader.line_num)
        elif row == header:
            odd.headers += 1
        elif any(row):
            yield row


class _Builder:
    """Gathers the numbers of each column, a block of rows at a time."""

    def __init__(self, names: tuple[str, ...], decimal_comma: bool, odd: _Odd) -> None:
        self.names, self.comma, self.odd, self.count = names, decimal_comma, odd, 0
        self.found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in names}
        self.texts = {name: [] for name in names if known_name(name) in TEXTS}
        self.commas = 0

    def add(self, block: list[list[str]]) -> None:
        for name, cells in zip(self.names, zip(*block, strict=True), strict=False):
            if name in self.texts:
                self.texts[name] += [cell.strip() for cell in cells]
            self.found[name].append(self._numbers(name, cells))
        self.count += len(block)

    def _numbers(self, name: str, cells: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Rows and numbers of a column's cells; an empty cell is nothing."""
        filled = [row for row, cell in enumerate(cells) if cell]
        given = cells if len(filled) == len(cells) else [cells[row] for row in filled]
        joined = "".join(given)
        if joined.isascii() and "_" not in joined and (values := _floats(given)) is not None:
            return np.array(filled, np.int64) + self.count, values
        rows, values = [], []
        for row, cell in zip(filled, given, strict=True):
            number = _number(cell.strip(), self.comma)
            if number is not None:
                self.commas += "," in cell
                rows.append(row + self.count)
                values.append(number)
            elif cell.strip():
                self.odd.cells[name] = self.odd.cells.get(name, 0) + 1
                self.odd.first.setdefault(name, (row + self.count + 1, cell))
        return np.array(rows, np.int64), np.array(values, np.float64)

    def columns(self) -> Columns:
        numbers = {name: tuple(map(np.concatenate, zip(*parts, strict=True)))
                   for name, parts in self.found.items()}
        return Columns(self.count, {name: both for name, both in numbers.items() if len(both[0])},
                       self.texts)

    def notes(self) -> list[str]:
        """On columns and cells without numbers, and on decimal commas."""
        filled = {name for name, parts in self.found.items() if any(len(r) for r, _ in parts)}
        texts = [name for name in self.names if name in self.odd.cells and name not in filled]
        notes = [left_out(name, count, f"row {self.odd.first[name][0]:,}", self.odd.first[name][1])
                 for name, count in self.odd.cells.items() if name in filled]
        if dropped := [name for name in texts if name not in self.texts]:
            more = f" and {len(dropped) - 1:,} more" if len(dropped) > 1 else ""
            notes.append(f"Columns of text are not drawn: {shown(dropped[0])}{more}.")
        if self.commas:
            notes.append("Numbers are written with a decimal comma.")
        return notes


def _floats(cells: list[str] | tuple[str, ...]) -> np.ndarray | None:
    try:
        return np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        return None


def _number(cell: str, decimal_comma: bool) -> float | None:
    """The number in a cell as people write it; None for 0x10, 1_000 and other digits than 0–9."""
    if decimal_comma and DECIMAL_COMMA.fullmatch(cell):
        cell = cell.replace(",", ".")
    return float(cell) if NUMBER.fullmatch(cell) else None


def _skipped(odd: _Odd) -> list[str]:
    notes = []
    if odd.ragged:
        named = ", ".join(f"{line:,}" for line in odd.ragged[:LINES_NAMED])
        more = " …" if len(odd.ragged) > LINES_NAMED else ""
        one = len(odd.ragged) == 1
        notes.append(Lost(
            f"{len(odd.ragged):,} {'line has' if one else 'lines have'} another number of columns "
            f"than the header and {'was' if one else 'were'} skipped: line {named}{more}."))
    if odd.comments:
        notes.append(f"{counted(odd.comments, 'line')} of comment, after a #, left out.")
    if odd.headers:
        notes.append(f"The header is repeated {odd.headers:,} times, as where a log was continued.")
    return notes
