"""Tables as charts: linked scatters, bars, a confusion matrix, curves; one look for all pages."""

import altair as alt
import pandas as pd
import streamlit as st

from core.ui.selection import select, selected
from core.ui.text import shorten

RIGHT, WRONG = "#4477AA", "#EE7733"  # as the first two of the theme's categorical colours
CANVAS = {"embedOptions": {"renderer": "canvas"}}
MOST_COLOURS = 10


def _finished(chart: alt.TopLevelMixin) -> alt.TopLevelMixin:
    """Canvas, no marks for screen readers one by one, faint grid, legend above."""
    return (chart.properties(usermeta=CANVAS).configure(aria=False)
            .configure_legend(orient="top", labelLimit=120, title=None)
            .configure_axis(gridOpacity=0.4, labelLimit=140, labelFontSize=11, titleFontSize=12).configure_view(strokeOpacity=0))


def linked_scatter(table: pd.DataFrame, views: list[tuple[str, str, str]], colour: str, key: str,
                   height: int = 380) -> None:
    """Scatters of the same rows side by side; a click chooses an example in all of them.

    table: example, the columns of `views` (x, y, title), the column `colour`, and what the tooltip
    shows: image (made here), label, prediction. Shift adds to the choice; a double click clears it.
    """
    initial = _choice_from_elsewhere(key)
    pick = alt.selection_point(name="pick", fields=["example"], on="click", empty=False,
                               value=[{"example": e} for e in initial])
    legend = alt.selection_point(name="legend", fields=[colour], bind="legend")
    names = [n for n in table[colour].cat.categories if (table[colour] == n).any()]
    plots = [_view(table, view, colour, names, pick, legend, height) for view in views]
    chart = alt.hconcat(*[p.add_params(alt.selection_interval(name=f"zoom{i}", bind="scales"))
                          for i, p in enumerate(plots)])
    event = st.altair_chart(_finished(chart.add_params(pick, legend)), key=key, on_select="rerun",
                            selection_mode=["pick"], width="content")
    _follow(event, key, set(table["example"]))


def _view(table: pd.DataFrame, view: tuple[str, str, str], colour: str, names: list[str],
          pick: alt.Parameter, legend: alt.Parameter, height: int) -> alt.Chart:
    x, y, title = view
    tip = [alt.Tooltip(f"{c}:N", title=c) for c in ("image", "label", "prediction", "example") if c in table]
    axes = [dict(field=c, type="quantitative", axis=None,
                 scale=alt.Scale(domain=[float(table[c].min()), float(table[c].max())], nice=False))
            for c in (x, y)]
    return alt.Chart(table).mark_circle().encode(
        x=alt.X(**axes[0]), y=alt.Y(**axes[1]), tooltip=tip,
        color=alt.Color(f"{colour}:N", scale=alt.Scale(domain=names)),
        size=alt.condition(pick, alt.value(260), alt.value(22)),
        stroke=alt.condition(pick, alt.value("#CC3311"), alt.value(None)),
        strokeWidth=alt.condition(pick, alt.value(3), alt.value(0)),
        opacity=alt.condition(legend, alt.value(0.8), alt.value(0.06)),
    ).properties(width=height, height=height, title=title)


def _choice_from_elsewhere(key: str) -> tuple[int, ...]:
    """The choice as it was before this chart's own clicks: those are marked in the browser, and a
    chart that is not sent anew keeps its zoom."""
    made_here = st.session_state.get(f"{key}-made")
    if selected() != made_here:
        st.session_state[f"{key}-initial"] = selected()
        st.session_state.pop(f"{key}-made", None)
    return st.session_state[f"{key}-initial"]


def _follow(event: dict, key: str, known: set[int]) -> None:
    """Takes over what was clicked; values come from the browser, so they are checked."""
    picks = event.selection.get("pick") or []
    examples = tuple(p["example"] for p in picks if isinstance(p, dict) and p.get("example") in known)
    if examples != st.session_state.get(f"{key}-picks", ()):
        st.session_state[f"{key}-picks"] = examples
        if examples != st.session_state.get(f"{key}-initial"):
            st.session_state[f"{key}-made"] = examples
            select(examples)


def score_scatter(table: pd.DataFrame, score: str, key: str) -> None:
    """Confidence against a score; right and wrong differ in colour and shape; a click chooses."""
    initial = _choice_from_elsewhere(key)
    pick = alt.selection_point(name="pick", fields=["example"], on="click", empty=False,
                               value=[{"example": e} for e in initial])
    table = table.assign(answer=table["correct"].map({True: "right", False: "wrong"}))
    scale = alt.Scale(domain=["right", "wrong"], range=[RIGHT, WRONG])
    chart = alt.Chart(table).mark_point(filled=True, size=70).encode(
        x=alt.X("confidence:Q", title="confidence of the answer", axis=alt.Axis(format=".0%")),
        y=alt.Y("score:Q", title=score, scale=alt.Scale(zero=False)),
        color=alt.Color("answer:N", scale=scale), shape=alt.Shape("answer:N", scale=alt.Scale(
            domain=["right", "wrong"], range=["circle", "cross"])),
        stroke=alt.condition(pick, alt.value("#CC3311"), alt.value(None)),
        strokeWidth=alt.condition(pick, alt.value(3), alt.value(0)),
        size=alt.condition(pick, alt.value(260), alt.value(70)),
        tooltip=[alt.Tooltip("image:N"), alt.Tooltip("label:N"), alt.Tooltip("prediction:N"),
                 alt.Tooltip("confidence:Q", format=".1%"), alt.Tooltip("loss:Q", format=".3g"),
                 alt.Tooltip("example:Q")],
    ).properties(height=320).add_params(pick)
    event = st.altair_chart(_finished(chart), key=key, on_select="rerun", selection_mode=["pick"])
    _follow(event, key, set(table["example"]))


def class_bars(table: pd.DataFrame, most: int = 20) -> None:
    """Accuracy by class, worst first, with the number of examples."""
    shown = table.head(most).assign(name=[shorten(n, 24) for n in table["class"].head(most)])
    base = alt.Chart(shown).encode(y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelOverlap=False)))
    bars = base.mark_bar(color=RIGHT, height={"band": 0.7}).encode(
        x=alt.X("accuracy:Q", title="accuracy", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%")),
        tooltip=[alt.Tooltip("class:N"), alt.Tooltip("accuracy:Q", format=".1%"),
                 alt.Tooltip("right:Q", format=","), alt.Tooltip("examples:Q", format=",")])
    st.altair_chart(_finished(bars.properties(height=max(120, 26 * len(shown)))))
    if len(table) > most:
        st.caption(f"The worst {most} of {len(table)} classes.")


def confusion(pairs: pd.DataFrame, most: int = 12) -> None:
    """The most frequent confusions as a small matrix of counts."""
    names = list(dict.fromkeys([*pairs["label"].head(most), *pairs["prediction"].head(most)]))
    shown = pairs[pairs["label"].isin(names) & pairs["prediction"].isin(names)]
    base = alt.Chart(shown).encode(
        x=alt.X("prediction:N", sort=names, title="prediction", axis=alt.Axis(labelAngle=-40)),
        y=alt.Y("label:N", sort=names, title="label"))
    tip = [alt.Tooltip("label:N"), alt.Tooltip("prediction:N"), alt.Tooltip("examples:Q", format=","),
           alt.Tooltip("share:Q", format=".1%", title="of the label's examples")]
    cells = base.mark_rect().encode(color=alt.Color("examples:Q", legend=None), tooltip=tip)
    middle = int(shown["examples"].max()) / 2
    words = base.mark_text(fontSize=12).encode(
        text=alt.Text("examples:Q", format=","), tooltip=tip,
        color=alt.condition(alt.datum.examples > middle, alt.value("black"), alt.value("white")))
    st.altair_chart(_finished((cells + words).properties(height=max(160, 34 * len(names)))))
