"""A file of events as pieces of whole records, and why they end where they do."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.events.framing import HEADER, frame
from core.log_files.bytes import LogBytes

CHUNK = 2 << 20  # bytes; what is made of more of them no longer fits a processor's cache
LONGEST_RECORD = 256 << 20  # bytes; nothing that TensorBoard shows is longer


class Problem(NamedTuple):
    """What was lost of a file: at which byte, what, and how many times more further on."""

    file: str
    byte: int
    what: str
    more: int = 0


class Piece(NamedTuple):
    """Whole records of a file. offset: of the buffer in the file."""

    file: Path
    buffer: bytes
    offset: int
    starts: np.ndarray
    stop: int


def pieces(path: Path, problems: list[Problem], offset: int = 0) -> Iterator[Piece]:
    """The whole records of a file from a record on; where they end before the file does, a problem.
    """
    sizes: dict[bytes, int] = {}
    with LogBytes(path) as file:
        file.skip(offset)
        rest, want = b"", CHUNK
        while True:
            rest = rest + file.read(want) if rest else file.read(want)
            framing = frame(rest, sizes)
            yield Piece(path, rest, offset, framing.starts, framing.stop)
            offset, rest = offset + framing.stop, rest[framing.stop:]
            size = sizes.get(rest[:HEADER.size], 0)
            end = _end(framing.reason, len(rest), size, file.left, file.fresh)
            if problem := file.fault or end:
                problems.append(Problem(path.name, offset, problem))
                return
            if not file.left:
                return
            want = max(CHUNK, size - len(rest))


def _end(reason: str, present: int, size: int, left: int, fresh: bool) -> str:
    """Why reading stops here; "" where it goes on, or the file simply ends."""
    if reason == "length checksum":
        return "the checksum of a record's length is wrong, so reading stopped there"
    if reason == "cut" and (size > present + left or not left):
        claim = f", it claims {size:,}" if size else ""
        usual = ("; the file is being written, so the rest is waited for" if fresh
                 else " (normal while a run is being written)")
        usual = usual if size <= LONGEST_RECORD else ""
        return f"a record is cut off after {present + left:,} bytes{claim}{usual}"
    if size > LONGEST_RECORD:
        return f"a record of {size >> 20:,} MB is too large to read, so reading stopped there"
    return ""
