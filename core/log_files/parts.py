"""Event files that grow: what was read of them is kept on disk, part by part, so that the next
reading costs only what is new.

A part is found by the file (device, number and first bytes), by what was known of its tags before
it, and by the parts before it; it counts only while the bytes at its end are those that were read.
So a file that was replaced or shortened is read anew. A short rest at the end is read each time.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core import store
from core.errors import UserError
from core.files.limits import MB

LEAST = 8 * MB  # bytes of a part
HEAD, TAIL = 256, 64  # bytes that must be the same
COLUMNS = ("tag", "step", "wall_time", "value")
OTHERS = ("tag", "step", "wall_time", "byte", "size")

log = logging.getLogger("netlens")
_keeping: ContextVar[bool] = ContextVar("keeping", default=False)


@dataclass
class Said:
    """What a part says besides its arrays. stop: where it ends in the file. tags: names of its
    codes. plugins: of the tags that are new in it. problems: (byte, what, more)."""

    stop: int
    tail: str
    tags: list[str]
    plugins: dict[str, str]
    problems: list[tuple[int, str, int]]
    records: int
    settings: dict[str, float | str | bool]
    kinds: list[tuple[str, int]] = field(default_factory=list)  # of others, with how many


@dataclass(frozen=True)
class Part:
    """columns: COLUMNS, those of its numbers. others: OTHERS, all kinds one after the other."""

    said: Said
    columns: list[np.ndarray]
    others: list[np.ndarray]


@contextmanager
def keeping() -> Iterator[None]:
    """Inside, what is read of event files is kept, and what is kept is not read again."""
    token = _keeping.set(True)
    try:
        yield
    finally:
        _keeping.reset(token)


def is_keeping() -> bool:
    """Whether the logs are read inside `keeping`."""
    return _keeping.get()


class Parts:
    """The parts of one file, from its beginning."""

    def __init__(self, path: Path, known: dict[str, str]) -> None:
        self._path, stat = path, path.stat()
        self._size = stat.st_size
        head = self._bytes(0, HEAD)
        self._key = store.key(
            log_part=store.code(), file=[stat.st_dev, stat.st_ino], head=head, known=known
        )

    def __iter__(self) -> Iterator[Part]:
        """Those that are kept."""
        while (found := store.read(self._key)) is not None:
            said = Said(**json.loads(found["said"].tobytes()))
            if said.stop > self._size or said.tail != self._ending(said.stop):
                return
            self._key = self._following(said.stop)
            yield Part(said, [found[name] for name in COLUMNS],
                       [found[f"other_{name}"] for name in OTHERS])

    def keep(self, part: Part) -> None:
        """Keeps the part that follows the last one. A cache that cannot be written costs time at
        the next reading, no more."""
        part.said.tail = self._ending(part.said.stop)
        said = np.frombuffer(json.dumps(asdict(part.said)).encode(), np.uint8)
        names = [*COLUMNS, *(f"other_{name}" for name in OTHERS), "said"]
        try:
            with store.writing(self._key) as files:
                for name, array in zip(names, [*part.columns, *part.others, said], strict=True):
                    files.array(name, array.shape, array.dtype.str)[...] = array
        except UserError as error:
            log.warning("%s: a part could not be kept: %s", self._path.name, error)
        self._key = self._following(part.said.stop)

    def _following(self, stop: int) -> str:
        return store.key(after=self._key, stop=stop)

    def _ending(self, stop: int) -> str:
        return self._bytes(max(0, stop - TAIL), min(stop, TAIL))

    def _bytes(self, start: int, count: int) -> str:
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read(count).hex()


def joined(parts: list[np.ndarray], dtype: Any) -> np.ndarray:
    """One array of them all."""
    return np.concatenate([np.empty(0, dtype), *parts])
