"""Charts of activations: units as bars, a distribution, gradient norms along the network."""

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from core.ui.charts import CANVAS, MARKED, RIGHT, WRONG

KINDS = {"": RIGHT, "vanishing": WRONG, "exploding": MARKED}
NAMES = {"": "as others", "vanishing": "vanishing", "exploding": "exploding"}


def _finished(chart: alt.TopLevelMixin) -> alt.TopLevelMixin:
    return (chart.properties(usermeta=CANVAS)
            .configure(aria=False)
            .configure_legend(orient="top", title=None)
            .configure_axis(gridOpacity=0.4)
            .configure_view(strokeOpacity=0))


def unit_bars(values: np.ndarray) -> None:
    """One bar for each number of a short vector (C,)."""
    table = pd.DataFrame({"unit": np.arange(len(values)), "value": values})
    chart = alt.Chart(table).mark_bar(color=RIGHT).encode(
        x=alt.X("unit:O", title="unit", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        y=alt.Y("value:Q", title="activation"),
        tooltip=["unit:O", alt.Tooltip("value:Q", format=".4g")],
    )
    st.altair_chart(_finished(chart.properties(height=240)))


def histogram_chart(counts: list[int], low: float, high: float) -> None:
    """Equal bins from `low` to `high`."""
    edges = np.linspace(low, high, len(counts) + 1)
    table = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "numbers": counts})
    chart = alt.Chart(table).mark_bar(color=RIGHT, binSpacing=0.5).encode(
        x=alt.X("from:Q", bin="binned", title="activation", axis=alt.Axis(format="~g")),
        x2="to:Q",
        y=alt.Y("numbers:Q", title="numbers", axis=alt.Axis(format="~s")),
        tooltip=[alt.Tooltip("from:Q", format=".4g"), alt.Tooltip("to:Q", format=".4g"),
                 alt.Tooltip("numbers:Q", format=",")],
    )
    st.altair_chart(_finished(chart.properties(height=220)))


def gradient_chart(table: pd.DataFrame, far: float) -> None:
    """Norms on a log axis in the order of the network, with lines where a mark begins."""
    drawn = table[np.isfinite(table["gradient"]) & (table["gradient"] > 0)].reset_index(drop=True)
    if drawn.empty:
        st.write("No layer has a gradient.")
        return
    names = drawn["layer"].where(drawn["layer"] != "", "the network itself")
    drawn = drawn.assign(kind=drawn["mark"].map(NAMES), layer=names)
    last = float(drawn["gradient"].iloc[-1])
    low, high = drawn["gradient"].min(), drawn["gradient"].max()
    scale = alt.Scale(type="log", domain=[min(low, last / far) / 2, max(high, last * far) * 2])
    places = alt.X("layer:N", sort=None, title="layers in the order of the network",
                   # upright, as many as there is room for: of slanted ones Vega leaves out every
                   # other, as the boxes around them overlap
                   axis=alt.Axis(labelAngle=-90, labelOverlap="greedy", labelLimit=160))
    norms = alt.Y("gradient:Q", title="norm of the gradient", scale=scale,
                  axis=alt.Axis(format=".0e", tickCount=8))
    colour = alt.Color("kind:N", scale=alt.Scale(domain=list(NAMES.values()),
                                                 range=list(KINDS.values())))
    base = alt.Chart(drawn).encode(x=places, y=norms)
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        color=colour,
        shape=alt.Shape("kind:N", scale=alt.Scale(domain=list(NAMES.values()), range=[
            "circle", "triangle-down", "triangle-up"])),
        tooltip=["layer:N", "type:N", alt.Tooltip("gradient:Q", format=".3g"),
                 alt.Tooltip("weight:Q", format=".3g", title="norm of the weights")],
    )
    ends = alt.Chart(pd.DataFrame({"gradient": [last / far, last * far]})).mark_rule(
        strokeDash=[4, 4], opacity=0.6).encode(y=norms, color=alt.value(RIGHT))
    line = base.mark_line(opacity=0.35, color=RIGHT)
    st.altair_chart(_finished((ends + line + points).properties(height=380)))
