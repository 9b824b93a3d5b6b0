"""Gradient flow on the page: each layer's gradient along the steps, trouble marked."""

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from core.logged.gradient_flow import (
    BEYOND,
    ENORMOUS,
    EXPLODED,
    HELD,
    VANISHED,
    GradientFlow,
    gradient_flow,
)
from core.places import path_of
from core.training_curves import extremes
from core.ui.histogram_charts import along, finished
from core.ui.text import count, md_escape, plural

MARKED = "#CC3311"
DEPTHS = ["#4477AA", "#66CCEE", "#CCBB44", "#EE7733"]  # first layer to last, on dark and light
MEASURES = {"root mean square": "rms", "norm": "norm"}
TITLES = {column: name for name, column in MEASURES.items()}
MOST_RUNS, MOST_LAYERS, MOST_POINTS, MOST_MARKS = 6, 64, 120, 12
HOW_TO_LOG = (
    "These runs logged no gradients. To see them here, log after each backward pass, now and then, "
    "for every parameter:"
)
EXAMPLE = '''for name, parameter in model.named_parameters():
    writer.add_histogram(f"gradients/{name}", parameter.grad, step)'''
RULES = (
    f"Exploding: the norm is NaN or infinite, above {ENORMOUS:,.0f}, or {EXPLODED} times the "
    f"median of the layer's own earlier steps and {BEYOND} times what all layers had before. "
    f"Vanishing: the gradient is 0, or below {VANISHED:g} of the median layer's at the same step, "
    f"{HELD} logged steps in a row."
)


def gradient_part(logs_id: str, runs: list[str]) -> None:
    """One chart a run, a line a layer, the first layer darkest, and what went wrong in words."""
    flow = gradient_flow(logs_id)
    table = flow.table[flow.table["run"].isin(runs)]
    if table.empty:
        st.caption(HOW_TO_LOG)
        st.code(EXAMPLE, language="python")
        return
    known = [name for name, column in MEASURES.items() if table[column].notna().any()]
    measure = st.segmented_control(
        "Measured as", known, default=known[0], required=True, key="gradient_measure",
        bind="query-params", help="The norm grows with the number of weights of a layer; the root "
        "mean square (norm over the root of their number) does not, so layers can be compared.")
    _trouble(flow, runs)
    shown = list(dict.fromkeys(table["run"]))
    columns = [column for _ in range(-(-len(shown) // 2)) for column in st.columns(2)]
    for run, column in zip(shown[:MOST_RUNS], columns, strict=False):
        with column:
            _chart(logs_id, flow, run, MEASURES[measure], _domain(table, MEASURES[measure]))
    if len(shown) > MOST_RUNS:
        st.caption(f"{MOST_RUNS} of {count(len(shown))} runs shown. Tick others to see them.")
    st.caption("A line a layer along the steps, from the first layer in blue to the last in "
               "orange; ▲ explodes, ▼ vanishes. Made from "
               f"{md_escape(' '.join(flow.notes), 600)} {md_escape(RULES, 600)}")


def _trouble(flow: GradientFlow, runs: list[str]) -> None:
    found = [mark for mark in flow.marks if mark.run in runs]
    if not found:
        st.markdown("No gradient explodes or vanishes.")
        return
    for mark in found[:MOST_MARKS]:
        st.markdown(f"- **{md_escape(mark.run)}**, {md_escape(mark.layer)}: {mark.kind} from step "
                    f"{count(mark.step)} on ({md_escape(mark.sentence)})")
    if len(found) > MOST_MARKS:
        st.caption(f"{MOST_MARKS} of {count(len(found))} shown.")


def _domain(table: pd.DataFrame, measure: str) -> list[float]:
    """From the smallest to the largest gradient of all runs shown, so that their charts compare."""
    sound = table[measure][np.isfinite(table[measure]) & (table[measure] > 0)]
    low, high = (sound.min(), sound.max()) if len(sound) else (1.0, 1.0)
    return [low, high] if low < high else [low / 10, high * 10]


def _chart(logs_id: str, flow: GradientFlow, run: str, measure: str, domain: list[float]) -> None:
    table = flow.table[flow.table["run"] == run].rename(columns={measure: "value"})
    layers = list(dict.fromkeys(table["layer"]))
    kept = _spread(layers)
    table = table[table["layer"].isin(kept)]
    points = pd.concat([_thinned(part) for _, part in table.groupby("layer", sort=False)])
    drawn = points[np.isfinite(points["value"]) & (points["value"] > 0)]
    marked = _marked(flow, run, table)
    st.altair_chart(finished(_lines(drawn, marked, domain, measure), run),
                    key=f"flow-{path_of(logs_id)}-{run}")
    said = [f"{len(kept)} of {plural(len(layers), 'layer')}, evenly spread"
            if len(kept) < len(layers) else plural(len(layers), "layer")]
    if left_out := int((~(points["value"] > 0) | ~np.isfinite(points["value"])).sum()):
        said.append(f"{plural(left_out, 'point')} 0, NaN or infinite, which a log axis cannot show")
    if len(points) < len(table):
        said.append(f"{count(len(points))} of {count(len(table))} points: the lowest and highest "
                    "of each stretch")
    st.caption(" · ".join(said))


def _spread(layers: list[str]) -> list[str]:
    """At most MOST_LAYERS, the first and the last among them."""
    if len(layers) <= MOST_LAYERS:
        return layers
    return [layers[place] for place in
            np.linspace(0, len(layers) - 1, MOST_LAYERS).round().astype(int)]


def _thinned(part: pd.DataFrame) -> pd.DataFrame:
    if len(part) <= MOST_POINTS:
        return part
    return part.iloc[extremes(part["value"].to_numpy(float), MOST_POINTS)]


def _marked(flow: GradientFlow, run: str, table: pd.DataFrame) -> pd.DataFrame:
    """Where the marks stand: at the value, or at the last sound one before it."""
    rows = []
    for mark in flow.marks:
        own = table[(table["layer"] == mark.layer) & (table["step"] <= mark.step)]
        sound = own["value"][np.isfinite(own["value"]) & (own["value"] > 0)]
        if mark.run == run and len(own):
            rows.append({"step": mark.step, "layer": mark.layer, "kind": mark.kind,
                         "value": sound.iat[-1] if len(sound) else np.nan})
    return pd.DataFrame(rows, columns=["step", "layer", "kind", "value"]).dropna()


def _lines(drawn: pd.DataFrame, marked: pd.DataFrame, domain: list[float],
           measure: str) -> alt.LayerChart:
    x = along("step", drawn["step"].to_numpy())
    y = alt.Y("value:Q", title=TITLES[measure], scale=alt.Scale(type="log", domain=domain),
              axis=alt.Axis(format=".0e", tickCount=6))
    tip = [alt.Tooltip("layer:N"), alt.Tooltip("step:Q", format=","),
           alt.Tooltip("value:Q", format=".4g")]
    lines = alt.Chart(drawn[["layer", "order", "step", "value"]]).mark_line(
        strokeWidth=1.5, point={"size": 14, "opacity": 0.7}).encode(
        x=x, y=y, detail="layer:N", tooltip=tip, color=alt.Color("order:Q", legend=None,
                                                             scale=alt.Scale(range=DEPTHS)))
    marks = alt.Chart(marked).mark_point(size=120, strokeWidth=2, color=MARKED).encode(
        x=x, y=y, shape=alt.Shape("kind:N", legend=None, scale=alt.Scale(
            domain=["exploding", "vanishing"], range=["triangle-up", "triangle-down"])),
        tooltip=["layer:N", "kind:N", alt.Tooltip("step:Q", format=",")])
    return alt.layer(lines, marks)
