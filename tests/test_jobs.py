"""Long work runs once, in the background, shows how far it is, and stops when nobody waits."""

import threading
import time
from contextlib import contextmanager

import pytest

from core import jobs
from core.errors import UserError
from core.jobs import Audience, Working


@contextmanager
def watching(name="session", alive=lambda: True, refused=()):
    token = jobs.audience.set(Audience(name, alive, frozenset(refused)))
    try:
        yield
    finally:
        jobs.audience.reset(token)


class Work:
    """Work whose end a test decides; counts how often it was begun."""

    def __init__(self):
        self.results, self.begun, self.may_end, self.running = (
            {},
            0,
            threading.Event(),
            threading.Event(),
        )

    def find(self):
        return self.results.get("x")

    def __call__(self, progress):
        self.begun += 1
        self.running.set()
        progress(1, 4)
        assert self.may_end.wait(30)
        progress(4, 4)
        self.results["x"] = "done"

    def ask(self, key):
        return jobs.demand(key, "Counting", "examples", self.find, self)


def wait_for(job):
    assert job.finished.wait(30)


def test_without_an_audience_the_caller_waits():
    work = Work()
    work.may_end.set()
    assert work.ask("waits") == "done"
    assert work.ask("waits") == "done"
    assert work.begun == 1


def test_in_the_app_the_result_comes_later_and_is_computed_once_for_two_sessions():
    work = Work()
    with watching("a"), pytest.raises(Working) as first:
        work.ask("shared")
    with watching("b"), pytest.raises(Working) as second:
        work.ask("shared")
    assert first.value.job is second.value.job
    assert work.running.wait(30)
    job = first.value.job
    assert (job.state, job.done, job.total) == ("running", 1, 4)
    work.may_end.set()
    wait_for(job)
    with watching("a"):
        assert work.ask("shared") == "done"
    assert work.begun == 1


def test_time_left_follows_from_the_rate():
    job = jobs.Job("k", "t", "examples", done=25, total=100, started=jobs.time.monotonic() - 10)
    assert job.rate() == pytest.approx(2.5, rel=0.05)
    assert job.seconds_left() == pytest.approx(30, rel=0.05)
    assert jobs.Job("k", "t", "examples").seconds_left() is None


def test_work_stops_when_nobody_waits_any_more(monkeypatch):
    monkeypatch.setattr(jobs, "GRACE", -1.0)
    running = threading.Event()

    def endless(progress):
        running.set()
        while True:
            progress(0, 1)

    with watching("gone"), pytest.raises(Working) as working:
        jobs.demand("endless", "t", "u", lambda: None, endless)
    assert running.wait(30)
    assert working.value.job.state == "running"
    jobs.leave("gone")
    wait_for(working.value.job)
    assert working.value.job.state == "stopped"


def test_what_was_left_while_it_waited_its_turn_is_not_begun(monkeypatch):
    """Else whoever comes next would wait for its grace once more."""
    before, left = Work(), Work()
    with watching():
        with pytest.raises(Working) as first:
            before.ask("turn before")
        with pytest.raises(Working) as second:
            left.ask("turn left")
    assert before.running.wait(30)
    jobs.leave("session", "turn left")
    monkeypatch.setattr(jobs, "GRACE", 0.05)
    time.sleep(0.1)
    before.may_end.set()
    wait_for(first.value.job)
    wait_for(second.value.job)
    assert (second.value.job.state, left.begun) == ("stopped", 0)


def test_a_closed_browser_counts_as_gone(monkeypatch):
    monkeypatch.setattr(jobs, "GRACE", -1.0)

    def endless(progress):
        while True:
            progress(0, 1)

    with watching("closed", alive=lambda: False), pytest.raises(Working) as working:
        jobs.demand("closed", "t", "u", lambda: None, endless)
    wait_for(working.value.job)
    assert working.value.job.state == "stopped"


def test_what_a_session_stopped_is_not_started_again_by_it():
    work = Work()
    with watching("a", refused=["refused"]), pytest.raises(Working) as working:
        work.ask("refused")
    assert working.value.job.state == "stopped"
    assert work.begun == 0


def test_an_error_reaches_all_who_ask_and_is_tried_again_later(monkeypatch):
    def fails(progress):
        raise UserError("The file is broken.")

    for _ in range(2):
        with pytest.raises(UserError, match="broken"):
            jobs.demand("fails", "t", "u", lambda: None, fails)
    monkeypatch.setattr(jobs, "RETRY", -1.0)
    work = Work()
    work.may_end.set()
    assert work.ask("fails") == "done"


def test_a_job_that_needs_another_computes_it_on_the_spot():
    inner, outer = Work(), {}
    inner.may_end.set()

    def work(progress):
        outer["x"] = inner.ask("inner") + " twice"

    assert jobs.demand("outer", "t", "u", lambda: outer.get("x"), work) == "done twice"


def test_what_a_job_before_left_is_not_computed_again():
    first, late = Work(), Work()
    late.results = first.results
    with watching(), pytest.raises(Working):
        first.ask("first")
    with watching(), pytest.raises(Working) as second:
        late.ask("second")
    first.may_end.set()
    wait_for(second.value.job)
    assert late.begun == 0


def test_reading_a_file_does_not_wait_for_the_device():
    computing, following, reading = Work(), Work(), Work()
    with watching(), pytest.raises(Working) as busy:
        computing.ask("computing")
    assert computing.running.wait(30)
    with watching(), pytest.raises(Working) as queued:
        following.ask("computed next")
    with watching(), pytest.raises(Working) as opening:
        jobs.demand("reading", "Opening", "", reading.find, reading, "files")
    reading.may_end.set()
    wait_for(opening.value.job)
    assert (busy.value.job.state, queued.value.job.state) == ("running", "waiting")
    for work, asked in ((computing, busy), (following, queued)):
        work.may_end.set()
        wait_for(asked.value.job)
