"""Where records begin. A record is its length (u64), the checksum of those 8 bytes, the data, and
the checksum of the data, little endian: 16 bytes more than its data."""

import struct
import threading
from typing import NamedTuple

import numpy as np

from core.events.checksum import crc32c, masked

HEADER = struct.Struct("<QI")
OVERHEAD = 16
WINDOW = 32  # sizes in a row that must have occurred before to expect what followed them
FEWEST, LONGEST_WALK = 192, 8192

_before = threading.local()  # the last buffer's framing: a guess, which is always checked


class Framing(NamedTuple):
    """starts: of the whole records of a buffer. stop: where they end.
    reason: why they end there, "" (with the buffer), "cut" or "length checksum"."""

    starts: np.ndarray
    stop: int
    reason: str


def record_size(header: bytes) -> int | None:
    """The size of a whole record by its first 12 bytes; None where their checksum is wrong."""
    length, checksum = HEADER.unpack(header)
    return length + OVERHEAD if masked(crc32c(header[:8])) == checksum else None


def frame(buffer: bytes, sizes: dict[bytes, int]) -> Framing:
    """The records of a buffer. `sizes` keeps header -> record size: one look-up then gives a
    length and checks it, and costs nothing from one buffer to the next."""
    headers = np.ndarray(max(0, len(buffer) - HEADER.size + 1), "V12", buffer, strides=(1,))
    starts, position = _as_before(headers, len(buffer))
    parts, count = [starts], FEWEST
    while True:
        starts, position, reason = _walk(buffer, position, count, sizes)
        parts.append(starts)
        if reason is not None:
            starts = np.concatenate(parts)
            if len(starts) > FEWEST:
                _before.starts, _before.stop = starts, position
                _before.headers = headers[starts].view(np.uint32)
            return Framing(starts, position, reason)
        period = _period(np.diff(starts[-512:], append=position))
        if period:
            starts, position = _follow(headers, starts[-period:], position, len(buffer))
            parts.append(starts)
        count = 256 if period else min(LONGEST_WALK, count * 2)


def _as_before(headers: np.ndarray, end: int) -> tuple[np.ndarray, int]:
    """The records that begin where those of the last buffer did, with the same headers, and where
    they end: runs of one program log the same at the same steps."""
    starts = getattr(_before, "starts", np.empty(0, np.int64))
    stops = np.append(starts[1:], getattr(_before, "stop", 0))[: len(starts)]
    starts = starts[: np.searchsorted(stops, end, "right")]
    if not len(starts):
        return starts, 0
    there = headers[starts].view(np.uint32)
    differ = np.flatnonzero(there != _before.headers[: len(there)])
    good = int(differ[0]) // 3 if len(differ) else len(starts)  # three words a header
    return starts[:good], int(stops[good - 1]) if good else 0


def _walk(buffer: bytes, position: int, count: int,
          sizes: dict[bytes, int]) -> tuple[np.ndarray, int, str | None]:
    """At most `count` records from `position` on, one by one; no reason where all were there."""
    starts = []
    for _ in range(count):
        header = buffer[position:position + HEADER.size]
        if len(header) < HEADER.size:
            return np.array(starts, np.int64), position, "cut" if header else ""
        size = sizes.get(header) or record_size(header)
        if size is None:
            return np.array(starts, np.int64), position, "length checksum"
        sizes[header] = size
        if position + size > len(buffer):
            return np.array(starts, np.int64), position, "cut"
        starts.append(position)
        position += size
    return np.array(starts, np.int64), position, None


def _period(sizes: np.ndarray) -> int:
    """How long ago the last WINDOW sizes occurred before, in records; 0 for never.

    Training loops log their tags in turn, so the sizes of records repeat.
    """
    windows = np.lib.stride_tricks.sliding_window_view(sizes[:-1], WINDOW)
    found = np.flatnonzero((windows == sizes[-WINDOW:]).all(axis=1))
    return len(sizes) - WINDOW - int(found[-1]) if len(found) else 0


def _follow(headers: np.ndarray, period: np.ndarray, position: int,
            end: int) -> tuple[np.ndarray, int]:
    """The records from `position` on that repeat those at `period`: their headers are compared in
    one go, in ever longer runs, until one differs or the buffer ends."""
    sizes, expected = np.diff(period, append=position), headers[period]
    parts, times = [], 1 + 1024 // len(period)
    while True:
        stops = position + np.cumsum(np.tile(sizes, times))
        stops = stops[:np.searchsorted(stops, end, "right")]
        starts = np.append(position, stops)[:-1]
        there = headers[starts].view(np.uint32)
        differ = np.flatnonzero(there != np.tile(expected, times)[:len(starts)].view(np.uint32))
        good = int(differ[0]) // 3 if len(differ) else len(starts)  # three words a header
        parts.append(starts[:good])
        position = int(stops[good - 1]) if good else position
        if good < len(sizes) * times:
            return np.concatenate(parts), position
        times = min(times * 2, 1 + 65536 // len(period))
