"""Runs that were read lately and have not changed since: of many runs only those that grow are read
again."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from core.errors import UserError
from core.files.limits import MB
from core.log_files.bytes import is_fresh
from core.log_files.points import Points
from core.log_files.search import Run
from core.log_formats import Logs

ROOM = 64 * MB  # of all tables together
LARGEST = ROOM // 8  # of one; parts of larger ones are kept on disk


class Recent:
    """The last tables that were read, within ROOM bytes."""

    def __init__(self) -> None:
        self.kept: OrderedDict[tuple, tuple[Logs, int]] = OrderedDict()
        self.bytes = 0
        self.lock = threading.Lock()

    def get(self, stamp: tuple) -> Logs | None:
        with self.lock:
            if stamp not in self.kept:
                return None
            self.kept.move_to_end(stamp)
            return self.kept[stamp][0]

    def put(self, stamp: tuple, logs: Logs) -> None:
        size = _size(logs)
        if size > LARGEST:
            return
        with self.lock:
            self.bytes += size - self.kept.pop(stamp, (None, 0))[1]
            self.kept[stamp] = logs, size
            while self.bytes > ROOM:
                self.bytes -= self.kept.popitem(last=False)[1][1]


_recent = Recent()


Loaded = dict[str, Logs | UserError]  # by run


def recent(runs: list[Run], load: Callable[[list[Run]], Loaded]) -> Loaded:
    """What `load` gives of the runs, or gave while they were as they are now; never to be written
    to."""
    stamps = {run.name: _stamp(run) for run in runs}
    kept = {name: stamp and _recent.get(stamp) for name, stamp in stamps.items()}
    new = load([run for run in runs if kept[run.name] is None])
    for name, logs in new.items():
        if stamps[name] and isinstance(logs, Logs):
            _recent.put(stamps[name], logs)
    return {name: logs for name, logs in kept.items() if logs is not None} | new


def _stamp(run: Run) -> tuple | None:
    """What changes when the run does; None while it is being written."""
    try:
        stats = [path.stat() for path in run.files]
        folders = {path.parent: path.parent.stat().st_mtime_ns for path in run.files}
    except OSError:  # `load` says so
        return None
    if any(map(is_fresh, stats)):
        return None
    said = tuple((str(path), stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
                 for path, stat in zip(run.files, stats, strict=True))
    return run.format, run.name, said, tuple(folders.values())


def _size(logs: Logs) -> int:
    points = logs.points
    size = points.bytes if isinstance(points, Points) else points.memory_usage(index=False).sum()
    return int(size) + 200 * len(logs.others)
