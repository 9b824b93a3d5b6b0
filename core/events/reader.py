"""The event files of one run into columns, a piece of a file at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.events.decoding import BAD_CHECKSUM, NO_EVENT, Names, Records, Values, decode
from core.events.framing import HEADER, frame
from core.events.hyperparameters import PLUGIN, session_settings
from core.events.layout import SILENT
from core.log_bytes import LogBytes

CHUNK = 8 << 20  # bytes
LONGEST_RECORD = 256 << 20  # bytes; nothing that TensorBoard shows is longer
MOST_SETTINGS = 1000  # records with hyperparameters looked into, of one layout in one piece
UNWANTED = -3  # no code of a plug-in: -1 is a tag without one, -2 one that was never met
SCALARS = "scalars"  # the plug-in that TensorFlow 2 and torch's new style write for a number


class Problem(NamedTuple):
    """What was lost of a file: at which byte, what, and how many times more further on."""

    file: str
    byte: int
    what: str
    more: int = 0


class Others(NamedTuple):
    """Values of one kind that are no numbers: where they are, one entry each.

    tag: codes. byte, size: of the whole record in the file, unpacked where it is packed.
    """

    kind: str
    file: Path
    tag: np.ndarray
    step: np.ndarray
    wall_time: np.ndarray
    byte: np.ndarray
    size: np.ndarray


class Piece(NamedTuple):
    """Whole records of a file. offset: of the buffer in the file."""

    file: Path
    buffer: bytes
    offset: int
    starts: np.ndarray
    stop: int


@dataclass
class Events:
    """The numbers of one run in the order of its files, and what else was met.

    tag: int32 codes, indexes into `tags`. others: values that are no numbers, in no order.
    settings: hyperparameters that the run states.
    """

    names: Names = field(default_factory=Names)
    columns: tuple[list[np.ndarray], ...] = field(default_factory=lambda: ([], [], [], []))
    others: list[Others] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    records: int = 0
    plugin_of_tag: dict[int, int] = field(default_factory=dict)
    settings: dict[str, float | str | bool] = field(default_factory=dict)

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
            _keep_numbers(found, piece, events)
            _keep_settings(found, piece, events)
    return events


def _pieces(path: Path, problems: list[Problem]) -> Iterator[Piece]:
    """The whole records of a file; where they end before the file does, a problem."""
    sizes: dict[bytes, int] = {}
    with LogBytes(path) as file:
        offset, rest, want = 0, b"", CHUNK
        while True:
            rest += file.read(want)
            framing = frame(rest, sizes)
            yield Piece(path, rest, offset, framing.starts, framing.stop)
            offset, rest = offset + framing.stop, rest[framing.stop:]
            size = sizes.get(rest[:HEADER.size], 0)
            if problem := file.fault or _end(framing.reason, len(rest), size, file.left):
                problems.append(Problem(path.name, offset, problem))
                return
            if not file.left:
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


def _keep_numbers(found: Records, piece: Piece, events: Events) -> None:
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
            continue
        if wanted.any():
            kept.append((values.records[wanted], values.tags[wanted], values.numbers[wanted]))
        _keep_others(found, piece, values, np.where(wanted, UNWANTED, plugins), events)
    if kept:
        for column, part in zip(events.columns, _in_file_order(found, kept), strict=True):
            column.append(part)


def _keep_settings(found: Records, piece: Piece, events: Events) -> None:
    """The hyperparameters in the metadata of the few records that have any."""
    wanted = events.names.plugins.get(PLUGIN, -2)
    for values in found.values:
        chosen = values.records[values.plugins == wanted] if values.plugins is not None else ()
        for record in chosen[:MOST_SETTINGS]:
            start = int(piece.starts[record])
            stop = [*piece.starts[record + 1:record + 2].tolist(), piece.stop][0]
            events.settings |= session_settings(piece.buffer[start + HEADER.size:stop - 4])


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


def _keep_others(found: Records, piece: Piece, values: Values, plugins: np.ndarray,
                 events: Events) -> None:
    """Keeps where the values are that are no scalars, by kind or by the name of the plug-in."""
    if values.kind in SILENT:
        return
    names = list(events.names.plugins)
    for plugin in np.unique(plugins[plugins != UNWANTED]).tolist():
        named = plugin >= 0 and values.kind in ("tensor", "metadata") and names[plugin] != SCALARS
        chosen = plugins == plugin
        records = values.records[chosen]
        byte = piece.starts[records]
        ends = np.append(piece.starts, piece.stop)[records + 1]
        events.others.append(Others(names[plugin] if named else values.kind, piece.file,
                                    values.tags[chosen], found.step[records],
                                    found.wall_time[records], byte + piece.offset, ends - byte))


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
