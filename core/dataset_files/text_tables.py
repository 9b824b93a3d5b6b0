"""CSV, TSV and lists of pictures as text: told by their first lines, read whole by Arrow."""

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from pyarrow import csv as arrow_csv

from core.dataset_files.image_files import is_picture
from core.dataset_files.table_columns import Columns, columns_of, is_number
from core.errors import UserError
from core.files.text_of_files import shown
from core.table_ids import IsStem

HEAD = 1 << 18  # bytes looked at
LINES = 50
FEWEST_TO_TELL = 10  # rows from which values may be said to repeat
LARGEST = 1 << 30  # bytes
MOST_ROWS, MOST_COLUMNS = 5_000_000, 20_000
BLOCK = 16 << 20  # bytes; no row is longer
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class TextTable:
    """The form of a table, told by its first lines. has_header: the first line names columns."""

    delimiter: str
    names: tuple[str, ...]
    has_header: bool
    columns: Columns
    encoding: str


def form_of(start: bytes, is_stem: IsStem | None = None) -> TextTable | None:
    """The form of a table of pictures by its first bytes; None where it is something else.

    is_stem: whether there is a picture of that name, its ending not counted.
    """
    encoding = _encoding(start)
    if encoding is None:
        return None
    lines = start.decode(encoding, "replace").splitlines()
    if len(start) >= HEAD:
        lines.pop()  # cut
    lines = [line for line in lines if line.strip()][:LINES + 1]
    if not lines or len(lines[0]) > HEAD // 2:
        return None
    delimiter = max(",;\t|", key=lines[0].count)
    try:
        rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))
    except csv.Error:
        return None
    return _form(rows, delimiter, encoding, is_stem)


def _form(rows: list[list[str]], delimiter: str, encoding: str,
          is_stem: IsStem | None) -> TextTable | None:
    first = [cell.strip() for cell in rows[0]]
    has_header = _is_header(first)
    names = _distinct(first) if has_header else [f"column {i + 1}" for i in range(len(first))]
    body = [row for row in rows[has_header:] if len(row) == len(names)]
    if not body or len(names) > MOST_COLUMNS:
        return None
    sample = {name: [row[i].strip() for row in body] for i, name in enumerate(names)}
    found = columns_of(sample, is_stem)
    if found and found.pixels and not has_header:
        found = _label_of_unnamed(found, sample)
    return TextTable(delimiter, tuple(names), has_header, found, encoding) if found else None


def _is_header(first: Sequence[str]) -> bool:
    if [cell for cell in first if is_number(cell)] != list(first):
        return not any(map(is_picture, first))
    counted = [cell for cell in first if cell.isdigit()]  # 0, 1, 2 … as pandas names columns
    return len(counted) == len(first) > 1 and list(map(int, first)) == list(
        range(int(first[0]), int(first[0]) + len(first)))


def _distinct(names: Sequence[str]) -> list[str]:
    seen: dict[str, int] = {}
    found = []
    for name in names:
        name = name or "unnamed"
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def _label_of_unnamed(found: Columns, sample: dict[str, list[str]]) -> Columns:
    """Without a header the first column is the label, or the last if the first never changes, or if
    only the last has values that repeat as those of classes do."""
    first, last = found.pixels[0], found.pixels[-1]
    values, others = set(sample[first]), set(sample[last])
    repeats = [2 * len(each) <= len(sample[first]) for each in (values, others)]
    by_last = len(others) > 1 and (len(values) == 1 or (
        len(sample[first]) >= FEWEST_TO_TELL and repeats == [False, True]))
    label = last if by_last else first
    return replace(found, pixels=tuple(name for name in found.pixels if name != label), label=label)


def _encoding(start: bytes) -> str | None:
    if start.startswith(UTF16):
        return "utf-16"
    if b"\0" in start:
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


def read_text_table(data: memoryview, form: TextTable,
                    name: str) -> tuple[pa.Table, tuple[str, ...]]:
    """All rows, and what was skipped. Pixels as uint8 where they are, else float32.

    Raises UserError that names the file.
    """
    if len(data) > LARGEST:
        raise UserError(f"{name} has {len(data):,} bytes; text tables are read up to {LARGEST:,}. "
                        "Save it as Parquet, or pixels as .npz.")
    if form.encoding == "utf-16":
        data = memoryview(bytes(data).decode("utf-16", "replace").encode())
    bad: list[int] = []
    try:
        table = _parsed(data, form, pa.uint8(), bad)
    except pa.ArrowInvalid:
        bad.clear()
        try:
            table = _parsed(data, form, pa.float32(), bad)
        except pa.ArrowInvalid as error:
            raise UserError(f"{name}: the table is damaged ({shown(error, 160)}). "
                            "Correct that line, or save it again.") from error
    if len(table) > MOST_ROWS:
        raise UserError(f"{name} has {len(table):,} rows; the limit is {MOST_ROWS:,}. Split it.")
    skipped = f"{len(bad):,} lines have another number of columns than the first and were skipped."
    return table, (skipped,) if bad else ()


def _parsed(data: memoryview, form: TextTable, pixels: pa.DataType, bad: list[int]) -> pa.Table:
    def skip(row: arrow_csv.InvalidRow) -> str:
        bad.append(row.number or 0)
        return "skip"

    roles = form.columns
    texts = (roles.path, roles.pixel_text, roles.label, roles.label_name)
    types = {name: pa.string() for name in texts if name} | dict.fromkeys(roles.pixels, pixels)
    quoted = re.search(rb'"[^"\n]*\n', bytes(data[:HEAD])) is not None
    return arrow_csv.read_csv(
        pa.BufferReader(pa.py_buffer(data)),
        arrow_csv.ReadOptions(block_size=BLOCK, column_names=form.names,
                              skip_rows=int(form.has_header),
                              encoding="latin1" if form.encoding == "latin-1" else "utf8"),
        arrow_csv.ParseOptions(delimiter=form.delimiter, invalid_row_handler=skip,
                               newlines_in_values=quoted),
        arrow_csv.ConvertOptions(column_types=types),
    )
