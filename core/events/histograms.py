"""Histograms of event files in bulk: records of one layout are cut into columns, none is parsed.

A record of each size is parsed; where it has numbers, and bytes that do not matter (names, texts),
is masked, and the records that equal it elsewhere have its layout. The rest is tried again.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from core.events.framing import HEADER, OVERHEAD
from core.events.layout import SUMMARY, fields, varint
from core.events.payloads import HISTOGRAM, TENSOR, as_histogram, payload
from core.events.records import Piece, pieces
from core.events.rows import CONTINUES, gather
from core.jobs import Progress

KINDS = ("histogram", "histograms")  # TensorFlow 1's message, and the plug-in of TensorFlow 2
MOST_LAYOUTS = 32  # of one size in one piece; after that each record is parsed by itself
MANY_BYTES = 4 << 20  # of rows at a time
LIMITS, COUNTS, TABLE = 50, 58, 34  # packed lists of the old message; content of a tensor
LOWEST, HIGHEST, SQUARES = 9, 17, 41


@dataclass
class Histograms:
    """N histograms, the buckets of all in flat arrays, float64: those of the i-th begin at
    first[i] and are size[i] many; -1 where it cannot be read, and `faults` says why.

    lowest, highest, squares: (N,), see core.events.payloads.Histogram.
    """

    first: np.ndarray
    size: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    squares: np.ndarray
    left: np.ndarray = field(default_factory=lambda: np.empty(0))
    right: np.ndarray = field(default_factory=lambda: np.empty(0))
    counts: np.ndarray = field(default_factory=lambda: np.empty(0))
    faults: dict[int, str] = field(default_factory=dict)

    def of_one_size(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """(their numbers (M,), left, right, counts, (M, K) each) for each number K of buckets,
        at most MANY_BYTES at a time; those that cannot be read are left out."""
        order = np.argsort(self.size, kind="stable")
        order = order[np.searchsorted(self.size[order], 0):]
        for same in np.split(order, np.flatnonzero(np.diff(self.size[order])) + 1):
            count = int(self.size[same[0]]) if len(same) else 0
            many = max(1, MANY_BYTES // 8 // max(1, count))
            for chosen in (same[start:start + many] for start in range(0, len(same), many)):
                at = self.first[chosen][:, None] + np.arange(count)
                yield chosen, self.left[at], self.right[at], self.counts[at]

    def totals(self) -> np.ndarray:
        """(N,): how much each counts; 0 for those that cannot be read."""
        result = np.zeros(len(self.size))
        for rows, _, _, counts in self.of_one_size():
            result[rows] = counts.sum(axis=1)
        return result


class _Template(NamedTuple):
    """Where one histogram is in a record. singles: of LOWEST, HIGHEST and SQUARES, None where
    it is 0. free: bytes that may differ, with what of each must not."""

    singles: tuple[int | None, int | None, int | None]
    limits: tuple[int, int]
    counts: tuple[int, int]
    old: bool
    free: tuple[tuple[int, int, int], ...]


def histograms(rows: pd.DataFrame, progress: Progress = lambda done, total: None) -> Histograms:
    """The histograms at rows of core.log_formats.OTHERS, in their order. Raises UserError where a
    file is gone."""
    count = len(rows)
    found = Histograms(np.zeros(count, np.int64), np.full(count, -1), *np.zeros((3, count)))
    parts: list[np.ndarray] = []  # (3, M) each: left, right, counts
    tags, done, kept = rows["tag"].to_numpy(), 0, 0
    for piece in pieces(rows):
        for numbers, buckets in _of_piece(piece, tags, found):
            found.first[numbers] = kept + np.arange(len(numbers)) * found.size[numbers]
            parts.append(buckets)
            kept += buckets.shape[1]
        done += len(piece.rows)
        progress(done, count)
    found.left, found.right, found.counts = _joined(parts, kept)
    for missing in np.flatnonzero(found.size < 0).tolist():
        found.faults.setdefault(missing, "its record is too large to show")
    return found


def _joined(parts: list[np.ndarray], count: int) -> np.ndarray:
    """All parts side by side; each is let go as soon as it is copied."""
    whole, at = np.empty((3, count)), 0
    for place, part in enumerate(parts):
        whole[:, at:at + part.shape[1]] = part
        at += part.shape[1]
        parts[place] = None
    return whole


def _of_piece(piece: Piece, tags: np.ndarray,
              found: Histograms) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(numbers of histograms of one size, their buckets (3, M)), sizes and ends written down."""
    padded = piece.buffer + bytes(8)  # the last row is gathered in whole words
    several = np.zeros(len(piece.rows), bool)  # of one record: found by their tags
    several[1:] = piece.starts[1:] == piece.starts[:-1]
    several[:-1] |= several[1:]
    for size in np.unique(piece.sizes[~several]).tolist():
        same = np.flatnonzero((piece.sizes == size) & ~several)
        many = max(1, MANY_BYTES // size)
        for start in range(0, len(same), many):
            chosen = same[start:start + many]
            data = gather(padded, piece.starts[chosen] + HEADER.size, size - OVERHEAD)
            yield from _of_one_size(data, piece.rows[chosen], size - OVERHEAD, tags, found)
    for place in np.flatnonzero(several).tolist():
        start = piece.starts[place] + HEADER.size
        record = piece.buffer[start:start + piece.sizes[place] - OVERHEAD]
        yield from _alone(record, int(piece.rows[place]), tags, found)


def _of_one_size(data: np.ndarray, numbers: np.ndarray, length: int, tags: np.ndarray,
                 found: Histograms) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for _ in range(MOST_LAYOUTS):
        template = _template(data[0, :length].tobytes())
        same = np.zeros(len(data), bool)
        if template is None:
            same[0] = True
            yield from _alone(data[0, :length].tobytes(), int(numbers[0]), tags, found)
        else:
            same = _like_the_first(data, template, length)
            yield numbers[same], _cut(data if same.all() else data[same], numbers[same], template,
                                      found)
        if same.all():
            return
        data, numbers = data[~same], numbers[~same]
    for row, number in zip(data, numbers.tolist(), strict=True):
        yield from _alone(row[:length].tobytes(), number, tags, found)


def _alone(record: bytes, number: int, tags: np.ndarray,
           found: Histograms) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One histogram by parsing its record."""
    try:
        value = payload(record, str(tags[number]))
        if value is None or isinstance(value, list):
            raise ValueError("not a histogram")
        one = as_histogram(value)
    except ValueError as error:
        found.faults[number] = str(error)
        return
    found.size[number] = len(one.counts)
    found.lowest[number], found.highest[number] = one.lowest, one.highest
    found.squares[number] = one.squares
    yield np.array([number]), np.stack([one.left, one.right, one.counts])


def _like_the_first(data: np.ndarray, template: _Template, length: int) -> np.ndarray:
    mask = np.zeros(data.shape[1], np.uint8)
    mask[:length] = 255
    for start, stop, fixed in template.free:
        mask[start:stop] = fixed
    words, mask = data.view(np.uint64), mask.view(np.uint64)
    columns = np.flatnonzero(mask)
    return ((words[:, columns] ^ words[0, columns]) & mask[columns] == 0).all(axis=1)


def _cut(data: np.ndarray, numbers: np.ndarray, template: _Template,
         found: Histograms) -> np.ndarray:
    """The buckets of rows of one layout, (3, M): left, right, counts."""
    limits, counts = (_doubles(data, *span) for span in (template.limits, template.counts))
    found.size[numbers] = limits.shape[1] if template.old else limits.shape[1] // 3
    if not template.old:
        left, right, counts = np.moveaxis(limits.reshape(len(data), -1, 3), 2, 0)
        if left.shape[1]:
            found.lowest[numbers], found.highest[numbers] = left[:, 0], right[:, -1]
        found.squares[numbers] = math.nan
        return np.stack([part.reshape(-1) for part in (left, right, counts)])
    for column, at in zip((found.lowest, found.highest, found.squares), template.singles,
                          strict=True):
        column[numbers] = _doubles(data, at, at + 8)[:, 0] if at is not None else 0.0
    found.squares[numbers[found.squares[numbers] == 0]] = math.nan
    buckets = np.empty((3, *limits.shape))
    buckets[0, :, :1], buckets[0, :, 1:] = found.lowest[numbers][:, None], limits[:, :-1]
    buckets[1], buckets[2] = limits, counts
    return buckets.reshape(3, -1)


def _doubles(data: np.ndarray, start: int, stop: int) -> np.ndarray:
    return np.ascontiguousarray(data[:, start:stop]).view("<f8")


def _template(record: bytes) -> _Template | None:
    """None where it is to be parsed by itself: other types, lists that are not packed, no event."""
    try:
        places, free = [], []
        for key, start, stop in fields(record, 0, len(record)):
            if key == SUMMARY:
                values = [one for one in fields(record, start, stop) if one[0] == 10]
                places += [_value(record, *one[1:], free) for one in values]
            elif key in (9, 16):  # wall time and step, which the row has
                free.append((start, stop, CONTINUES if key == 16 else 0))
    except ValueError:
        return None
    if len(places) != 1 or places[0] is None:
        return None
    return places[0]._replace(free=(*places[0].free, *free))


def _value(record: bytes, at: int, end: int,
           free: list[tuple[int, int, int]]) -> _Template | None:
    found = None
    for key, start, stop in fields(record, at, end):
        if key in (10, 58, 74):  # tag, node name, metadata
            free.append((start, stop, 0))
        elif key in (HISTOGRAM, TENSOR) and found is None:
            found = (_old if key == HISTOGRAM else _tensor)(record, start, stop)
        else:
            return None
    return found


def _old(record: bytes, at: int, end: int) -> _Template | None:
    parts = fields(record, at, end)
    places = {key: (start, stop) for key, start, stop in parts}
    if len(places) != len(parts) or not places.keys() <= {LOWEST, HIGHEST, 25, 33, SQUARES, LIMITS,
                                                           COUNTS}:
        return None
    none = (at, at)
    limits, counts = places.get(LIMITS, none), places.get(COUNTS, none)
    if np.ptp(limits) != np.ptp(counts) or np.ptp(limits) % 8:
        return None
    singles = tuple(places[key][0] if key in places else None
                    for key in (LOWEST, HIGHEST, SQUARES))
    return _Template(singles, limits, counts, True, tuple((*span, 0) for span in places.values()))


def _tensor(record: bytes, at: int, end: int) -> _Template | None:
    parts = fields(record, at, end)
    content = [(start, stop) for key, start, stop in parts if key == TABLE]
    kind = [varint(record, start, stop)[0] for key, start, stop in parts if key == 8]
    sizes = [varint(record, first, last)[0] for key, start, stop in parts if key == 18
             for outer, inner, until in fields(record, start, stop) if outer == 18
             for inmost, first, last in fields(record, inner, until) if inmost == 8]
    if kind != [2] or len(content) != 1 or len(parts) != 3 or len(sizes) != 2:
        return None
    (start, stop), = content
    if sizes[1] != 3 or sizes[0] * 24 != stop - start:
        return None
    return _Template((None, None, None), (start, stop), (at, at), False, ((start, stop, 0),))
