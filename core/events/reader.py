"""The event files of one run into columns, a piece of a file at a time."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.events.decoding import BAD_CHECKSUM, NO_EVENT, Names, Records, Values, decode
from core.events.framing import HEADER, frame
from core.events.layout import SILENT

CHUNK = 8 << 20  # bytes
LONGEST_RECORD = 256 << 20  # bytes; nothing that TensorBoard shows is longer
SCALARS = "scalars"  # the plug-in that TensorFlow 2 and torch's new style write for a number


class Problem(NamedTuple):
    """What was lost of a file: at which byte, what, and how many times more further on."""

    file: str
    byte: int
    what: str
    more: int = 0


class Piece(NamedTuple):
    """Whole records of a file. offset: of the buffer in the file."""

    buffer: bytes
    offset: int
    starts: np.ndarray
    stop: int


@dataclass
class Events:
    """The numbers of one run in the order of its files, and what else was met.

    tag: int32 codes, indexes into `tags`. others: how many values of each kind are no numbers.
    """

    names: Names = field(default_factory=Names)
    columns: tuple[list[np.ndarray], ...] = field(default_factory=lambda: ([], [], [], []))
    others: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    records: int = 0
    plugin_of_tag: dict[int, int] = field(default_factory=dict)

    def take(self, number: int, dtype: type) -> np.ndarray:
        """One column, given away once: 0 tag codes, 1 steps, 2 wall times, 3 values."""
        parts = self.columns[number]
        whole = np.concatenate([np.empty(0, dtype), *parts])
        parts.clear()  # so that at most one column is there twice
        return whole


def read_events(files: list[Path]) -> Events:
    """Every number of the files of one run. Raises OSError where one cannot be read."""
    events = Events()
    for path in files:
        for piece in _pieces(path, events.problems):
            found = decode(piece.buffer, piece.starts, piece.stop, events.names)
            events.records += len(piece.starts)
            _note_losses(found, path.name, piece, events.problems)
            _keep_numbers(found, events)
    return events


def _pieces(path: Path, problems: list[Problem]) -> Iterator[Piece]:
    """The whole records of a file; where they end before the file does, a problem."""
    sizes: dict[bytes, int] = {}
    with path.open("rb", buffering=0) as file:
        left = os.fstat(file.fileno()).st_size  # a file that grows meanwhile is read up to here
        offset, rest, want = 0, b"", CHUNK
        while True:
            got = file.read(min(want, left))
            left = left - len(got) if got else 0
            rest += got
            framing = frame(rest, sizes)
            yield Piece(rest, offset, framing.starts, framing.stop)
            offset, rest = offset + framing.stop, rest[framing.stop:]
            size = sizes.get(rest[:HEADER.size], 0)
            if problem := _end(framing.reason, len(rest), size, left):
                problems.append(Problem(path.name, offset, problem))
                return
            if not left:
                return
            want = max(CHUNK, size - len(rest))


def _end(reason: str, present: int, size: int, left: int) -> str:
    """Why reading stops here; "" where it goes on, or the file simply ends."""
    if reason == "length checksum":
        return "the checksum of a record's length is wrong, so reading stopped there"
    if reason == "cut" and (size > present + left or not left):
        claim = f", it claims {size:,}" if size else ""
        usual = " (normal while a run is being written)" if size <= LONGEST_RECORD else ""
        return f"a record is cut off after {present + left:,} bytes{claim}{usual}"
    if size > LONGEST_RECORD:
        return f"a record of {size >> 20:,} MB is too large to read, so reading stopped there"
    return ""


def _note_losses(found: Records, name: str, piece: Piece, problems: list[Problem]) -> None:
    losses = {BAD_CHECKSUM: "a record is damaged (its checksum is wrong) and was skipped",
              NO_EVENT: "a record is not an event (damaged when it was written) and was skipped"}
    for state, what in losses.items():
        lost = np.flatnonzero(found.state == state)
        if len(lost):
            byte = piece.offset + int(piece.starts[lost[0]])
            problems.append(Problem(name, byte, what, len(lost) - 1))


def _keep_numbers(found: Records, events: Events) -> None:
    _learn_plugins(found, events)
    plugin_of_tag = np.full(len(events.names.tags) + 1, -1)
    plugin_of_tag[list(events.plugin_of_tag)] = list(events.plugin_of_tag.values())
    scalars = events.names.plugins.get(SCALARS, -2)
    kept = []
    for values in found.values:
        plugins = plugin_of_tag[values.tags]
        wanted = _wanted(values, plugins, scalars)
        if wanted.all():
            kept.append((values.records, values.tags, values.numbers))
        elif wanted.any():
            kept.append((values.records[wanted], values.tags[wanted], values.numbers[wanted]))
        _count_others(values, plugins, ~wanted, events)
    if kept:
        for column, part in zip(events.columns, _in_file_order(found, kept), strict=True):
            column.append(part)


def _learn_plugins(found: Records, events: Events) -> None:
    """The first metadata of a tag counts, as in TensorBoard: later values often come without."""
    first: dict[int, tuple[int, int]] = {}
    for values in found.values:
        if values.plugins is None:
            continue
        tags, places = np.unique(values.tags, return_index=True)  # the first, as records ascend
        for tag, place in zip(tags.tolist(), places.tolist(), strict=True):
            seen = int(values.records[place]), int(values.plugins[place])
            first[tag] = min(first.get(tag, seen), seen)
    for tag, (_, plugin) in first.items():
        events.plugin_of_tag.setdefault(tag, plugin)


def _wanted(values: Values, plugins: np.ndarray, scalars: int) -> np.ndarray:
    """Which values are scalars: simple values, and tensors whose plug-in is that or unknown."""
    if values.numbers is None:
        return np.zeros(len(values.records), bool)
    if values.kind == "simple":
        return np.ones(len(values.records), bool)
    return (plugins == scalars) | (plugins == -1)


def _count_others(values: Values, plugins: np.ndarray, chosen: np.ndarray, events: Events) -> None:
    if values.kind in SILENT or not chosen.any():
        return
    names = list(events.names.plugins)
    for plugin, count in Counter(plugins[chosen].tolist()).items():
        named = plugin >= 0 and values.kind in ("tensor", "metadata") and names[plugin] != SCALARS
        events.others[names[plugin] if named else values.kind] += count


def _in_file_order(found: Records, kept: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    """Tag codes, steps, wall times and values, record by record, values of one in its order."""
    counts = np.zeros(len(found.step), np.int64)
    for records, _, _ in kept:
        counts[records] += 1
    place = np.cumsum(counts) - counts
    tags, values = np.empty(counts.sum(), np.int32), np.empty(counts.sum())
    for records, codes, numbers in kept:
        to = place[records]
        tags[to], values[to] = codes, numbers
        place[records] += 1
    return tags, np.repeat(found.step, counts), np.repeat(found.wall_time, counts), values
