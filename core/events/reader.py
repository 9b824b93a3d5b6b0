"""The event files of one run into columns, a piece of a file at a time."""

from pathlib import Path

import numpy as np

from core.events.decoding import BAD_CHECKSUM, NO_EVENT, Records, Values, decode
from core.events.found import Events, Others
from core.events.framing import HEADER
from core.events.hyperparameters import PLUGIN, session_settings
from core.events.kept import KeptFile, keeps
from core.events.layout import SILENT
from core.events.pieces import Piece, Problem, pieces

MOST_SETTINGS = 1000  # records with hyperparameters looked into, of one layout in one piece
UNWANTED = -3  # no code of a plug-in: -1 is a tag without one, -2 one that was never met
SCALARS = "scalars"  # the plug-in that TensorFlow 2 and torch's new style write for a number


def read_events(files: list[Path]) -> Events:
    """Every number of the files of one run. Raises OSError where one cannot be read."""
    events = Events()
    for path in files:
        kept = KeptFile(path, events) if keeps(path) else None
        offset = kept.taken_up() if kept else 0
        for piece in pieces(path, events.problems, offset):
            _add(piece, events)
            if kept:
                kept.reached(piece.offset + piece.stop)
    return events


def _add(piece: Piece, events: Events) -> None:
    found = decode(piece.buffer, piece.starts, piece.stop, events.names)
    events.records += len(piece.starts)
    _note_losses(found, piece.file.name, piece, events.problems)
    _keep_numbers(found, piece, events)
    _keep_settings(found, piece, events)


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
