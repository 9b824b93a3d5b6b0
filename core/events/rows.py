"""Records of one length as the rows of a matrix, sorted by layout without parsing each.

One row is parsed; what its layout leaves open (values, strings) is masked, and the rows that equal
it elsewhere have its layout. The rest is tried again, with one of them.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from core.events.layout import Layout, Span, parse_event

MOST_LAYOUTS = 16  # of one length in one block; after that each row is parsed by itself
TOGETHER = 64  # rows that are compared as if they were one: numpy is quick along long rows
CONTINUES = 128  # the bit of a varint's byte that says whether another follows


class Alike(NamedTuple):
    """Rows of one layout; None where the bytes are no event.

    records: their numbers. like: for each row, the number of a row with the same strings.
    free: the columns in which rows that are `like` differ.
    """

    rows: np.ndarray
    records: np.ndarray
    layout: Layout | None
    like: np.ndarray
    free: np.ndarray


def gather(buffer: bytes, starts: np.ndarray, length: int) -> np.ndarray:
    """(N, W) bytes from each start on, W a multiple of 8 of at least `length`; read-only."""
    width = -(-length // 8) * 8
    items = np.ndarray((len(buffer) - width + 1,), f"V{width}", buffer, strides=(1,))
    return items[starts].view(np.uint8).reshape(-1, width)


def alike_rows(rows: np.ndarray, records: np.ndarray, length: int) -> Iterator[Alike]:
    """The rows sorted by layout; the first `length` columns are the record."""
    for _ in range(MOST_LAYOUTS):
        found, same = _like_the_first(rows, records, length)
        yield found
        if same.all():
            return
        rows, records = rows[~same], records[~same]
    for place in range(len(rows)):
        yield _like_the_first(rows[place:place + 1], records[place:place + 1], length)[0]


def _like_the_first(rows: np.ndarray, records: np.ndarray,
                    length: int) -> tuple[Alike, np.ndarray]:
    """The rows with the layout of the first, and which these are."""
    layout = _layout(rows[0, :length].tobytes())
    fixed, strings = masks(layout, length, rows.shape[1])
    varying = _varying(rows)
    same = _equal(rows, fixed & varying)
    if not same.all():
        rows, records = rows[same], records[same]
    free = np.flatnonzero(((fixed | strings) < 255)[:length] & (varying > 0)[:length])
    return Alike(rows, records, layout, first_equal(rows, strings & varying), free), same


def _varying(rows: np.ndarray) -> np.ndarray:
    """The bits in which not all rows agree, (W,); a pass over memory, and most bits are the same.
    """
    words = rows.view(np.uint64)
    whole = len(words) // TOGETHER * TOGETHER
    any_set, all_set = (
        np.concatenate([op.reduce(words[:whole].reshape(-1, TOGETHER * words.shape[1]), axis=0)
                        .reshape(TOGETHER, -1) if whole else words[:0], words[whole:]])
        for op in (np.bitwise_or, np.bitwise_and))
    bits = np.bitwise_or.reduce(any_set, axis=0) ^ np.bitwise_and.reduce(all_set, axis=0)
    return bits.view(np.uint8)


def _layout(record: bytes) -> Layout | None:
    try:
        return parse_event(record)
    except ValueError:
        return None


def masks(layout: Layout | None, length: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Bits that must agree for the layout to be the same, and bytes that are strings."""
    fixed, strings = np.zeros(width, np.uint8), np.zeros(width, np.uint8)
    fixed[:length] = 255
    if layout:
        for span in _open_spans(layout):
            fixed[span.start:span.stop] = CONTINUES if span.format == "varint" else 0
        for value in layout.values:
            for span in (value.tag, value.plugin, *value.text):
                if span:
                    fixed[span.start:span.stop], strings[span.start:span.stop] = 0, 255
    return fixed, strings


def _open_spans(layout: Layout) -> list[Span]:
    numbers = [span for value in layout.values for span in value.numbers]
    return [span for span in (layout.wall_time, layout.step, *numbers) if span]


def _equal(rows: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Whether each row equals the first under the mask; eight columns at a time."""
    words, mask = rows.view(np.uint64), mask.view(np.uint64)
    same = np.ones(len(rows), bool)
    for column in np.flatnonzero(mask):
        same &= (words[:, column] ^ words[0, column]) & mask[column] == 0
    return same


def first_equal(rows: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """For each row the number of one row that equals it under the mask, the same for all of those.

    A hash table without chains: what it answers is compared, and the rows it was wrong for are
    asked again among themselves.
    """
    words, mask = rows.view(np.uint64), mask.view(np.uint64)
    columns = np.flatnonzero(mask)
    like, todo = np.zeros(len(rows), np.intp), np.arange(len(rows))
    while len(columns) and len(todo) and len(rows) > 1:
        left = words if len(todo) == len(words) else words[todo]
        slot = _hashes(left, mask, columns)
        table = np.empty(1 << 12, np.intp)
        table[slot] = todo
        like[todo] = owner = table[slot]
        equal = np.ones(len(todo), bool)
        for column in columns:
            equal &= (left[:, column] ^ words[owner, column]) & mask[column] == 0
        todo = todo[~equal]
    return like


def _hashes(words: np.ndarray, mask: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """12 bits a row that depend on the masked words only."""
    mixed = np.zeros(len(words), np.uint64)
    for column in columns:
        mixed = (mixed ^ words[:, column] & mask[column]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return (mixed >> np.uint64(52)).astype(np.intp)
