"""A folder with one sub-folder per class; the sub-folder's name is the class."""

import hashlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from core.dataset_formats import DataSet, Format
from core.errors import UserError
from core.images import EXTENSIONS, LARGEST_FILE, decode

MOST_FILES = 5_000_000


def matches(path: Path) -> bool:
    """A folder of which a sub-folder itself holds pictures; looks at a few names, opens no file."""
    if not path.is_dir():
        return False
    with os.scandir(path) as entries:
        folders = [entry.path for _, entry in zip(range(64), entries, strict=False)
                   if _is_class(entry)]
    return any(next(_pictures(Path(folder), depth=0), None) for folder in folders[:16])


def _is_class(entry: os.DirEntry) -> bool:
    return entry.is_dir(follow_symlinks=False) and not entry.name.startswith((".", "__MACOSX"))


def _pictures(folder: Path, depth: int = 8) -> Iterator[os.DirEntry]:
    """Files with a picture's ending in a folder and below it; symbolic links are not followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and depth and not entry.name.startswith("."):
                yield from _pictures(Path(entry.path), depth - 1)
            elif entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
                if Path(entry.name).suffix.lower() in EXTENSIONS:
                    yield entry


def _listing(path: Path) -> list[tuple[str, str, os.DirEntry]]:
    """(class, path relative to the folder, entry), sorted by class and path."""
    with os.scandir(path) as entries:
        classes = sorted(entry.name for entry in entries if _is_class(entry))
    found = []
    for name in classes:
        of_class = [(name, os.path.relpath(entry.path, path), entry) for entry in _pictures(path / name)]
        found += sorted(of_class, key=lambda row: row[1])
        if len(found) > MOST_FILES:
            raise UserError(f"{path.name} holds more than {MOST_FILES:,} pictures. Choose a part of it.")
    return found


def content_id(path: Path) -> str:
    """Changes with any file's name, size or time of change; no picture is read for it."""
    digest = hashlib.sha256()
    for _, name, entry in _listing(path):
        stat = entry.stat()
        digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def load(path: Path) -> DataSet:
    """Pictures by class in alphabetical order of classes; none is opened yet."""
    listing = _listing(path)
    if not listing:
        raise UserError(f"{path.name} holds no pictures. One sub-folder per class is wanted, with "
                        "PNG, JPEG, WebP, BMP, GIF or TIFF files in it.")
    class_names = sorted({name for name, _, _ in listing})
    position = {name: index for index, name in enumerate(class_names)}
    names = [name for _, name, _ in listing]
    return DataSet(
        title=path.name,
        image=partial(_image, path, names),
        labels=np.array([position[name] for name, _, _ in listing], dtype=np.int64),
        class_names=tuple(class_names),
        metadata=pd.DataFrame({"path": names}),
        notes=(f"{len(names):,} pictures in {len(class_names)} sub-folders; "
               "the sub-folder's name is the class.",),
    )


def _image(folder: Path, names: list[str], row: int) -> np.ndarray:
    file = folder / names[row]
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise UserError(f"{names[row]} is larger than {LARGEST_FILE >> 20} MB. Save it smaller.")
        return decode(file.read_bytes(), names[row])
    except OSError as error:
        raise UserError(f"{names[row]} could not be read ({error.strerror}). "
                        "Choose the data set again if files were moved.") from error


FORMAT = Format("Folder with one sub-folder per class", matches, load, content_id)
