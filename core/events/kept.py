"""Keeps what is read of an event file part by part, so that a grown one costs its new part."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from core.events.found import Events, Others
from core.events.pieces import Problem
from core.log_files.bytes import LogBytes
from core.log_files.parts import LEAST, Part, Parts, Said, is_keeping, joined

DTYPES = (np.int32, np.int64, np.float64, np.float64)  # of the columns of Events
OF_OTHERS = (np.int32, np.int64, np.float64, np.int64, np.int64)


def keeps(path: Path) -> bool:
    """Whether parts of a file are worth keeping: it is long, and no packed one, which cannot be
    read on."""
    if not is_keeping() or path.stat().st_size < LEAST:
        return False
    with LogBytes(path) as file:
        return not file.packed


class KeptFile:
    """What is kept of one file, and what of `events` is not kept yet."""

    def __init__(self, path: Path, events: Events) -> None:
        tags, plugins = list(events.names.tags), list(events.names.plugins)
        known = {tags[tag]: plugins[plugin] for tag, plugin in events.plugin_of_tag.items()}
        self._path, self._events, self._parts = path, events, Parts(path, known)
        self._begin(0)

    def _begin(self, offset: int) -> None:
        """What comes from here on is the next part."""
        events = self._events
        self._offset, self._records = offset, events.records
        self._columns, self._others = len(events.columns[0]), len(events.others)
        self._problems, self._plugins = len(events.problems), len(events.plugin_of_tag)
        self._settings = dict(events.settings)

    def taken_up(self) -> int:
        """Adds what is kept to the events, and gives where it ends in the file."""
        stop = 0
        for part in self._parts:
            _add(part, self._path, self._events)
            stop = part.said.stop
        self._begin(stop)
        return stop

    def is_due(self, offset: int) -> bool:
        """Whether what was read up to here is enough to be kept."""
        return offset - self._offset >= LEAST

    def reached(self, offset: int) -> None:
        """Keeps all up to here, which has been added to the events."""
        self._parts.keep(self._part(offset))
        self._begin(offset)

    def _part(self, stop: int) -> Part:
        events = self._events
        columns = [joined([part.ravel() for part in parts[self._columns:]], dtype)
                   for parts, dtype in zip(events.columns, DTYPES, strict=True)]
        others = events.others[self._others:]
        arrays = [joined([getattr(one, name) for one in others], dtype) for name, dtype in zip(
            ("tag", "step", "wall_time", "byte", "size"), OF_OTHERS, strict=True)]
        names, plugins = list(events.names.tags), list(events.names.plugins)
        codes = np.unique(np.concatenate([columns[0], arrays[0]]))
        columns[0], arrays[0] = (np.searchsorted(codes, tags).astype(np.int32)
                                 for tags in (columns[0], arrays[0]))
        new = list(events.plugin_of_tag.items())[self._plugins:]
        said = Said(
            stop, "", [names[code] for code in codes], {names[t]: plugins[p] for t, p in new},
            [problem[1:] for problem in events.problems[self._problems:]],
            events.records - self._records,
            {name: value for name, value in events.settings.items()
             if name not in self._settings or self._settings[name] != value},
            [(one.kind, len(one.tag)) for one in others])
        return Part(said, columns, arrays)


def _add(part: Part, path: Path, events: Events) -> None:
    """As if the part had been read just now."""
    said, names = part.said, events.names
    codes = np.array([names.tags.setdefault(tag, len(names.tags)) for tag in said.tags], np.int32)
    for tag, plugin in said.plugins.items():
        code = names.plugins.setdefault(plugin, len(names.plugins))
        events.plugin_of_tag.setdefault(names.tags.setdefault(tag, len(names.tags)), code)
    tags, *rest = part.columns
    for column, array in zip(events.columns, [codes[tags], *rest], strict=True):
        column.append(array)
    ends = np.cumsum([0, *(count for _, count in said.kinds)])
    for (kind, _), (a, b) in zip(said.kinds, pairwise(ends), strict=True):
        tag, *others = (array[a:b] for array in part.others)
        events.others.append(Others(kind, path, codes[tag], *others))
    events.problems += [Problem(path.name, *problem) for problem in said.problems]
    events.records += said.records
    events.settings |= said.settings
