"""A file of events as pieces of whole records, and why they end where they do."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.events.framing import HEADER
from core.events.rounds import Stretch
from core.events.sections import Searcher, Section
from core.log_files.bytes import LogBytes

WAITED_FOR = "; the file is being written, so the rest is waited for"
USUAL = " (normal while a run is being written)"
CHUNK = 2 << 20  # bytes; what is made of more of them no longer fits a processor's cache
LONGEST_RECORD = 256 << 20  # bytes; nothing that TensorBoard shows is longer


class Problem(NamedTuple):
    """What was lost of a file: at which byte, what, and how many times more further on."""

    file: str
    byte: int
    what: str
    more: int = 0


class Piece(NamedTuple):
    """Whole records of a file that lie one after the other; of a stretch, all that is kept of them.

    offset: of the buffer in the file. buffer: b"" of a stretch.
    starts: in the buffer. stop: where the last record ends in it.
    """

    file: Path
    buffer: bytes
    offset: int
    starts: np.ndarray
    stop: int
    stretch: Stretch | None = None


def pieces(path: Path, problems: list[Problem], offset: int = 0) -> Iterator[Piece]:
    """The whole records of a file from a record on; where they end before the file does, a problem.
    """
    searcher = Searcher()
    with LogBytes(path) as file:
        file.skip(offset)
        rest, want = b"", CHUNK
        while True:
            rest = rest + file.read(want) if rest else file.read(want)
            found, stop, reason = searcher.sections(rest)
            yield from (_piece(path, rest, offset, section) for section in found)
            offset, rest = offset + stop, rest[stop:]
            size = searcher.sizes.get(rest[:HEADER.size], 0)
            end = _end(reason, len(rest), size, file.left, file.fresh)
            if problem := file.fault or end:
                problems.append(Problem(path.name, offset, problem))
                return
            if not file.left:
                return
            want = max(CHUNK, size - len(rest))


def _piece(path: Path, buffer: bytes, offset: int, section: Section | Stretch) -> Piece:
    start, stop = section.start, section.stop
    if isinstance(section, Stretch):
        return Piece(path, b"", offset + start, np.empty(0, np.int64), stop - start, section)
    whole = start == 0 and stop == len(buffer)  # others are few, and must not keep the buffer
    return Piece(path, buffer if whole else buffer[start:stop], offset + start,
                 section.starts - start, stop - start)


def _end(reason: str, present: int, size: int, left: int, fresh: bool) -> str:
    """Why reading stops here; "" where it goes on, or the file simply ends."""
    if reason == "length checksum":
        return "the checksum of a record's length is wrong, so reading stopped there"
    if reason == "cut" and (size > present + left or not left):
        claim = f", it claims {size:,}" if size else ""
        usual = WAITED_FOR if fresh else USUAL
        usual = usual if size <= LONGEST_RECORD else ""
        return f"a record is cut off after {present + left:,} bytes{claim}{usual}"
    if size > LONGEST_RECORD:
        return f"a record of {size >> 20:,} MB is too large to read, so reading stopped there"
    return ""
