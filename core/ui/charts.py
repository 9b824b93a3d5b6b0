"""Tables as scatters whose clicks choose examples, and the look of all charts."""

from collections.abc import Callable

import altair as alt
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.ui.class_charts import RIGHT
from core.ui.selection import numbers, select, selected
from core.ui.text import shorten

MARKED = "#CC3311"  # the ring around a chosen example
WRONG = "#EE7733"  # the second of the theme's categorical colours; right is the first
CANVAS = {"embedOptions": {"renderer": "canvas"}}
MOST_COLOURS = 10
TOLD = {"label": "label", "prediction": "prediction", "number": "example"}  # in a tooltip


def _finished(chart: alt.TopLevelMixin) -> alt.TopLevelMixin:
    """Canvas, no marks for screen readers one by one, faint grid, legend above."""
    return (
        chart.properties(usermeta=CANVAS)
        .configure(aria=False)
        .configure_legend(orient="top", labelLimit=120, title=None)
        .configure_axis(gridOpacity=0.4, labelLimit=140, labelFontSize=11, titleFontSize=12)
        .configure_view(strokeOpacity=0)
    )


def linked_scatter(
    table: pd.DataFrame, views: list[tuple[str, str, str]], colour: str, key: str,
    pictures: str | None = None, height: int = 380,
) -> list[DeltaGenerator]:
    """Scatters of the same rows side by side; a click in one chooses an example in all of them.

    table: example, the columns of `views` (x, y, title), the column `colour`, and what the tooltip
    shows: label, prediction, and pictures at the addresses that `pictures` and the example's number
    make. Shift adds to the choice; a double click clears it. Gives the place below each.
    """
    table = table.assign(number=numbers(table["example"]))
    names = [name for name in table[colour].cat.categories if (table[colour] == name).any()]
    places = st.columns(len(views))
    for number, (view, place) in enumerate(zip(views, places, strict=True)):
        with place:
            _choosing(
                key + f"-{number}",
                table,
                lambda pick, view=view: _pictured(
                    _view(table, view, colour, names, pick, height), pictures
                ),
            )
    return places


def _choosing(key: str, table: pd.DataFrame, draw: Callable[[alt.Parameter], alt.Chart]) -> None:
    """Draws a chart whose clicks choose examples; `draw` gets the selection to mark them by.

    A choice made here is marked in the browser and the chart is not sent again, so it keeps its
    zoom. A choice made elsewhere makes a new chart of it, with that choice marked; so does a time
    away, in which Streamlit forgets what was clicked.
    """
    state = st.session_state.setdefault(
        f"_chart-{key}", {"made": None, "initial": (), "generation": 0}
    )
    away = state["made"] is not None and f"{key}-{state['generation']}" not in st.session_state
    if away or selected() not in (state["made"], state["initial"]):
        state |= {"made": None, "initial": selected(), "generation": state["generation"] + 1}
    pick = alt.selection_point(
        name="pick",
        fields=["example"],
        on="click",
        empty=False,
        value=[{"example": example} for example in state["initial"]],
    )
    event = st.altair_chart(
        _finished(draw(pick)),
        key=f"{key}-{state['generation']}",
        on_select="rerun",
        selection_mode=["pick"],
    )
    known = set(table["example"])  # what comes from the browser is checked
    examples = tuple(
        mark["example"]
        for mark in event.selection.get("pick") or []
        if isinstance(mark, dict) and mark.get("example") in known
    )
    if examples and examples not in (state["made"], state["initial"]):
        state["made"] = examples
        select(examples)
    elif not examples and state["made"] and selected() == state["made"]:  # a double click
        state["made"] = ()
        select(())


def _view(
    table: pd.DataFrame,
    view: tuple[str, str, str],
    colour: str,
    names: list[str],
    pick: alt.Parameter,
    height: int,
) -> alt.Chart:
    x, y, title = view
    legend = alt.selection_point(name="legend", fields=[colour], bind="legend")
    tip = [
        alt.Tooltip(f"{column}:N", title=title)
        for column, title in TOLD.items()
        if column in table
    ]
    return (
        alt.Chart(table)
        .mark_circle()
        .encode(
            x=alt.X(f"{x}:Q", axis=None, scale=alt.Scale(domain=_padded(table[x]), nice=False)),
            y=alt.Y(f"{y}:Q", axis=None, scale=alt.Scale(domain=_padded(table[y]), nice=False)),
            tooltip=tip,
            color=alt.Color(
                f"{colour}:N", scale=alt.Scale(domain=names), legend=alt.Legend(columns=4)
            ),
            size=alt.condition(pick, alt.value(260), alt.value(22)),
            stroke=alt.condition(pick, alt.value(MARKED), alt.value(None)),
            strokeWidth=alt.condition(pick, alt.value(3), alt.value(0)),
            opacity=alt.condition(legend, alt.value(0.8), alt.value(0.06)),
        )
        .properties(height=height, title=shorten(title, 40))
        .add_params(pick, legend, alt.selection_interval(name="zoom", bind="scales"))
    )


def _pictured(chart: alt.Chart, pictures: str | None) -> alt.Chart:
    """The chart with each example's picture in its tooltip."""
    if pictures is None:
        return chart
    chart.encoding.tooltip = [alt.Tooltip("image:N"), *chart.encoding.tooltip]
    return chart.transform_calculate(image=f"'{pictures}' + datum.example")


def _padded(values: pd.Series) -> list[float]:
    """From the lowest to the highest, with room for the marks."""
    low, high = float(values.min()), float(values.max())
    margin = (high - low) * 0.03 or 1.0
    return [low - margin, high + margin]


def score_scatter(
    table: pd.DataFrame, score: str, key: str, pictures: str | None = None
) -> None:
    """Confidence against a score; right and wrong differ in colour and shape; a click chooses."""
    table = table.assign(
        answer=table["correct"].map({True: "right", False: "wrong"}),
        number=numbers(table["example"]),
    )
    kinds = ["right", "wrong"]
    base = (
        alt.Chart(table)
        .mark_point(filled=True)
        .encode(
            x=alt.X(
                "confidence:Q",
                title="confidence of the answer",
                axis=alt.Axis(format=".0%"),
                scale=alt.Scale(zero=False, nice=True),
            ),
            y=alt.Y("score:Q", title=score.lower(), scale=alt.Scale(zero=False)),
            color=alt.Color("answer:N", scale=alt.Scale(domain=kinds, range=[RIGHT, WRONG])),
            shape=alt.Shape("answer:N", scale=alt.Scale(domain=kinds, range=["circle", "cross"])),
            tooltip=[
                alt.Tooltip("label:N"),
                alt.Tooltip("prediction:N"),
                alt.Tooltip("confidence:Q", format=".1%"),
                alt.Tooltip("loss:Q", format=".3g"),
                alt.Tooltip("number:Q", title="example"),
            ],
        )
        .properties(height=320)
    )
    base = _pictured(base, pictures)
    _choosing(
        key,
        table,
        lambda pick: base.encode(
            stroke=alt.condition(pick, alt.value(MARKED), alt.value(None)),
            strokeWidth=alt.condition(pick, alt.value(3), alt.value(0)),
            size=alt.condition(pick, alt.value(260), alt.value(70)),
        ).add_params(pick),
    )
