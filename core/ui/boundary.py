"""Around each part of a page: errors become messages, work in progress becomes a bar."""

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import streamlit as st
from streamlit import runtime
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core import jobs
from core.errors import UserError
from core.jobs import Audience, Job, Working
from core.ui import page_settings
from core.ui.text import count, duration, md_escape

log = logging.getLogger("netlens")
POLL = 0.8  # seconds between two looks at a running job: each costs it some of the processor


@contextmanager
def following_jobs() -> Iterator[None]:
    """One run of the app: what this session waits for is what this run asks for, nothing older."""
    session, run = _session(), uuid.uuid4().hex
    st.session_state["_shown_jobs"], st.session_state["_shown_faults"] = set(), set()
    try:
        with _audience(session, run):
            yield
    finally:
        jobs.leave(session, but=run)


def _session() -> str:
    context = get_script_run_ctx()
    return context.session_id if context else "none"


@contextmanager
def _audience(session: str, run: str = "") -> Iterator[None]:
    refused = frozenset(st.session_state.get("_stopped_jobs", ()))
    token = jobs.audience.set(Audience(session, lambda: _connected(session), refused, run))
    try:
        yield
    finally:
        jobs.audience.reset(token)
        if not run:  # of a fragment by itself
            page_settings.note()


def _connected(session: str) -> bool:
    """Whether a browser still shows this session; always in tests, which have no server."""
    return not runtime.exists() or runtime.get_instance().is_active_session(session)


@contextmanager
def boundary(where: str) -> Iterator[None]:
    """Around a page, each part of it that can fail alone, and inside each fragment.

    The rest of the page goes on after the block.
    """
    with nullcontext() if jobs.audience.get() else _audience(_session()):
        try:
            yield
        except Working as working:
            show_job(working.job)
        except UserError as error:
            _show_fault(str(error).removesuffix(error.code), error.code)
        except Exception:
            number = uuid.uuid4().hex[:8]
            log.exception("error %s in %s", number, where)
            st.error(
                f"{where} could not be drawn. The server's log has the cause as error {number}. "
                "What is open stays open; try other settings, or another file.",
                icon=":material/error:",
            )


def until_done(job: Job, draw: Callable[[], Any]) -> None:
    """Draws a small thing's place while its job runs, and everything anew when that has ended."""
    with _own_place():
        _until_done(job, draw)


@st.fragment(run_every=POLL)
def _until_done(job: Job, draw: Callable[[], Any]) -> None:
    draw()
    if job.state not in ("waiting", "running"):
        st.rerun()


def _own_place() -> DeltaGenerator:
    """Around a fragment that runs by itself. When it runs, Streamlit drops what it drew before and
    has not yet sent; without a place that is sent in any case, what comes after it on the page
    would arrive too early, and the browser would show an empty page."""
    return st.container()


def _show_fault(words: str, code: str = "") -> None:
    """A message, once a page however many parts it keeps from being drawn."""
    shown = st.session_state.setdefault("_shown_faults", set())
    if words in shown:
        st.caption("Not shown, for the reason given above.")
        return
    shown.add(words)
    st.error(md_escape(words, longest=2000), icon=":material/error:")
    if code:
        st.code(code, language="python")


def show_job(job: Job) -> None:
    """A job's progress, once a page however many parts wait for it."""
    shown = st.session_state.setdefault("_shown_jobs", set())
    if job.key in shown:
        st.caption("Not shown, as the work above was stopped." if was_stopped(job)
                   else "This part appears when the work above is done.")
        return
    shown.add(job.key)
    if was_stopped(job):
        _stopped(job)
    else:
        with _own_place():
            _running(job)


def was_stopped(job: Job) -> bool:
    """Whether this session does not want the job any more."""
    return job.state == "stopped" or job.key in st.session_state.get("_stopped_jobs", ())


@st.fragment(run_every=POLL)
def _running(job: Job) -> None:
    if job.state not in ("waiting", "running"):
        st.rerun()
    bar, stop = st.columns([5, 1], vertical_alignment="center")
    share = min(1.0, job.done / job.total) if job.total else 0.0
    bar.progress(share, text=f"{md_escape(job.title)}: {_progress_words(job)}")
    if stop.button("Stop", key=f"stop-{job.key}", width="stretch"):
        st.session_state.setdefault("_stopped_jobs", set()).add(job.key)
        jobs.leave(_session(), job.key)
        st.rerun()


def _progress_words(job: Job) -> str:
    if job.state == "waiting":
        return "waiting for other work on this device"
    if not job.total:
        return duration(time.monotonic() - job.started)
    if not job.done:
        return "starting"
    words = f"{count(job.done)} of {count(job.total)} {job.unit}, {count(job.rate())} a second"
    left = job.seconds_left()
    return words if left is None else f"{words}, {duration(left)} left"


def _stopped(job: Job) -> None:
    st.info(f"{md_escape(job.title)} was stopped, so what it would show is missing here.")
    if st.button("Start again", key=f"start-{job.key}"):
        start_again(job)
        st.rerun()


def start_again(job: Job) -> None:
    """Makes it a job like any other, which who asks for it starts."""
    st.session_state.get("_stopped_jobs", set()).discard(job.key)
