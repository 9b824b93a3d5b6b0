"""One round of records that repeat, made of some that were met: the template of those to come."""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np

from core.events.checksum import LONGEST_BY_TABLE, crc32c, masked
from core.events.framing import HEADER, OVERHEAD
from core.events.layout import Layout, Value, parse_event, varint
from core.events.rows import masks

SCALARS = "scalars"  # the plug-in that TensorFlow 2 and torch's new style write for a number
LONGEST_ROUND = 256  # records
MOST_GUESSES = 4  # of the length of a round


class Slot(NamedTuple):
    """One value of a round. record: which of the round holds it. plugin: None without metadata."""

    record: int
    tag: str
    plugin: str | None
    kind: str


class Alike(NamedTuple):
    """Neighbours in a round, so many records of one layout and length in bytes, from a byte on."""

    start: int
    records: int
    length: int
    layout: Layout


class Template(NamedTuple):
    """One round. fixed: the bits of `row` that every round has. starts: of its records.
    mark: the first bytes of its first tag, and where they are. is_plain: none has metadata."""

    row: np.ndarray
    fixed: np.ndarray
    starts: np.ndarray
    alike: tuple[Alike, ...]
    slots: tuple[Slot, ...]
    mark: tuple[int, bytes]
    is_plain: bool


class _Record(NamedTuple):
    data: bytes  # whole, with header and checksum
    layout: Layout
    step: int
    tags: tuple[str, ...]
    plugins: tuple[str | None, ...]


def guesses(buffer: bytes, starts: list[int], stop: int) -> Iterator[tuple[Template, Template]]:
    """Rounds that may end at `stop`, after the records at `starts`, the shortest first; each also
    as the round that begins where a step does: it fits from the first step to the last."""
    records, found = [], 0
    for start in reversed(starts[-LONGEST_ROUND:]):
        record = _record(buffer[start:stop])
        if record is None:
            return
        if records and record.tags == records[0].tags:
            yield _template(records[::-1]), _template(_from_a_step_on(records[::-1]))
            found += 1
            if found == MOST_GUESSES:
                return
        records.append(record)
        stop = start


def _record(data: bytes) -> _Record | None:
    """None for what is damaged or holds anything but numbers."""
    inner, stored = data[HEADER.size:-4], int.from_bytes(data[-4:], "little")
    if len(inner) > LONGEST_BY_TABLE or masked(crc32c(inner)) != stored:
        return None
    try:
        layout = parse_event(inner)
        words = [_words(inner, value) for value in layout.values]
    except ValueError:
        return None
    plain = all(value.dtype for value in layout.values)
    if not words or not plain or any(plugin not in (None, SCALARS) for _, plugin in words):
        return None
    step = varint(inner, layout.step.start, len(inner))[0] if layout.step else 0
    return _Record(data, layout, step, *zip(*words, strict=True))


def _from_a_step_on(records: list[_Record]) -> list[_Record]:
    """The round turned so that it begins with the first record of a step, where there is one."""
    steps = [record.step for record in records]
    begins = [place for place in range(1, len(steps)) if steps[place] != steps[place - 1]]
    first = begins[0] if len(begins) == 1 else 0
    return records[first:] + records[:first]


def _words(data: bytes, value: Value) -> tuple[str, str | None]:
    tag, plugin = (span and data[span.start:span.stop].decode()
                   for span in (value.tag, value.plugin))
    return tag, plugin


def _template(records: list[_Record]) -> Template:
    sizes = [len(record.data) for record in records]
    starts = np.cumsum([0, *sizes[:-1]])
    alike, first = [], 0
    for (size, layout), same in groupby(zip(sizes, records, strict=True),
                                        key=lambda pair: (pair[0], pair[1].layout)):
        count = len(list(same))
        alike.append(Alike(int(starts[first]), count, size - OVERHEAD, layout))
        first += count
    slots = [Slot(number, tag, plugin, value.kind) for number, record in enumerate(records)
             for tag, plugin, value in zip(record.tags, record.plugins, record.layout.values,
                                           strict=True)]
    tag = records[0].layout.values[0].tag
    at = HEADER.size + tag.start
    return Template(np.frombuffer(b"".join(record.data for record in records), np.uint8),
                    np.concatenate([_fixed(record) for record in records]), starts, tuple(alike),
                    tuple(slots), (at, records[0].data[at:HEADER.size + tag.stop]),
                    all(slot.kind == "simple" and slot.plugin is None for slot in slots))


def _fixed(record: _Record) -> np.ndarray:
    length = len(record.data) - OVERHEAD
    fixed, strings = masks(record.layout, length, length)
    return np.concatenate([np.full(HEADER.size, 255, np.uint8), fixed | strings,
                           np.zeros(4, np.uint8)])
