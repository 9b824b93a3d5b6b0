"""Distributions over time: histograms of weights, gradients or activations, and gradient flow."""

import streamlit as st

from core.logged.histograms import Steps, along_steps, tags_by_run, value_range
from core.places import path_of
from core.runs.filter import found
from core.training_curves import tags_and_runs
from core.ui.boundary import boundary
from core.ui.chart_titles import may_be_cut
from core.ui.gradient_flow import gradient_part
from core.ui.histogram_charts import TITLE, VIEWS, View, finished
from core.ui.text import count, md_escape, plural

PALETTE = tuple(st.get_option("theme.chartCategoricalColors") or ("#4477AA",))
AT_ONCE = 6  # charts
FLOW = "Gradient flow"


def distributions(logs_id: str, runs: list[str]) -> None:
    """How weights, gradients and activations spread along the steps, in these runs."""
    view = st.segmented_control(
        "Drawn as", [*VIEWS, FLOW], default=next(iter(VIEWS)), required=True,
        key="distribution", bind="query-params")
    if view in VIEWS:
        _charts(logs_id, runs, VIEWS[view])
    else:
        with boundary(FLOW):
            gradient_part(logs_id, runs)


def run_colours(logs_id: str, runs: list[str]) -> dict[str, str]:
    """The colour that each run has on every page."""
    known = tags_and_runs(logs_id)[1]
    known += [run for run in runs if run not in known]
    return {run: PALETTE[place % len(PALETTE)] for place, run in enumerate(known)}


def _charts(logs_id: str, runs: list[str], view: View) -> None:
    table = tags_by_run(logs_id)
    table = table[table["run"].isin(runs)]
    first, second = st.columns([3, 2], vertical_alignment="bottom")
    words = first.text_input(  # its own key: these tags are others than those of the curves
        "Find tags", key="find_histograms", bind="query-params", placeholder="a part of the name",
        help="Or a regular expression, such as conv|fc.")
    tails = second.toggle(
        "Show tails", key="tails", bind="query-params",
        help="Off: the axis of values covers the 7th to the 93rd percentile of each step, and what "
             "lies outside is cut off.")
    tags, note = found(words, list(table["tag"].unique()))
    if note:
        st.caption(md_escape(note, longest=400))
    if not tags:
        st.caption("No histograms in these runs." if table.empty else
                   f"None of {plural(table['tag'].nunique(), 'tag')} has that in its name.")
        return
    table = table[table["tag"].isin(tags)]
    pages = -(-len(table) // AT_ONCE)
    page = st.pagination(pages, key="histogram_page", bind="query-params") if pages > 1 else 1
    page = min(page, pages)
    shown = table.iloc[(page - 1) * AT_ONCE:page * AT_ONCE]
    st.caption(f"{count(len(shown))} of {count(len(table))} charts shown, one a tag and run. "
               f"{view.words}")
    _grid(logs_id, list(zip(shown["run"], shown["tag"], strict=True)), view, tails, runs)


def _grid(logs_id: str, shown: list[tuple[str, str]], view: View, tails: bool,
          runs: list[str]) -> None:
    """Two charts a row; those of one tag share their axis of values."""
    colours = run_colours(logs_id, runs)
    parts = {pair: along_steps(logs_id, *pair, view.most) for pair in shown}
    columns = [column for _ in range(-(-len(shown) // 2)) for column in st.columns(2)]
    for (run, tag), column in zip(shown, columns, strict=False):
        same = [part for (_, other), part in parts.items() if other == tag]
        with column:
            _chart(logs_id, run, tag, parts[run, tag], value_range(same, tails), view,
                   colours[run])


def _chart(logs_id: str, run: str, tag: str, steps: Steps, span: tuple[float, float], view: View,
           colour: str) -> None:
    said = [f"**{md_escape(run, 60)}**"]
    if len(steps.step):
        st.altair_chart(finished(view.draw(steps, span, colour), tag, view.height),
                        key=f"histogram-{path_of(logs_id)}-{run}-{tag}")
        drawn = f"{count(len(steps.step))} of " if len(steps.step) < steps.logged else ""
        even = ", evenly spaced" if drawn else ""
        said.append(f"{drawn}{plural(steps.logged, 'step')}{even}")
    else:
        st.markdown(md_escape(tag, 60))
    said += [md_escape(fault) for fault in steps.faults]
    st.caption(" · ".join(said), help=md_escape(tag, 1000) if may_be_cut(tag, TITLE) else None)
