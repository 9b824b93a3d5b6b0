"""Many records of event files at once: neighbours are read together, the rest is passed over."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from core.errors import UserError
from core.events.payloads import LARGEST
from core.files.limits import MB
from core.log_files.bytes import LogBytes, cannot_read

PIECE = 8 * MB  # bytes read at a time
GAP = 64 << 10  # bytes; unwanted ones between two records are read rather than passed over


class Piece(NamedTuple):
    """Records of one file. rows: which of the rows asked for, (N,). starts, sizes: of the whole
    record of each in the buffer."""

    rows: np.ndarray
    buffer: bytes
    starts: np.ndarray
    sizes: np.ndarray


def pieces(rows: pd.DataFrame) -> Iterator[Piece]:
    """The records of rows of core.log_formats.OTHERS, each row once, a file after the other.

    Rows of records above core.events.payloads.LARGEST are left out. Raises UserError where a file
    is gone or shorter.
    """
    codes, files = pd.factorize(rows["file"])
    byte, size = rows["byte"].to_numpy(np.int64), rows["size"].to_numpy(np.int64)
    for code, file in enumerate(files):
        chosen = np.flatnonzero((codes == code) & (size <= LARGEST))
        chosen = chosen[np.argsort(byte[chosen], kind="stable")]
        yield from _of_file(Path(file), chosen, byte[chosen], size[chosen])


def _of_file(path: Path, rows: np.ndarray, byte: np.ndarray,
             size: np.ndarray) -> Iterator[Piece]:
    try:
        with LogBytes(path) as source:
            at = 0
            for first, last in _together(byte, byte + size):
                begin, end = int(byte[first]), int((byte + size)[first:last].max())
                source.skip(begin - at)
                buffer = source.read(end - begin)
                if len(buffer) < end - begin:
                    raise UserError(f"{path.name} became shorter while it was open. Choose the "
                                    "logs again.")
                at = end
                yield Piece(rows[first:last], buffer, byte[first:last] - begin, size[first:last])
    except OSError as error:
        raise cannot_read(error, path) from error


def _together(starts: np.ndarray, stops: np.ndarray) -> list[tuple[int, int]]:
    """Ranges of records, ascending, that are read in one go; several values of one record are
    never parted."""
    if not len(starts):
        return []
    reached = np.maximum.accumulate(stops)
    group = np.append(0, np.cumsum(starts[1:] - reached[:-1] > GAP))
    begins = starts[np.searchsorted(group, group)]  # of the first record of each group
    block = (starts - begins) // PIECE
    cuts = np.flatnonzero((np.diff(group) != 0) | (np.diff(block) != 0)) + 1
    edges = [0, *cuts.tolist(), len(starts)]
    return list(pairwise(edges))
