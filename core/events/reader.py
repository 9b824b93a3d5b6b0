"""The event files of one run into columns, a piece of a file at a time."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core.errors import UserError
from core.events.decoding import BAD_CHECKSUM, NO_EVENT, Names, Records, Values, decode, split
from core.events.equals import EqualFiles
from core.events.found import Events, Others
from core.events.framing import HEADER
from core.events.hyperparameters import PLUGIN, session_settings
from core.events.kept import KeptFile, keeps
from core.events.layout import SILENT
from core.events.pieces import CHUNK, Piece, Problem, pieces
from core.events.stretches import add_stretch
from core.events.templates import SCALARS

MOST_COMMON_NAMES = 1000  # of tags; each run lists them all once
MOST_SETTINGS = 1000  # records with hyperparameters looked into, of one layout in one piece
UNWANTED = -3  # no code of a plug-in: -1 is a tag without one, -2 one that was never met


def read_runs(runs: list[list[Path]]) -> list[Events | OSError | UserError]:
    """Of each run every number of its files, or why they cannot be read. The pieces of short files
    are decoded together: a call costs as much for ten records as for a thousand."""
    found, batch = [], Batch()
    equal = EqualFiles(path for files in runs for path in files)
    for files in runs:
        batch.begin()
        events = Events(batch.names)
        try:
            for path in files:
                _read(path, events, batch, equal)
            found.append(events)
        except (OSError, UserError) as error:
            found.append(error)
    batch.decode()
    for events in found:
        if isinstance(events, Events):
            events.problems.sort(key=lambda problem: (problem.file, problem.byte))
    return found


def _read(path: Path, events: Events, batch: "Batch", equal: EqualFiles) -> None:
    if not path.stat().st_size:
        events.empty.append(path.name)
    if not keeps(path):
        for piece in equal.pieces(path, events.problems):
            batch.add(piece, events)
        return
    batch.decode()  # what is kept begins after all that was read before
    kept = KeptFile(path, events)
    for piece in pieces(path, events.problems, kept.taken_up()):
        batch.add(piece, events)
        if kept.is_due(piece.offset + piece.stop):
            batch.decode()
            kept.reached(piece.offset + piece.stop)


class Batch:
    """Pieces that wait to be decoded together, each with the events of its run."""

    def __init__(self) -> None:
        self.names = Names()
        self._waiting: list[tuple[Piece, Events]] = []
        self._bytes = 0

    def begin(self) -> None:
        """Another run begins. Names are common to runs that are decoded together, within bounds."""
        if len(self.names.tags) > MOST_COMMON_NAMES:
            self.decode()
            self.names = Names()

    def add(self, piece: Piece, events: Events) -> None:
        """Takes a piece, and decodes those that wait where they are enough."""
        size = 0 if piece.stretch else piece.stop
        if self._bytes + size > CHUNK:
            self.decode()
        self._waiting.append((piece, events))
        self._bytes += size

    def decode(self) -> None:
        """Adds all that wait to the events of their runs, in their order."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        found = self._together([piece for piece, _ in waiting if not piece.stretch])
        for piece, events in waiting:
            if piece.stretch:
                add_stretch(piece.stretch, piece.file, piece.offset, events)
            else:
                _add(next(found), piece, events)

    def _together(self, pieces: list[Piece]) -> Iterator[Records]:
        if len(pieces) == 1:
            yield decode(pieces[0].buffer, pieces[0].starts, pieces[0].stop, self.names)
        elif pieces:
            buffer = b"".join(memoryview(piece.buffer)[:piece.stop] for piece in pieces)
            ends = np.cumsum([0, *(piece.stop for piece in pieces)])
            starts = np.concatenate([piece.starts + end
                                     for piece, end in zip(pieces, ends, strict=False)])
            whole = decode(buffer, starts, len(buffer), self.names)
            records = np.cumsum([0, *(len(piece.starts) for piece in pieces)]).tolist()
            yield from split(whole, records)


def _add(found: Records, piece: Piece, events: Events) -> None:
    events.records += len(piece.starts)
    _note_losses(found, piece.file.name, piece, events.problems)
    _keep_numbers(found, piece, events)
    _keep_settings(found, piece, events)


def _note_losses(found: Records, name: str, piece: Piece, problems: list[Problem]) -> None:
    losses = {BAD_CHECKSUM: "a record is damaged (its checksum is wrong) and was skipped",
              NO_EVENT: "a record is not an event (damaged when it was written) and was skipped"}
    for state, what in losses.items() if found.state.any() else ():
        lost = np.flatnonzero(found.state == state)
        if len(lost):
            byte = piece.offset + int(piece.starts[lost[0]])
            problems.append(Problem(name, byte, what, len(lost) - 1))


def _keep_numbers(found: Records, piece: Piece, events: Events) -> None:
    if all(values.kind in SILENT for values in found.values):
        return
    plugin_of_tag = _learnt_plugins(found, events)
    scalars = events.names.plugins.get(SCALARS, -2)
    kept = []
    for values in found.values:
        if values.kind == "simple":
            kept.append((values.records, values.tags, values.numbers))
            continue
        plugins = plugin_of_tag[values.tags]
        wanted = _wanted(values, plugins, scalars)
        if wanted.any():
            kept.append((values.records[wanted], values.tags[wanted], values.numbers[wanted]))
        if not wanted.all():
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


def _learnt_plugins(found: Records, events: Events) -> np.ndarray:
    """The plug-in of each tag, -1 for none. The first metadata of a tag counts, as in TensorBoard:
    later values often come without."""
    known = np.full(len(events.names.tags) + 1, -1)
    known[list(events.plugin_of_tag)] = list(events.plugin_of_tag.values())
    first: dict[int, tuple[int, int]] = {}
    for values in found.values:
        new = () if values.plugins is None else np.flatnonzero(known[values.tags] < 0)
        if not len(new):
            continue
        tags, places = np.unique(values.tags[new], return_index=True)  # the first: records ascend
        for tag, place in zip(tags.tolist(), new[places].tolist(), strict=True):
            seen = int(values.records[place]), int(values.plugins[place])
            first[tag] = min(first.get(tag, seen), seen)
    for tag, (_, plugin) in first.items():
        known[tag] = events.plugin_of_tag[tag] = plugin
    return known


def _wanted(values: Values, plugins: np.ndarray, scalars: int) -> np.ndarray:
    """Which values are scalars: tensors of one number whose plug-in is that or unknown."""
    if values.numbers is None:
        return np.zeros(len(values.records), bool)
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
    if len(kept) == 1:  # which ascends
        records, tags, values = kept[0]
        return tags, found.step[records], found.wall_time[records], values
    counts = np.zeros(len(found.step), np.int64)
    for records, _, _ in kept:
        counts[records] += 1
    place = np.cumsum(counts) - counts
    tags, values = np.empty(counts.sum(), np.int32), np.empty(counts.sum())
    for records, codes, numbers in kept:
        to = place[records]
        tags[to], values[to] = codes, numbers
        place[records] += 1
    if len(values) == np.count_nonzero(counts):  # one a record at most, as nearly all write them
        there = counts > 0
        return tags, found.step[there], found.wall_time[there], values
    return tags, np.repeat(found.step, counts), np.repeat(found.wall_time, counts), values
