"""The records of a buffer: stretches of rounds where they repeat, the others by their places."""

import threading
from typing import NamedTuple

import numpy as np

from core.events.framing import HEADER, frame, record_size
from core.events.rounds import Stretch, stretch
from core.events.templates import Template, guesses

PATIENCE = 64  # records that fit no template before one is made of them
MOST_PATIENCE = 1024  # then the rest of the buffer goes the general way
LONGEST_PAUSE = 63  # buffers of a file that are not searched for rounds after one without any
MOST_TEMPLATES = 32

_met = threading.local()  # templates of the files before: a guess, which is always checked


class Section(NamedTuple):
    """Records from a byte of a buffer on that are in no stretch. starts: in the buffer."""

    start: int
    stop: int
    starts: np.ndarray


class Sections(NamedTuple):
    """What the whole records of a buffer are, in their order; stop and reason as in Framing."""

    found: list[Section | Stretch]
    stop: int
    reason: str


class Searcher:
    """Cuts the buffers of one file into sections."""

    def __init__(self) -> None:
        self.sizes: dict[bytes, int] = {}  # header -> record size, as in `frame`
        self._pause = self._passed = 0

    def sections(self, buffer: bytes) -> Sections:
        """The sections of the next buffer."""
        if self._passed < self._pause:
            self._passed += 1
            return self._general(buffer, [], [], 0)
        found, starts, position, patience, retry = [], [], 0, PATIENCE, 0
        while True:
            met = self._repeated(buffer, position) if position >= retry else position
            if isinstance(met, int) and len(starts) == patience:
                met, patience = _learnt(buffer, starts, position), patience * 4
            if isinstance(met, Stretch):
                _close(found, starts, position)
                found.append(met)
                starts, position, patience, self._pause = [], met.stop, PATIENCE, 0
                continue
            retry = met
            if len(starts) == MOST_PATIENCE:
                self._pause, self._passed = min(2 * self._pause + 1, LONGEST_PAUSE), 0
                return self._general(buffer, found, starts, position)
            size, reason = self._size(buffer, position)
            if reason is not None:
                _close(found, starts, position)
                return Sections(found, position, reason)
            starts.append(position)
            position += size

    def _general(self, buffer: bytes, found: list[Section | Stretch], starts: list[int],
                 position: int) -> Sections:
        """All from `position` on without a look for rounds."""
        rest = frame(buffer[position:] if position else buffer, self.sizes)
        _close(found, np.append(np.array(starts, np.int64), rest.starts + position),
               position + rest.stop)
        return Sections(found, position + rest.stop, rest.reason)

    def _size(self, buffer: bytes, position: int) -> tuple[int, str | None]:
        """Of the record at `position`; or why there is none, as in Framing."""
        header = buffer[position:position + HEADER.size]
        if len(header) < HEADER.size:
            return 0, "cut" if header else ""
        size = self.sizes.get(header) or record_size(header)
        if size is None:
            return 0, "length checksum"
        self.sizes[header] = size
        return size, "cut" if position + size > len(buffer) else None

    def _repeated(self, buffer: bytes, position: int) -> Stretch | int:
        """The stretch that begins here by a template that was met, or where to try again."""
        retry = position
        for template in _templates().get(buffer[position:position + HEADER.size], ()):
            met = stretch(buffer, position, template)
            if isinstance(met, Stretch):
                return met
            retry = max(retry, met)
        return retry


def _templates() -> dict[bytes, list[Template]]:
    """Those met last, by the header of their first record."""
    if not hasattr(_met, "templates"):
        _met.templates = {}
    return _met.templates


def _learnt(buffer: bytes, starts: list[int], position: int) -> Stretch | int:
    """The stretch of rounds like the one that ends here, which is then a template."""
    for template, turned in guesses(buffer, starts, position):
        met = stretch(buffer, position, template)
        if isinstance(met, Stretch):
            known = _templates()
            if sum(map(len, known.values())) >= MOST_TEMPLATES:
                known.pop(next(iter(known)))
            header = turned.row[:HEADER.size].tobytes()
            known[header] = [turned, *known.pop(header, [])]
            return met
    return position


def _close(found: list[Section | Stretch], starts: list[int] | np.ndarray, stop: int) -> None:
    if len(starts):
        found.append(Section(int(starts[0]), stop, np.array(starts, np.int64)))
