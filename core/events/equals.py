"""Event files of equal size: runs of one program often have them, and the same records in them.

The first of such files is read as any is. The others are read several at a time into one buffer
and are expected to be cut as it was, so that what they repeat is a cube, files x rounds x bytes,
which costs as many calls of numpy as one file. One that is not just so is read as any is, and is
then the one to follow.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.events.checksum import crc32c
from core.events.framing import HEADER
from core.events.pieces import CHUNK, Piece, Problem, pieces
from core.events.rounds import Rows, Stretch, decoded, differing, sound_sum, unmask
from core.events.templates import Template

LARGEST = CHUNK  # bytes of a file, which is then read as one piece
TOGETHER = 4 * CHUNK  # bytes read at a time
NONE = np.empty(0, np.int64)


class _Cut(NamedTuple):
    """Where a piece is in each file. template, rounds, sum: of a stretch, see `sound_sum`; None and
    0 of other records, of which `headers` are at the bytes `places` of the file."""

    start: int
    stop: int
    template: Template | None
    rounds: int
    sum: int
    starts: np.ndarray
    places: np.ndarray
    headers: np.ndarray


class EqualFiles:
    """The pieces of files that are asked for in the order in which they are given here."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._sizes: dict[Path, int] = {}
        self._coming: dict[int, dict[Path, None]] = {}  # by size, in order
        self._cuts: dict[int, list[_Cut]] = {}
        self._ready: dict[Path, list[Piece]] = {}
        self._buffer = np.empty(0, np.uint8)
        self._beside = ThreadPoolExecutor(1)  # numpy lets go of the interpreter
        for path in paths:
            try:
                size = path.stat().st_size
            except OSError:  # said when it is opened
                continue
            if 0 < size <= LARGEST:
                self._sizes[path] = size
                self._coming.setdefault(size, {})[path] = None

    def pieces(self, path: Path, problems: list[Problem]) -> Iterable[Piece]:
        """As core.events.pieces.pieces."""
        size = self._sizes.get(path, 0)
        coming = self._coming.get(size, {})
        if path in coming and size in self._cuts:
            others = (other for other in coming if other != path)
            count = TOGETHER // size // 2 * 2  # as many for each of two threads
            self._read_ahead([path, *islice(others, count - 1)], size)
        coming.pop(path, None)
        if path in self._ready:
            return self._ready.pop(path)
        return self._alone(path, size, problems) if coming else pieces(path, problems)

    def _alone(self, path: Path, size: int, problems: list[Problem]) -> Iterator[Piece]:
        """Those of a file that others are then expected to be like."""
        cuts = []
        for piece in pieces(path, problems):
            cuts.append(_cut(piece))
            yield piece
        if any(cut.template for cut in cuts) and cuts[-1].stop == size:  # nothing was lost
            self._cuts[size] = cuts

    def _read_ahead(self, paths: list[Path], size: int) -> None:
        for path in paths:
            del self._coming[size][path]
        if not len(self._buffer):  # numpy asks for large pages, in which strides are quicker
            self._buffer = np.empty(TOGETHER, np.uint8)
        half = (len(paths) + 1) // 2
        cuts, room = self._cuts[size], memoryview(self._buffer)
        beside = self._beside.submit(_if_alike, paths[half:], room[half * size :], cuts, size)
        self._ready |= _if_alike(paths[:half], room, cuts, size)
        self._ready |= beside.result()


def _if_alike(
    paths: list[Path], room: memoryview, cuts: list[_Cut], size: int
) -> dict[Path, list[Piece]]:
    """The pieces of those files that can be cut so; the room takes the bytes of them all."""
    read: list[Path] = []
    for path in paths:
        if _read(path, room[len(read) * size :][:size]):
            read.append(path)
    alike, made = np.ones(len(read), bool), []
    for cut in cuts:
        if not alike.any():  # none was read, or none is as expected
            return {}
        sound, own = (_rounds if cut.template else _records)(cut, room, read, size)
        alike &= sound
        made.append(own)
    return {
        read[number]: [own[number] for own in made] for number in np.flatnonzero(alike).tolist()
    }


def _read(path: Path, into: memoryview) -> bool:
    """Whether the file is as long as it was and could be read; else that is said in its turn."""
    try:
        with path.open("rb", buffering=0) as file:
            return file.readinto(into) == len(into) and not file.read(1)
    except OSError:
        return False


def _cut(piece: Piece) -> _Cut:
    start, stop = piece.offset, piece.offset + piece.stop
    if piece.stretch:
        template, rounds = piece.stretch.template, len(piece.stretch.step)
        whole = sound_sum(template, rounds)
        return _Cut(start, stop, template, rounds, whole, piece.starts, NONE, NONE)
    places = (piece.starts[:, None] + np.arange(HEADER.size)).ravel()
    headers = np.frombuffer(piece.buffer, np.uint8)[places]
    return _Cut(start, stop, None, 0, 0, piece.starts, start + places, headers)


Made = tuple[np.ndarray, list[Piece]]  # of each file: whether it is as expected, and its piece


def _records(cut: _Cut, buffer: memoryview, paths: list[Path], size: int) -> Made:
    files = np.frombuffer(buffer, np.uint8, len(paths) * size).reshape(-1, size)
    sound = (files[:, cut.places] == cut.headers).all(axis=1)
    return sound, [
        Piece(
            path,
            files[number, cut.start : cut.stop].tobytes(),
            cut.start,
            cut.starts,
            cut.stop - cut.start,
        )
        for number, path in enumerate(paths)
    ]


def _rounds(cut: _Cut, buffer: memoryview, paths: list[Path], size: int) -> Made:
    template, row = cut.template, len(cut.template.row)
    rows = Rows(buffer, cut.start, (len(paths), cut.rounds), (size, row))
    every = np.ndarray((*rows.shape, row), np.uint8, buffer, cut.start, (size, row, 1))
    sound = ~(differing(every, template.row) & template.fixed).any(axis=1)
    unmask(rows, template)
    for number in np.flatnonzero(sound):
        own = every[number].ravel()  # a view, which is taken as it is
        sound[number] = crc32c(own) == cut.sum
    if not sound.any():
        return sound, []
    columns = decoded(rows, template)
    return sound, [
        Piece(
            path,
            b"",
            cut.start,
            NONE,
            cut.stop - cut.start,
            Stretch(template, cut.start, cut.stop, *own),
        )
        for path, *own in zip(paths, *columns, strict=True)
    ]
