"""A run that is still being written is followed: a small fragment looks at the sizes of its files,
and only when they grew is what shows them drawn anew, so nothing flickers and a zoom stays."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData

from core.library import logs_id
from core.live_logs import Pace, State, Watch, is_part, paces, runs_written, time_now
from core.log_files.bytes import FRESH
from core.places import path_of
from core.ui.boundary import _own_place, boundary
from core.ui.text import count, duration, md_escape, plural

LOOK = 1.0  # seconds between two looks at the sizes of the files
MOST_RUNS = 3  # whose pace is told
PART = "live-logs"  # the fragment that is drawn anew


def follow(any_logs_id: str, draw: Callable[[str], None]) -> None:
    """Draws what shows logs, and again whenever they have grown; `draw` gets their id of that
    moment. Logs to which nothing was written in the last minute are drawn once, without a fragment.

    Once a page. Of what stands outside `draw` only what `beside` draws follows.
    """
    path = path_of(any_logs_id)  # an id of what grows is soon out of date
    if not _watch(path).state().is_written(time_now()):
        draw(any_logs_id)
        return
    st.session_state["_drawn_logs"] = None  # this run of the page draws them in any case
    with _own_place():
        _look(path)

    def with_status(now: str) -> None:
        st.caption(_status(paces(now), runs_written(now)))
        draw(now)

    _drawn(path, with_status)


def beside(any_logs_id: str, draw: Callable[[str], None]) -> None:
    """Draws another part of the page, and again whenever `follow` draws its own."""
    path = path_of(any_logs_id)
    if _watch(path).state().is_written(time_now()):
        _drawn(path, draw)
    else:
        draw(any_logs_id)


def _watch(path: Path) -> Watch:
    kept = st.session_state.setdefault("_watched_logs", {})
    if path not in kept:
        kept.clear()  # one at a time
        kept[path] = Watch(path)
    return kept[path]


@st.fragment(run_every=LOOK)
def _look(path: Path) -> None:
    """Asks for what changed: the part alone where files grew, the page where runs came or writing
    has ended."""
    state: State = _watch(path).state()
    drawn = st.session_state.get("_drawn_logs")
    if drawn is None or (state.sizes == drawn.sizes and state.is_written(time_now())):
        return
    came = [file for file, _ in state.sizes] != [file for file, _ in drawn.sizes]
    if came or not state.is_written(time_now()):
        st.session_state["_drawn_logs"] = None
        st.rerun()
    _draw_anew()


@st.fragment(key=PART)
def _drawn(path: Path, draw: Callable[[str], None]) -> None:
    with boundary("The logs"):
        st.session_state["_drawn_logs"] = _watch(path).state()
        draw(logs_id(path))


def _draw_anew() -> None:
    """What `st.rerun(PART)` does, which Streamlit allows in callbacks of widgets only."""
    context = get_script_run_ctx()
    context.script_requests.request_rerun(
        RerunData(
            query_string=context.query_string,
            page_script_hash=context.page_script_hash,
            fragment_id_queue=context.fragment_storage.resolve_target(PART),
            is_fragment_scoped_rerun=True,
            cached_message_hashes=context.cached_message_hashes,
            context_info=context.context_info,
        )
    )
    st.empty()  # where the runner takes up the request


def _status(found: list[Pace], written: list[str]) -> str:
    """How far the runs are to which something was written last; of logs without times, those whose
    files were."""
    latest = max((pace.last_time for pace in found if pace.last_time), default=0.0)
    now = [pace for pace in found if (latest - pace.last_time < FRESH if pace.last_time
                                      else is_part(pace.run, written) or not latest)]
    said = [":material/fiber_manual_record: Still being written."]
    said += [_one(pace, len(found) > 1) for pace in now[:MOST_RUNS]]
    if len(now) > MOST_RUNS:
        said.append(f"{plural(len(now) - MOST_RUNS, 'more run')}.")
    return " ".join(said)


def _one(pace: Pace, named: bool) -> str:
    words = [f"step {count(pace.last_step)}"]
    if pace.total is not None:
        words[-1] += f" of {count(pace.total)}"
    if pace.last_time:
        at = datetime.fromtimestamp(pace.last_time, ZoneInfo(st.context.timezone or "UTC"))
        words.insert(0, f"last point {at:%H:%M:%S}")
    if pace.per_second:
        words.append(_rate(pace.per_second))
    if pace.seconds_left is not None:
        words.append(f"about {duration(pace.seconds_left)} left" if pace.seconds_left else "done")
    said = f"{', '.join(words)}."
    return f"{md_escape(pace.run)}: {said}" if named else said[0].upper() + said[1:]


def _rate(per_second: float) -> str:
    if per_second >= 100:
        return f"{per_second:,.0f} steps a second"
    if per_second >= 0.1:
        return f"{per_second:.3g} steps a second"
    return f"{duration(1 / per_second)} a step"
