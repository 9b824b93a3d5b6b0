"""Long work in the background: one worker for the device that networks run on and two for files,
one job a key, stopped when nobody waits.

A function that needs a result asks `demand`. In the app that raises Working until the result is
there, and the page shows the job; without an audience (command line, tests) it waits.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from core.errors import UserError

Result = TypeVar("Result")
Progress = Callable[[int, int], None]  # (done, total); raises Stopped
RETRY = 10.0  # seconds after a failure until the same may be tried again
GRACE = 4.0  # seconds without an audience before work stops: a reload takes less


class Stopped(Exception):  # noqa: N818 - no error
    """Raised inside a job when nobody waits for it any more."""


class Working(Exception):  # noqa: N818 - no error
    """The result is not there yet; `job` says how far it is."""

    def __init__(self, job: "Job") -> None:
        super().__init__(job.title)
        self.job = job


@dataclass(frozen=True)
class Audience:
    """Who waits: a session that is `alive` while its browser is connected, in one `run` of its
    script; `refused` keys it has stopped and does not want started again by itself."""

    name: str
    alive: Callable[[], bool]
    refused: frozenset[str] = frozenset()
    run: str = ""


log = logging.getLogger("netlens")
audience: ContextVar[Audience | None] = ContextVar("audience", default=None)
_inside: ContextVar[Progress | None] = ContextVar("inside", default=None)


@dataclass
class Job:
    """One piece of work; states: waiting, running, done, failed, stopped."""

    key: str
    title: str
    unit: str
    state: str = "waiting"
    done: int = 0
    total: int = 0
    started: float = 0.0
    ended: float = 0.0
    error: Exception | None = None
    watchers: dict[str, Audience] = field(default_factory=dict)
    waited_for: float = field(default_factory=time.monotonic)
    finished: threading.Event = field(default_factory=threading.Event)

    def progress(self, done: int, total: int) -> None:
        """Called between batches. Raises Stopped where nobody has waited for a while."""
        self.done, self.total = done, total
        if any(watcher.alive() for watcher in list(self.watchers.values())):
            self.waited_for = time.monotonic()
        elif time.monotonic() - self.waited_for > GRACE:
            raise Stopped

    def rate(self) -> float:
        """Items a second since the start, 0 before the first."""
        elapsed = time.monotonic() - self.started
        return self.done / elapsed if self.started and elapsed > 0 else 0.0

    def seconds_left(self) -> float | None:
        """Estimated from the mean rate; None before there is one."""
        return (self.total - self.done) / rate if (rate := self.rate()) and self.total else None


_jobs: dict[str, Job] = {}
_lock = threading.Lock()
_workers = {
    "device": ThreadPoolExecutor(1, thread_name_prefix="netlens-device"),
    "files": ThreadPoolExecutor(2, thread_name_prefix="netlens-files"),
}


def demand(
    key: str,
    title: str,
    unit: str,
    find: Callable[[], Result | None],
    work: Callable[[Progress], None],
    where: str = "device",
) -> Result:
    """What `find` gives once `work` has run; `work` runs once however many ask.

    where: "device" for work that occupies it, "files" for reading, which need not wait for that.
    Raises Working in the app while it runs, and the error with which it failed.
    """
    if (found := find()) is not None:
        return found
    if progress := _inside.get():  # a job that needs another's result computes it on the spot
        work(progress)
        return _found(find)
    watcher = audience.get()

    def unless_found(progress: Progress) -> None:
        if find() is None:  # a job before this one may have left it
            work(progress)

    job = Job(key, title, unit)
    job = _submit(job, unless_found, watcher or Audience("caller", lambda: True), where)
    if watcher is None:
        job.finished.wait()
    if job.error is not None:
        raise job.error
    if watcher is None or job.state == "done":
        return _found(find)
    raise Working(job)


def _found(find: Callable[[], Result | None]) -> Result:
    found = find()
    if found is None:
        raise RuntimeError("the result of a finished job could not be read back: is the disk full?")
    return found


def _submit(new: Job, work: Callable[[Progress], None], watcher: Audience, where: str) -> Job:
    """The job of that key that others have begun, else the new one, begun."""
    key = new.key
    with _lock:
        job = _jobs.get(key)
        if key in watcher.refused and (job is None or job.state in ("stopped", "waiting")):
            new.state = "stopped"
            return job or new
        failed = job is not None and job.state == "failed" and time.monotonic() - job.ended > RETRY
        if job is None or failed or job.state in ("done", "stopped"):
            job = _jobs[key] = new
            _workers[where].submit(_run, job, work)
        if key not in watcher.refused:
            job.watchers[watcher.name] = watcher
        return job


def _run(job: Job, work: Callable[[Progress], None]) -> None:
    job.started = time.monotonic()
    token = _inside.set(job.progress)
    try:
        job.state = "running"
        job.progress(0, 0)
        work(job.progress)
        job.state = "done"
    except Stopped:
        job.state = "stopped"
    except Exception as error:
        if not isinstance(error, UserError):
            log.exception("%s failed", job.title)
        job.error, job.state = error.with_traceback(None), "failed"
    finally:
        _inside.reset(token)
        job.ended = time.monotonic()
        with _lock:
            for key, other in list(
                _jobs.items()
            ):  # a failure is kept a while, for those who ask again
                if (other is job and job.state != "failed") or (
                    other.state == "failed" and job.ended - other.ended > RETRY
                ):
                    del _jobs[key]
        job.finished.set()


def leave(name: str, key: str | None = None, but: str | None = None) -> None:
    """The audience `name` no longer waits for `key`, or for what its run `but` did not ask for."""
    with _lock:
        for job in _jobs.values():
            watcher = job.watchers.get(name)
            if watcher and key in (None, job.key) and (but is None or watcher.run != but):
                del job.watchers[name]


def active() -> list[Job]:
    """Jobs that wait or run."""
    with _lock:
        return [job for job in _jobs.values() if job.state in ("waiting", "running")]
