"""The records of a buffer as arrays: step and wall time of each, and the values they hold."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from core.events.checksum import crc32c, masked, row_checksums
from core.events.framing import OVERHEAD
from core.events.layout import Value, parse_event
from core.events.numbers import numbers
from core.events.rows import Alike, alike_rows, gather

BLOCK = 1 << 20  # bytes of rows at a time
LONGEST_ROW = 1 << 14  # longer records (pictures, graphs) are read one by one, without copies
HEADER_BYTES, CHECKSUM_BYTES = 12, 4

FINE, BAD_CHECKSUM, NO_EVENT = 0, 1, 2


@dataclass
class Names:
    """Codes of the names met so far, in the order in which they were met."""

    tags: dict[str, int] = field(default_factory=dict)
    plugins: dict[str, int] = field(default_factory=dict)


class Values(NamedTuple):
    """One value from each of some records, by their numbers: the same kind and type for all.

    tags: codes. plugins: codes, None where the records have no metadata.
    numbers: float64 (N,), None for what is no number.
    """

    kind: str
    records: np.ndarray
    tags: np.ndarray
    plugins: np.ndarray | None
    numbers: np.ndarray | None


class Records(NamedTuple):
    """What the records of a buffer say, one entry a record; values in the order of layouts.

    state: FINE, BAD_CHECKSUM or NO_EVENT.
    """

    step: np.ndarray
    wall_time: np.ndarray
    state: np.ndarray
    values: list[Values]


def decode(buffer: bytes, starts: np.ndarray, stop: int, names: Names) -> Records:
    """The records of a buffer that begin at `starts`, the last of which ends at `stop`."""
    lengths = np.diff(starts, append=stop) - OVERHEAD
    count = len(starts)
    records = Records(np.zeros(count, np.int64), np.zeros(count), np.zeros(count, np.uint8), [])
    padded = buffer + bytes(8)  # the last row is gathered in whole words
    for length, chosen in _by_length(lengths):
        at = starts[chosen] + HEADER_BYTES
        if length > LONGEST_ROW:
            for number, start in zip(chosen, at.tolist(), strict=True):
                _decode_long(memoryview(buffer)[start:start + length + CHECKSUM_BYTES],
                             number, records, names)
        else:
            rows = gather(padded, at, length + CHECKSUM_BYTES)
            for alike in alike_rows(rows, chosen, length):
                _check(alike, length, records)
                _decode_rows(alike, records, names)
    return Records(records.step, records.wall_time, records.state, _undamaged(records))


def _by_length(lengths: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Numbers of records of one length, a block of them at a time."""
    if not len(lengths):
        return
    small = lengths.max() < 1 << 16
    order = np.argsort(lengths.astype(np.uint16) if small else lengths, kind="stable")
    for chosen in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1):
        length = int(lengths[chosen[0]])
        rows = max(1, BLOCK // (length + CHECKSUM_BYTES))
        for first in range(0, len(chosen), rows):
            yield length, chosen[first:first + rows]


def _check(alike: Alike, length: int, records: Records) -> None:
    sums = row_checksums(alike.rows, length, alike.like, alike.free)
    stored = _column(alike.rows, length, "<u4")
    records.state[alike.records[masked(sums) != stored]] = BAD_CHECKSUM


def _decode_long(data: memoryview, number: int, records: Records, names: Names) -> None:
    record, stored = bytes(data[:-CHECKSUM_BYTES]), bytes(data[-CHECKSUM_BYTES:])
    if masked(crc32c(record)) != int.from_bytes(stored, "little"):
        records.state[number] = BAD_CHECKSUM
        return
    try:
        layout = parse_event(record)
    except ValueError:
        records.state[number] = NO_EVENT
        return
    row, none = np.frombuffer(record, np.uint8)[None], np.empty(0, np.intp)
    alike = Alike(row, np.array([number]), layout, np.zeros(1, np.intp), none)
    _decode_rows(alike, records, names)


def _decode_rows(alike: Alike, records: Records, names: Names) -> None:
    sound = records.state[alike.records] == FINE
    if alike.layout is None:
        records.state[alike.records[sound]] = NO_EVENT
        return
    layout = alike.layout
    codes = _codes(alike, sound, records, names)
    column, width = partial(_column, alike.rows), alike.rows.shape[1]
    if layout.wall_time:
        records.wall_time[alike.records] = numbers(column, width, layout.wall_time, "<f8")
    if layout.step:
        records.step[alike.records] = numbers(column, width, layout.step, "<i8")
    for value, (tags, plugins) in zip(layout.values, codes, strict=True):
        found = (numbers(column, width, value.numbers[0], value.dtype) if value.dtype
                 else None)
        if found is not None:
            with np.errstate(invalid="ignore"):  # signalling NaNs
                found = found.astype(np.float64)
        records.values.append(Values(value.kind, alike.records, tags[alike.like],
                                     plugins[alike.like] if value.plugin else None, found))


def _codes(alike: Alike, sound: np.ndarray, records: Records,
           names: Names) -> list[tuple[np.ndarray, np.ndarray]]:
    """Codes of tag and plug-in for each value of the layout, at the rows that others are like."""
    values = alike.layout.values
    codes = [(np.zeros(len(alike.rows), np.int32), np.zeros(len(alike.rows), np.int32))
             for _ in values]
    for row in np.flatnonzero(np.bincount(alike.like[sound])):
        try:
            words = [_words(alike.rows[row], value) for value in values]
        except UnicodeDecodeError:
            same = alike.records[(alike.like == row) & sound]
            records.state[same] = NO_EVENT
            continue
        for (tags, plugins), (tag, plugin) in zip(codes, words, strict=True):
            tags[row] = names.tags.setdefault(tag, len(names.tags))
            plugins[row] = names.plugins.setdefault(plugin, len(names.plugins))
    return codes


def _words(row: np.ndarray, value: Value) -> tuple[str, str]:
    return tuple(str(row[span.start:span.stop].tobytes(), "utf-8") if span else ""
                 for span in (value.tag, value.plugin))


def _column(rows: np.ndarray, start: int, dtype: str) -> np.ndarray:
    """(N,) what each row has from the byte `start` on."""
    return np.ndarray(len(rows), dtype, rows, start, rows.strides[:1]).copy()


def _undamaged(records: Records) -> list[Values]:
    """The values without those of records that are not FINE."""
    if not records.state.any():
        return records.values
    return [_some(values, records.state[values.records] == FINE) for values in records.values]


def _some(values: Values, chosen: np.ndarray | slice, first: int = 0) -> Values:
    """Some of the values; first: the number of the record that is now 0."""
    numbers = None if values.numbers is None else values.numbers[chosen]
    plugins = None if values.plugins is None else values.plugins[chosen]
    return Values(values.kind, values.records[chosen] - first, values.tags[chosen], plugins,
                  numbers)


def split(whole: Records, ends: list[int]) -> Iterator[Records]:
    """The records from each of `ends` to the next, ascending, as if decoded by themselves."""
    places = [np.searchsorted(values.records, ends).tolist() for values in whole.values]
    for part, (first, stop) in enumerate(pairwise(ends)):
        values = [_some(values, slice(*at[part:part + 2]), first)
                  for values, at in zip(whole.values, places, strict=True)
                  if at[part] < at[part + 1]]
        own = slice(first, stop)
        yield Records(whole.step[own], whole.wall_time[own], whole.state[own], values)
