"""A folder walked once: what lies in it, and a stamp that changes when any of that does."""

import os
from dataclasses import dataclass
from pathlib import Path

DEEPEST = 5  # folders below a given one
MOST_FOLDERS = 20_000  # looked at in one listing
MOST_STAMPED = 1000  # files of a folder; one with more is known by its own time alone


@dataclass(frozen=True)
class Walked:
    """folders: (folder, its files) in the order of the walk, hidden ones left out."""

    folders: tuple[tuple[Path, list[str]], ...]
    stamp: int


def walked(root: Path) -> Walked:
    """What lies below `root`, bounded in depth and number; links are not followed."""
    found, stamps = [], []
    for place, below, files in os.walk(root):
        depth = len(Path(place).relative_to(root).parts)
        below[:] = sorted(name for name in below if not name.startswith((".", "__")))
        names = sorted(name for name in files if not name.startswith("."))
        stamps.append((place, *stamp(place), *below))
        if len(names) <= MOST_STAMPED:
            stamps += [(name, *stamp(os.path.join(place, name))) for name in names]
        if depth >= DEEPEST:
            below.clear()
        found.append((Path(place), names))
        if len(found) > MOST_FOLDERS:
            break
    return Walked(tuple(found), hash(tuple(stamps)))


def stamp(path: Path | str) -> tuple[int, int]:
    """Size and time of a file, which change when it does."""
    try:
        stat = os.stat(path)
    except OSError:  # deleted, or a link to nowhere
        return (0, 0)
    return stat.st_size, stat.st_mtime_ns
