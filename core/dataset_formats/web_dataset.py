"""WebDataset: files of one name are an example, 000.jpg, 000.cls, 000.json; in a tar or unpacked.

https://github.com/webdataset/webdataset#the-webdataset-format
"""

from collections.abc import Sized
from dataclasses import replace
from pathlib import Path

from core.dataset_files.counts import counted
from core.dataset_files.file_sources import Folder, Source, skipped_note
from core.dataset_files.image_files import is_picture
from core.dataset_files.json_rows import Row, row_of, sample_of, table_of
from core.dataset_files.table_columns import columns_of
from core.dataset_files.table_examples import examples
from core.dataset_formats import DataSet, Format, image_folder
from core.errors import UserError
from core.files import content_ids
from core.files.text_of_files import shown

CLASS, RECORD, CAPTION = ".cls", ".json", ".txt"
ENDINGS = {CLASS, RECORD}
LABEL = "cls"  # the column
LOOKED_AT = 64  # pictures of a folder
MOST = 2_000_000
LARGEST = 1 << 20  # bytes of what is said of one picture


def matches(path: Path) -> bool:
    """A folder in which pictures lie, each with a file of its class."""
    if not path.is_dir():
        return False
    names = [entry.name for entry in image_folder.entries(path)]
    if not any(map(is_class, names)):
        return False
    some = list(filter(is_picture, names))[:LOOKED_AT]
    return _are_most([name for name in some if (path / (_key(name) + CLASS)).is_file()], some)


def _pictures(names: list[str], among: set[str]) -> dict[str, str]:
    """By the name up to its first dot the picture that has a class beside it."""
    found: dict[str, str] = {}
    for name in filter(is_picture, names):
        key = _key(name)
        if key + CLASS in among:
            found.setdefault(key, name)
    return found


def _are_most(pictures: Sized, names: list[str]) -> bool:
    return bool(pictures) and 2 * len(pictures) >= sum(map(is_picture, names))


def is_class(name: str) -> bool:
    """Whether a file holds the class of the picture of its name."""
    return name.endswith(CLASS)


def _key(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]


def load(path: Path) -> DataSet:
    """Raises UserError."""
    source = Folder(path)
    found = inside(source)
    if found is None:
        raise UserError(f"{path.name} holds no pictures with a file of their class beside them.")
    return replace(found, notes=(*skipped_note(source), *found.notes))


def inside(source: Source) -> DataSet | None:
    """Pictures with a class each; None where most have none."""
    names = source.names()
    there = set(names)
    pictures = _pictures(names, there) if any(map(is_class, names)) else {}
    if not _are_most(pictures, names):
        return None
    if len(pictures) > MOST:
        raise UserError(f"{source.title} has {len(pictures):,} pictures; the limit is {MOST:,}. "
                        "Open one of its shards.")
    bad: list[str] = []
    rows = [_row(source, there, key, picture, bad) for key, picture in pictures.items()]
    table, said = table_of(rows, source.title)
    columns = replace(columns_of(sample_of(rows)), path="path", label=LABEL, one_hot=())
    if bad:
        said += (f"{counted(len(bad), 'file')} beside the pictures cannot be read, first "
                 f"{shown(bad[0])}.",)
    if rest := sum(map(is_picture, names)) - len(pictures):
        said += (f"{counted(rest, 'picture')} without a class, or beside another of the same name, "
                 "left out.",)
    data = examples(source, source.title, table, columns, said)
    return replace(data, title=source.title)


def _row(source: Source, there: set[str], key: str, picture: str, bad: list[str]) -> Row:
    """What the files of one name say; `bad` receives those that cannot be read."""
    row: Row = {}
    said = {ending: _said(source, key + ending, bad) if key + ending in there else None
            for ending in (RECORD, CAPTION, CLASS)}
    if said[RECORD] is not None:
        row = row_of(said[RECORD]) or {}
        if "path" in row:
            row["path in the json"] = row["path"]
    if said[CAPTION] is not None:
        row["text"] = said[CAPTION].decode("utf-8", "replace").strip()
    label = (said[CLASS] or b"").decode("utf-8", "replace").strip()
    return row | {"path": picture, LABEL: label}


def _said(source: Source, name: str, bad: list[str]) -> bytes | None:
    try:
        return source.read(name, LARGEST)
    except UserError:
        bad.append(name)
        return None


def content_id(path: Path) -> str:
    """Changes with any file of the folder."""
    folder = Folder(path)
    return content_ids.of_folder(folder, folder.names())


FORMAT = Format("WebDataset", matches, load, content_id, inside)
