"""Paths that a table or list names, found among the files that are really there; none leads out."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from core.dataset_files.array_roles import split_of
from core.dataset_files.image_files import is_picture

ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//|~")  # an address, a share, a home
DRIVE = re.compile(r"^[A-Za-z]:(?=/)")  # of Windows
OUTSIDE = "has a path that leads outside of the folder; it was not opened"
MISSING = "is missing: no such picture beside the table or below it"

STRUCT = re.compile(r"\{.*['\"]path['\"]: ['\"](.*?)['\"].*\}")


def path_in(cell: str) -> str:
    """The path in a cell, which may be a record as text: {'bytes': None, 'path': 'cat.png'}."""
    found = STRUCT.fullmatch(cell.strip()) if cell.lstrip().startswith("{") else None
    return found[1] if found else cell


class Finder:
    """Finds pictures by what is said of them: a path, the end of one, or a name without ending.

    A rooted path is only looked for by its end, below the folder of the list that names it. Of
    several that fit, the one in a folder of the list's split is meant.
    """

    def __init__(self, names: Sequence[str], split: str = "") -> None:
        self._split = split
        self._rows = {name: row for row, name in enumerate(names)}
        self._named: dict[str, list[str]] = {}
        for name in names:
            last = name.rpartition("/")[2]
            self._named.setdefault(last, []).append(name)
            self._named.setdefault(last.rpartition(".")[0], []).append(name)

    def find(self, said: str) -> int | str:
        """The row of the picture, or why there is none, as the end of a sentence."""
        path = DRIVE.sub("", said.strip().replace("\\", "/"))
        if ELSEWHERE.match(path) or ".." in path.split("/") or "\0" in path:
            return OUTSIDE
        path = path.removeprefix("./")
        if path in self._rows:
            return self._rows[path]
        fitting = [name for name in self._named.get(path.rpartition("/")[2], ())
                   if _end_alike(name, path)]
        if len(fitting) > 1 and self._split:
            fitting = [name for name in fitting if split_of(name.rpartition("/")[0]) == self._split
                       ] or fitting
        if len(fitting) == 1:
            return self._rows[fitting[0]]
        if fitting:
            return "could be any of several pictures; name its folder too"
        return OUTSIDE if path.startswith("/") else MISSING


def _end_alike(name: str, said: str) -> bool:
    """Whether one of two paths is the end of the other, whatever the ending of the file."""
    if not is_picture(said):
        name = str(PurePosixPath(name).with_suffix(""))
    return f"/{said}".endswith(f"/{name}") or f"/{name}".endswith(f"/{said.lstrip('/')}")
