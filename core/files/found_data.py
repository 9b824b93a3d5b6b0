"""Data sets under a folder: each table, file of arrays and folder of pictures is an entry of its
own, but the one table beside the pictures that it names is part of their folder."""

import os
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from core.files.walked_folders import Walked, stamp
from core.plugins import discover, knows

if TYPE_CHECKING:
    from core.dataset_formats import Format

MOST_LOOKED_AT = 20_000  # entries of such a folder
MOST_BESIDE = 64  # files in a folder of pictures that may be data sets of their own


def data_sets(root: Path, seen: Walked) -> list[Path]:
    """Those below a root that is none itself; what lies in folders inside one is not listed."""
    found: list[Path] = []
    for place, names in seen.folders:
        if any(parent in found for parent in (place, *place.parents)):
            continue
        if place != root and (there := data_set_at(place)):
            found += there
            continue
        found += [place / name for name in names if _form(place / name)]
    return found


def data_set_at(place: Path) -> list[Path]:
    """A folder that is a data set, then the files in it that are others; empty where it is none."""
    form = _form(place)
    if form is None:
        return []
    if form.tables is None:
        return [place]
    others = [place / name for name in _beside(place, *stamp(place)) if _form(place / name)]
    tables = [path for path in others if path.suffix.lower() in form.tables]
    read_with_it = tables if len(tables) == 1 else []
    return [place, *(path for path in others if path not in read_with_it)]


def _form(path: Path) -> "Format | None":
    """The format by which a path is listed as a data set: a loose picture is none."""
    every = discover("core.dataset_formats", "FORMAT").values()
    return next((form for form in every if form.listed and knows(form, path)), None)


@lru_cache(maxsize=1000)
def _beside(folder: Path, size: int, changed: int) -> tuple[str, ...]:
    """Names of the files in a folder of pictures that are none and belong to none, as captions do,
    MOST_BESIDE at most."""
    from core.dataset_files.image_files import is_picture

    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, MOST_LOOKED_AT)
                     if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False)]
    except OSError:  # closed to this account, or deleted meanwhile
        return ()
    pictures = {name.partition(".")[0] for name in names if is_picture(name)}
    others = (name for name in names if name.partition(".")[0] not in pictures)
    return tuple(sorted(others)[:MOST_BESIDE])
