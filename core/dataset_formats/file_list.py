"""A text file with one `path label` a line, as Caffe and DIGITS write them."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from core.dataset_files.array_roles import split_of
from core.dataset_files.class_dictionaries import FILES, named
from core.dataset_files.class_labels import ClassLabels, class_labels
from core.dataset_files.file_sources import Folder, Source
from core.dataset_files.image_files import is_picture
from core.dataset_files.masks import PICTURES
from core.dataset_files.table_examples import of_paths
from core.dataset_formats import DataSet, Format, beside_others
from core.errors import UserError
from core.files import content_ids
from core.images import EXTENSIONS
from core.table_ids import IsStem, stems_of

ENDINGS = {".txt", ".lst", ".list"}
HEAD, LARGEST = 1 << 14, 512 << 20  # bytes
ORDER = ("test", "validation", "", "train")
NUMBER = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?", re.IGNORECASE)
NUMBERED = re.compile(r"(.*[A-Za-z].*?)[ _.-]\d+")
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
    names.sort(key=lambda name: ORDER.index(split_of(name.rpartition("/")[2])))
    is_stem = stems_of(source, "")
    found = [name for name in names if _is_list_of(source.start(name, HEAD), name, is_stem)]
    return beside_others(read(source, found[0]), found[0], found[1:]) if found else None


def _is_list_of(start: bytes, name: str, is_stem: IsStem) -> bool:
    """Whether the first lines name pictures, with or without their ending."""
    if is_list(start):
        return True
    if b"\0" in start or name.rpartition("/")[2] in FILES:
        return False
    lines = _lines(start.decode("utf-8", "replace"))
    lines = lines[:-1] if len(start) >= HEAD else lines
    return bool(lines) and sum(_parted(line, is_stem) is not None for line in lines) >= (
        0.9 * len(lines))


def _lines(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _parted(line: str, is_stem: IsStem) -> tuple[str, str] | None:
    """(path, what follows it) of a line; None where it names no picture."""
    if found := LINE.fullmatch(line):
        return found[1], (found[2] or "").strip()
    for path, rest in ((line, ""), (*line.split(maxsplit=1), "")[:2]):
        stem = path.rpartition("/")[2]
        if not NUMBER.fullmatch(path) and is_stem(stem):
            return path, rest
    return None


def read(source: Source, name: str) -> DataSet:
    """The pictures that one list of a source names."""
    lines = _lines(source.read(name, LARGEST).decode("utf-8-sig", "replace"))
    is_stem = stems_of(source, "")
    kept = [part for line in lines if (part := _parted(line, is_stem))]
    if not kept:
        raise UserError(f"{name} names no pictures. A line is a path, then a label.")
    notes = ()
    if len(kept) < len(lines):
        notes = (f"{len(lines) - len(kept):,} lines name no picture and were skipped.",)
    said = [path for path, _ in kept]
    values, more = _columns([rest for _, rest in kept])
    return of_paths(source, name, said, _labels(source, name, said, values), more, notes)


def _labels(source: Source, name: str, said: list[str], values: np.ndarray) -> ClassLabels | None:
    """What the list says, with names of a file beside it; else the folders that the paths name."""
    folders = np.array([path.rpartition("/")[0].rpartition("/")[2] for path in said], dtype=object)
    if not values.any():
        distinct = set(folders)
        if len(distinct) < 2 or any(split_of(f) or f.lower() in PICTURES for f in distinct):
            return None
        found = class_labels(folders, name)
        return replace(found, notes=(*found.notes, "The folder that a path names is the class."))
    found = class_labels(values, name)
    for folder in dict.fromkeys((name.rpartition("/")[0], "")):
        if (renamed := named(found, source, folder)) is not found:
            return renamed
    return _named_by_paths(found, said)


def _named_by_paths(found: ClassLabels, said: list[str]) -> ClassLabels:
    """Ids as Oxford's pets have them, Abyssinian_100 and so on: what goes before the number is the
    class, where to each id there is one such name."""
    prefixes = [NUMBERED.fullmatch(path.rpartition("/")[2].split(".")[0]) for path in said]
    if not all(prefixes) or not all(name.isdigit() for name in found.class_names):
        return found
    names = [prefix[1] for prefix in prefixes]
    pairs = set(zip(found.labels.tolist(), names, strict=True))
    if not 1 < len(pairs) == len(set(names)) == len({label for label, _ in pairs}):
        return found
    of_id = dict(pairs)
    order = sorted(label for label in of_id if label >= 0)
    labels = np.array([order.index(label) if label >= 0 else label
                       for label in found.labels.tolist()], dtype=np.int64)
    return ClassLabels(labels, tuple(of_id[label] for label in order), (
        *found.notes, "Class names are what the pictures are called, up to the number."))


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


def content_id(path: Path) -> str:
    """Follows the list, the pictures below its folder, and the class names beside it."""
    folder = Folder(path.parent)
    beside = content_ids.of_files(path, *(path.parent / name for name in FILES))
    return content_ids.of_folder(folder, list(filter(is_picture, folder.names())), beside)


FORMAT = Format("List of pictures", matches, load, content_id, inside)
