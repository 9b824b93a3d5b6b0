"""A text file with one `path label` a line, as Caffe and DIGITS write them."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from core.dataset_files.class_labels import class_labels
from core.dataset_files.file_sources import Folder, Source
from core.dataset_files.image_files import is_picture
from core.dataset_files.table_examples import of_paths
from core.dataset_formats import DataSet, Format, beside_others
from core.errors import UserError
from core.files import content_ids
from core.images import EXTENSIONS

ENDINGS = {".txt", ".lst", ".list"}
HEAD, LARGEST = 1 << 14, 512 << 20  # bytes
NAMES = ("labels.txt", "classes.txt", "class_names.txt", "synset_words.txt")
NUMBER = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?", re.IGNORECASE)
LINE = re.compile(r"(.*?(?:" + "|".join(map(re.escape, sorted(EXTENSIONS, reverse=True)))
                  + r"))(?:[\s,;]+(.*))?", re.IGNORECASE)


def matches(path: Path) -> bool:
    """By its ending and first lines."""
    if path.suffix.lower() not in ENDINGS or not path.is_file():
        return False
    with path.open("rb") as file:
        return is_list(file.read(HEAD))


def is_list(start: bytes) -> bool:
    """Whether nearly all of the first lines begin with the path of a picture."""
    if b"\0" in start:
        return False
    lines = [line for line in start.decode("utf-8", "replace").splitlines() if line.strip()]
    lines = lines[:-1] if len(start) >= HEAD else lines
    return bool(lines) and sum(LINE.fullmatch(line.strip()) is not None for line in lines) >= (
        0.9 * len(lines))


def load(path: Path) -> DataSet:
    """Raises UserError."""
    return read(Folder(path.parent), path.name)


def inside(source: Source) -> DataSet | None:
    """The list of pictures, one of a test or validation split before others."""
    names = [name for name in source.names() if name[name.rfind("."):].lower() in ENDINGS]
    names.sort(key=lambda name: re.search("test|val", name.lower()) is None)
    found = [name for name in names if is_list(source.start(name, HEAD))]
    return beside_others(read(source, found[0]), found[0], found[1:]) if found else None


def read(source: Source, name: str) -> DataSet:
    """The pictures that one list of a source names."""
    text = source.read(name, LARGEST).decode("utf-8-sig", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    parts = [LINE.fullmatch(line) for line in lines]
    kept = [part for part in parts if part]
    if not kept:
        raise UserError(f"{name} names no pictures. A line is a path, then a label.")
    notes = ()
    if len(kept) < len(lines):
        notes = (f"{len(lines) - len(kept):,} lines name no picture and were skipped.",)
    said = [part[1] for part in kept]
    values, more = _columns([(part[2] or "").strip() for part in kept])
    names = _names_beside(source, name)
    labels = class_labels(values, name, names) if values.any() else None
    return of_paths(source, name, said, labels, more, notes)


def _columns(rests: list[str]) -> tuple[np.ndarray, pd.DataFrame]:
    """What follows the paths: labels, (N,) texts or (N, K) one-hot, and further columns.

    Tabs divide it, and spaces where all of it is numbers: a class name may have spaces."""
    tabs = any("\t" in rest for rest in rests)
    rows = [rest.split("\t") if tabs else rest.split() for rest in rests]
    width = len(rows[0])
    divided = width > 1 and all(len(row) == width for row in rows) and (
        tabs or all(NUMBER.fullmatch(cell) for row in rows for cell in row))
    if not divided:
        return np.array(rests, dtype=object), pd.DataFrame(index=range(len(rests)))
    if width > 2 and all({*row} == {"0", "1"} and row.count("1") == 1 for row in rows):
        return np.array(rows, dtype=np.int64), pd.DataFrame(index=range(len(rests)))
    names = [f"column {number}" for number in range(3, width + 2)]
    return (np.array([row[0] for row in rows], dtype=object),
            pd.DataFrame([row[1:] for row in rows], columns=names, dtype=object))


def _names_beside(source: Source, name: str) -> list[str] | None:
    """Class names, one a line, of a file beside the list."""
    folder = name.rpartition("/")[0]
    for beside in NAMES:
        place = f"{folder}/{beside}" if folder else beside
        if place in source and place != name:
            lines = source.read(place, LARGEST).decode("utf-8", "replace").splitlines()
            names = [line.strip() for line in lines if line.strip()]
            if names and not any(map(is_picture, names)):
                return names
    return None


def content_id(path: Path) -> str:
    """Follows the list, the pictures below its folder, and the class names beside it."""
    folder = Folder(path.parent)
    beside = content_ids.of_files(path, *(path.parent / name for name in NAMES))
    return content_ids.of_folder(folder, list(filter(is_picture, folder.names())), beside)


FORMAT = Format("List of pictures", matches, load, content_id, inside)
