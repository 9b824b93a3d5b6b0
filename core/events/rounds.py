"""Records that repeat: a training loop logs the same tags in turn, round after round.

A stretch of such a file is a matrix, a row a round, in which only times, steps, values and
checksums differ. A Template is one round. All rows are or-ed and and-ed, which shows at once
whether they agree where the template is fixed; their checksums are that of one of them and what
each byte that differs adds. What fits no template goes the general way (framing, decoding), so a
stretch has no damaged record and nothing but numbers.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from core.events.checksum import MOST_FREE_BYTES, added, crc32c, masked, unmasked
from core.events.framing import HEADER, OVERHEAD
from core.events.numbers import Column, numbers
from core.events.templates import Alike, Template

FEWEST = 192  # records; fewer are quicker together with others
FEWEST_SIDE_BY_SIDE = 64  # records of one layout, which cost one call of numpy together
TOGETHER = 16  # rows


class Rows(NamedTuple):
    """Rounds in a buffer from a byte on. shape: (rounds,), or (files, rounds) of files that are
    alike; strides: in bytes, from one to the next."""

    buffer: bytes | memoryview
    start: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Stretch(NamedTuple):
    """Rounds from a byte of a buffer on. step, wall_time, numbers: (rounds, slots)."""

    template: Template
    start: int
    stop: int
    step: np.ndarray
    wall_time: np.ndarray
    numbers: np.ndarray


def stretch(buffer: bytes, start: int, template: Template) -> Stretch | int:
    """The rounds from `start` on that are like the template and undamaged; where they are too few
    to be worth it, the byte up to which there is no use in trying again."""
    at, word = template.mark
    size = len(template.row)
    most = (len(buffer) - start) // size
    if buffer[start + at:start + at + len(word)] != word or not _enough(template, most):
        return start
    rows = np.frombuffer(buffer, np.uint8, most * size, start).reshape(most, size)
    count, differ = _like(rows, template)
    if _enough(template, count):
        wrong = damaged(Rows(buffer, start, (count,), (size,)), template, rows[0], differ)
        count = int(wrong.argmax()) if wrong.any() else count
    if not _enough(template, count):
        return start + count * size
    return Stretch(template, start, start + count * size,
                   *decoded(Rows(buffer, start, (count,), (size,)), template))


def _enough(template: Template, rounds: int) -> bool:
    records = rounds * len(template.starts)
    return records >= max(FEWEST, FEWEST_SIDE_BY_SIDE * len(template.alike))


def _like(rows: np.ndarray, template: Template) -> tuple[int, np.ndarray]:
    """How many rows are like the template, and the bits in which these differ from the first."""
    first, differ = rows[0], np.zeros(len(template.row), np.uint8)
    if ((first ^ template.row) & template.fixed).any():
        return 0, differ
    lengths = np.ndarray(len(rows), "<u8", rows, strides=rows.strides[:1])
    other = lengths != lengths[0]
    rows = rows[:int(other.argmax())] if other.any() else rows
    good, block = 1, len(rows) - 1
    while good < len(rows) and block:
        some = rows[good:good + block]
        bits = differing(some, first)
        if (bits & template.fixed).any():  # then half as many may be
            block = (len(some) + 1) // 2 if len(some) > 1 else 0
        else:
            good, block = good + len(some), (block + 1) // 2
            differ |= bits
    return good, differ


def differing(rows: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The bits (…, bytes) in which any of the rows (…, rounds, bytes) differs from the first."""
    return (_of_all(np.bitwise_or, rows) ^ first) | (_of_all(np.bitwise_and, rows) ^ first)


def _of_all(op: np.ufunc, rows: np.ndarray) -> np.ndarray:
    """All rows and-ed or or-ed; several as one row first, which numpy is quicker with."""
    *files, rounds, size = rows.shape
    whole = rounds // TOGETHER * TOGETHER
    if whole < 2 * TOGETHER:
        return op.reduce(rows, axis=-2)
    long = op.reduce(rows[..., :whole, :].reshape(*files, -1, TOGETHER * size), axis=-2)
    few = np.concatenate([long.reshape(*files, TOGETHER, size), rows[..., whole:, :]], axis=-2)
    return op.reduce(few, axis=-2)


def damaged(rows: Rows, template: Template, first: np.ndarray, differ: np.ndarray) -> np.ndarray:
    """Which rounds have a record with a wrong checksum; all, where these cost too much here."""
    found = np.zeros(rows.shape, bool)
    for alike in template.alike:
        size = alike.length + OVERHEAD
        own = slice(alike.start, alike.start + alike.records * size)
        inner = slice(HEADER.size, HEADER.size + alike.length)
        free = np.flatnonzero(differ[own].reshape(-1, size)[:, inner].any(axis=0))
        if len(free) > MOST_FREE_BYTES:
            return np.ones(rows.shape, bool)
        common = first[own].reshape(-1, size)[:, inner].copy()
        common[:, free] = 0
        sums = np.empty((*rows.shape, alike.records), np.uint32)
        sums[:] = [crc32c(one.tobytes()) for one in common]
        column = _columns(rows, alike)
        for place, dtype in _read_together(free.tolist()):
            table = added(alike.length - place, dtype)
            sums ^= table.take(column(place, dtype), mode="wrap")  # quicker than with checks
        wrong = masked(sums) != column(alike.length, "<u4")
        if wrong.any():
            found |= wrong.any(axis=-1)
    return found


def sound_sum(template: Template, rounds: int) -> int:
    """The checksum of so many undamaged rounds after `unmask`, whatever their numbers are.

    Who goes on with a checksum over a message and over that message's own checksum forgets both:
    what is left tells lengths and headers only (each step is linear, and what precedes counts as
    if zeros had followed). Of one damaged record it tells as surely as the record's own checksum;
    several cancel out as rarely as a checksum is right by chance.
    """
    row = template.row.copy()
    unmask(Rows(memoryview(row), 0, (1,), (len(row),)), template)
    return crc32c(row.tobytes() * rounds)


def unmask(rows: Rows, template: Template) -> None:
    """Writes the checksum of each record in place of its stored form."""
    for alike in template.alike:
        stored = _columns(rows, alike)(alike.length, "<u4")
        stored[...] = unmasked(stored)


def _read_together(places: list[int]) -> Iterator[tuple[int, str]]:
    """Bytes by twos where they are neighbours."""
    while places:
        pair = places[1:2] == [places[0] + 1]
        yield places[0], "<u2" if pair else "u1"
        places = places[1 + pair:]


def _columns(rows: Rows, alike: Alike) -> Column:
    """What stands at one place of such records: (…, rounds, records)."""
    shape, strides = (*rows.shape, alike.records), (*rows.strides, alike.length + OVERHEAD)
    begin = rows.start + alike.start + HEADER.size

    def column(place: int, dtype: str) -> np.ndarray:
        return np.ndarray(shape, dtype, rows.buffer, begin + place, strides)
    return column


def decoded(rows: Rows, template: Template) -> list[np.ndarray]:
    """Steps, wall times and numbers, (…, rounds, slots)."""
    shape = (*rows.shape, len(template.slots))
    step, wall_time, found = np.empty(shape, np.int64), np.empty(shape), np.empty(shape)
    first = 0
    for alike in template.alike:
        column = _columns(rows, alike)
        layout, width, each = alike.layout, alike.length + 4, len(alike.layout.values)
        last = first + each * alike.records
        steps = numbers(column, width, layout.step, "<i8") if layout.step else 0
        times = numbers(column, width, layout.wall_time, "<f8") if layout.wall_time else 0.0
        for place, value in enumerate(layout.values):
            own = slice(first + place, last, each)
            step[..., own], wall_time[..., own] = steps, times
            with np.errstate(invalid="ignore"):  # signalling NaNs
                found[..., own] = numbers(column, width, value.numbers[0], value.dtype)
        first = last
    return [step, wall_time, found]
