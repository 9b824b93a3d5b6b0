"""What happened in the runs, a sentence each, and how it is found."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import streamlit as st

from core.live_logs import is_part, runs_written
from core.places import path_of
from core.training_curves import tags_and_runs
from core.training_findings import (
    AT_THE_END,
    KINDS,
    Finding,
    Kind,
    all_findings,
    findings_so_far,
)
from core.ui.boundary import boundary
from core.ui.curve_colours import run_colours
from core.ui.live import beside
from core.ui.text import md_escape, plural

MOST_LINES = 3  # before a person asks for more: the first chart is to be seen below them
NOT_WHOLE = "log not whole"  # said first
NOT_YET = (NOT_WHOLE, *AT_THE_END)  # not said of a run that is still being written


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
            beside(logs_id, lambda now: show(now, runs))
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
    faults = sorted((finding for finding in found if KINDS[finding.kind].fault),
                    key=lambda finding: finding.kind != NOT_WHOLE)
    best = [finding for finding in found if not KINDS[finding.kind].fault]
    clean = len(set(runs) - {finding.run for finding in faults})
    colours, first = run_colours(tags_and_runs(logs_id)[1]), _first(faults, best)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"#### {plural(len(runs), 'run')}, {_clean(clean, len(runs))}")
        if found:
            more = f"All {len(found)}, with advice" if len(found) > len(first) else "What to try"
            with st.popover(more, type="tertiary"):
                st.markdown("\n\n".join(
                    f"{_line(finding, colours)}  \n:small[:gray[{KINDS[finding.kind].hint}]]"
                    for finding in (*faults, *best)))
        else:
            st.empty()  # in its place, so that what comes next stays open when something is found
        with st.popover("How this is found", type="tertiary"):
            _rules()
    if first:  # one element, as all lists here: each more takes the browser some milliseconds
        with st.container(key="what-happened"):  # cut short where the window is narrow
            st.markdown("  \n".join(f":small[{_line(finding, colours)}]" for finding in first))


def _first(faults: Sequence[Finding], best: Sequence[Finding]) -> list[Finding]:
    """What is told at once: of each run its first fault, then what else there is room for."""
    ordered = {finding.run: finding for finding in reversed(faults)}
    leading = [finding for finding in faults if ordered[finding.run] is finding]
    others = [finding for finding in faults if ordered[finding.run] is not finding]
    return [*leading, *others, *best][:MOST_LINES]


def shown_findings(logs_id: str, runs: Sequence[str]) -> list[Finding]:
    """Those of these runs, in name order; of a run that is still being written without what only
    its end can show, and what is lost of its log."""
    return _of(all_findings(logs_id), set(runs), logs_id)


def _of(found: Sequence[Finding], runs: set[str], logs_id: str) -> list[Finding]:
    written = runs_written(logs_id)
    return [finding for finding in found if finding.run in runs and not (
        finding.kind in NOT_YET and is_part(finding.run, written))]


def _clean(clean: int, runs: int) -> str:
    if clean == runs:
        return "nothing conspicuous"
    if runs == 1 or clean == 0:
        return "something happened" if runs == 1 else "something happened in each"
    return f"nothing conspicuous in {clean} of them"


def _line(finding: Finding, colours: dict[str, str]) -> str:
    icon = ":material/warning:" if KINDS[finding.kind].fault else ":material/bookmark:"
    dot = f':color[●]{{foreground="{colours[finding.run]}"}}'
    said = md_escape(finding.sentence, longest=500)
    return f"{dot} **{md_escape(finding.run, longest=60)}** {icon} {said}"


def _rules() -> None:
    """The docstrings of the rules, as they are."""
    st.caption(
        "Each rule is a comparison of numbers that the curves show. Rules are wrong at times: look "
        "at the marked steps. Of one cause only the first finding is told. The level is a moving "
        "mean over a tenth of the points; a curve began at the median of its first tenth and ended "
        "at the mean of its last tenth; the noise is measured between neighbouring points. A "
        "figure without such words beside it is a value as it was logged."
    )
    st.markdown("\n\n".join(map(_rule, KINDS.values())))


def _rule(kind: Kind) -> str:
    rules = " ".join(inspect.getdoc(rule).replace("\n", " ") for rule in kind.rules)
    return f"**{kind.title}.** {md_escape(rules, longest=2000)}"
