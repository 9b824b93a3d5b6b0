"""Runs that were read lately and have not changed since: of many runs only those that grow are read
again."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from core.limits import MB
from core.log_bytes import is_fresh
from core.log_formats import Logs
from core.log_search import Run

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


def recent(run: Run, load: Callable[[], Logs]) -> Logs:
    """What `load` gives, or gave while the run was as it is now; never to be written to."""
    stamp = _stamp(run)
    if stamp is None:
        return load()
    if (found := _recent.get(stamp)) is not None:
        return found
    logs = load()
    _recent.put(stamp, logs)
    return logs


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
    return int(logs.table.memory_usage(index=False).sum()) + 200 * len(logs.others)
