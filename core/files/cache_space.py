"""The room that the cache takes: measured, and made by deleting what was used longest ago."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from weakref import WeakKeyDictionary

try:
    import fcntl
except ImportError:  # Windows: there the age alone tells what a dead process left
    fcntl = None

ABANDONED = 24 * 3600  # seconds after which an unfinished folder belongs to a process that died
STARTING = 60  # seconds in which a writer has locked its folder
LOCK = "lock"  # in an unfinished folder; held while its process lives
UNFINISHED = re.compile(r"\.\w+\.[0-9a-f]{32}")
FINISHED = re.compile(r"[0-9a-f]{32}")  # a result, or an uploaded or downloaded file
_nameless: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


def counts(holder: Any, size: int) -> None:
    """Lets `size` bytes on disk that have no name count, as long as their holder lives. Together
    they take at most half of the limit from the results: a large model is no reason to have none.
    """
    _nameless[holder] = size


def in_use(path: Path) -> None:
    """Notes that a file in a folder of its own is used, for `make_room`."""
    with suppress(OSError):  # a cache that may only be read
        os.utime(path.parent)


@contextmanager
def locked(place: Path) -> Iterator[None]:
    """Shows other processes that the one that writes into this folder lives."""
    with (place / LOCK).open("wb") as file:
        if fcntl:
            with suppress(OSError):  # some network disks cannot
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    (place / LOCK).unlink()


def make_room(places: list[Path], limit: float) -> None:
    """Deletes folders used longest ago until all take `limit` bytes, but for the last used one,
    and what dead processes left.

    Only what bears a name of ours is deleted: the cache may be in a folder of a person's own.
    """
    total, removable = min(sum(_nameless.values()), limit / 2), []
    for place in places:
        try:
            used, changed, size = _measured(place)
            if UNFINISHED.fullmatch(place.name) and _is_abandoned(place, changed):
                shutil.rmtree(place, ignore_errors=True)
                continue
        except OSError:
            continue  # another process deleted it meanwhile
        total += size
        if FINISHED.fullmatch(place.name):
            removable.append((used, size, place))
    for _, size, place in sorted(removable)[:-1]:
        if total <= limit:
            break
        shutil.rmtree(place, ignore_errors=True)
        total -= size


def _measured(place: Path) -> tuple[float, float, int]:
    """(time of last use, time of the latest change, bytes) of a folder, of a file, or of what
    lies directly in it."""
    own = place.stat()
    files = [entry.stat() for entry in os.scandir(place)] if place.is_dir() else [own]
    changed = max([own.st_mtime, *(file.st_mtime for file in files)])
    return own.st_mtime, changed, sum(file.st_size for file in files)


def _is_abandoned(place: Path, changed: float) -> bool:
    """Whether the process that wrote an unfinished folder is dead, by its lock or its age."""
    age = time.time() - changed
    if age < STARTING or not fcntl or not (place / LOCK).exists():
        return age > ABANDONED
    with (place / LOCK).open("rb") as file:
        return age > ABANDONED or _can_be_locked(file)


def _can_be_locked(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
