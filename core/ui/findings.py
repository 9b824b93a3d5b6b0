"""What happened in the runs, a sentence each, and how it is found."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import streamlit as st

from core.library import path_of
from core.live_logs import runs_written
from core.training_curves import tags_and_runs
from core.training_findings import KINDS, Finding, all_findings, findings_so_far
from core.ui.boundary import boundary
from core.ui.curve_colours import run_colours
from core.ui.text import md_escape, plural

MOST_LINES = 6  # before a person asks for more
AT_THE_END = ("stopped too early", "learning rate too low")  # not said of a run still written


@contextmanager
def above(logs_id: str, runs: Sequence[str]) -> Iterator[None]:
    """What happened, above what is drawn inside. Long logs are drawn before anyone looks what
    happened in them, and once more with the marks, which to the browser are only new data."""
    place, ready = st.container(), findings_so_far(logs_id) is not None
    if not ready:
        with place:
            st.markdown(f"#### {plural(len(runs), 'run')}")
            st.caption("What happened in them is looked for …")
    else:
        with place, boundary("What happened"):
            show(logs_id, runs)
    yield
    if not ready:
        with boundary("What happened"):
            all_findings(logs_id)
            st.rerun()


def marked(logs_id: str) -> tuple[Finding, ...]:
    """What is marked in the charts: what happened in these logs; while nobody knows yet, what was
    known last of the same place, whose logs grow."""
    found, place = findings_so_far(logs_id), path_of(logs_id)
    if found is None:
        known, found = st.session_state.get("_marked", (None, ()))
        return found if known == place else ()
    shown = tuple(_of(found, {finding.run for finding in found}, logs_id))
    st.session_state["_marked"] = place, shown
    return shown


def show(logs_id: str, runs: Sequence[str]) -> None:
    """The findings of these runs: a heading, a sentence each, and the rules behind them."""
    found = shown_findings(logs_id, runs)
    faults = [finding for finding in found if KINDS[finding.kind].fault]
    best = [finding for finding in found if not KINDS[finding.kind].fault]
    clean = len(set(runs) - {finding.run for finding in faults})
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"#### {plural(len(runs), 'run')}, {_clean(clean, len(runs))}")
        with st.popover("How this is found", type="tertiary"):
            _rules()
    colours = run_colours(tags_and_runs(logs_id)[1])
    _lines([*faults, *best[: max(0, MOST_LINES - len(faults))]][:MOST_LINES], colours)
    rest = [*faults, *best][MOST_LINES:]
    if rest:
        with st.expander(f"{plural(len(rest), 'more line')}", key="more-findings"):
            _lines(rest, colours)


def shown_findings(logs_id: str, runs: Sequence[str]) -> list[Finding]:
    """Those of these runs, in name order; of a run that is still being written without what only
    its end can show."""
    return _of(all_findings(logs_id), set(runs), logs_id)


def _of(found: Sequence[Finding], runs: set[str], logs_id: str) -> list[Finding]:
    written = runs_written(logs_id)
    return [finding for finding in found if finding.run in runs and not (
        finding.kind in AT_THE_END and _is_part(finding.run, written))]


def _is_part(run: str, written: Sequence[str]) -> bool:
    """Whether one of those is the run or lies in its folder, as its children's files do."""
    return any(name == run or name.startswith(f"{run}/") for name in written)


def _clean(clean: int, runs: int) -> str:
    if clean == runs:
        return "nothing conspicuous"
    if runs == 1 or clean == 0:
        return "something happened" if runs == 1 else "something happened in each"
    return f"nothing conspicuous in {clean} of them"


def _lines(found: Sequence[Finding], colours: dict[str, str]) -> None:
    for finding in found:
        kind = KINDS[finding.kind]
        icon = ":material/warning:" if kind.fault else ":material/bookmark:"
        dot = f':color[●]{{foreground="{colours[finding.run]}"}}'
        said = md_escape(finding.sentence, longest=500)
        st.markdown(f"{dot} **{md_escape(finding.run, longest=60)}** {icon} {said}", help=kind.hint)


def _rules() -> None:
    """The docstrings of the rules, as they are."""
    st.caption(
        "Each rule is a comparison of numbers that the curves show. Rules are wrong at times: look "
        "at the marked steps. Of one cause only the first finding is told. The level is a moving "
        "mean over a tenth of the points; a curve began at the median of its first tenth and ended "
        "at the mean of its last tenth; the noise is measured between neighbouring points."
    )
    for kind in KINDS.values():
        rules = " ".join(inspect.getdoc(rule).replace("\n", " ") for rule in kind.rules)
        st.markdown(f"**{kind.title}.** {md_escape(rules, longest=2000)}")
