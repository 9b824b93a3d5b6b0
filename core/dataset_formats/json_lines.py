"""JSON lines, an object a picture: metadata.jsonl with file_name, as Hugging Face's image folders.

https://huggingface.co/docs/datasets/image_dataset#imagefolder
"""

from pathlib import Path

from core.dataset_files.array_roles import SPLITS, split_of_file
from core.dataset_files.class_dictionaries import FILES
from core.dataset_files.file_sources import Folder, Source
from core.dataset_files.image_files import is_picture
from core.dataset_files.json_rows import Row, row_of, sample_of, table_of
from core.dataset_files.table_columns import Columns, columns_of
from core.dataset_files.table_examples import examples
from core.dataset_formats import DataSet, Format, beside_others
from core.errors import UserError
from core.files import content_ids

ENDINGS = {".jsonl", ".ndjson"}
HEAD, LARGEST = 1 << 16, 128 << 20  # bytes
MOST_ROWS = 1_000_000


def matches(path: Path) -> bool:
    """By its ending and first lines, which name pictures."""
    if path.suffix.lower() not in ENDINGS or not path.is_file():
        return False
    with path.open("rb") as file:
        return _roles(file.read(HEAD)) is not None


def _roles(start: bytes) -> Columns | None:
    """The columns of a table of pictures by its first lines; None where it is something else."""
    lines = start.splitlines()
    rows = _rows(lines[:-1] if len(start) >= HEAD else lines)[0]
    found = columns_of(sample_of(rows)) if rows else None
    return found if found and found.path else None


def _rows(lines: list[bytes]) -> tuple[list[Row], int]:
    """The objects, and how many lines are none."""
    lines = [line for line in lines if line.strip()]
    rows = [row for line in lines if (row := row_of(line)) is not None]
    return rows, len(lines) - len(rows)


def load(path: Path) -> DataSet:
    """Raises UserError."""
    return read(Folder(path.parent), path.name)


def inside(source: Source) -> DataSet | None:
    """The lines with labels, those of a test split before others."""
    names = [name for name in source.names() if name[name.rfind("."):].lower() in ENDINGS]
    known = {name: found for name in names if (found := _roles(source.start(name, HEAD)))}
    found = sorted(known, key=lambda name: (
        not (known[name].label or known[name].one_hot), SPLITS.index(split_of_file(name))))
    return beside_others(read(source, found[0]), found[0], found[1:]) if found else None


def read(source: Source, name: str) -> DataSet:
    """The pictures that one file of a source names."""
    columns = _roles(source.start(name, HEAD))
    if columns is None:
        raise UserError(f"{name} names no pictures. A line is an object with the path of a picture "
                        'and its label: {"file_name": "0001.png", "label": "cat"}')
    rows, bad = _rows(source.read(name, LARGEST).splitlines())
    if len(rows) > MOST_ROWS:
        raise UserError(f"{name} has {len(rows):,} lines; the limit is {MOST_ROWS:,}. Save it as "
                        "Parquet.")
    table, said = table_of(rows, name)
    if bad:
        said += (f"{bad:,} {'line is' if bad == 1 else 'lines are'} cut off or no JSON object and "
                 "skipped.",)
    return examples(source, name, table, columns, said)


def content_id(path: Path) -> str:
    """Follows the lines, names of classes beside them, and the pictures below their folder."""
    folder = Folder(path.parent)
    beside = content_ids.of_files(path, *(path.with_name(name) for name in FILES))
    return content_ids.of_folder(folder, list(filter(is_picture, folder.names())), beside)


FORMAT = Format("Table of pictures (JSON lines)", matches, load, content_id, inside)
