"""The controls above the curves, and what is zoomed on; all of it in the address."""

import math
from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.curves.axes import AXES
from core.curves.points import Settings
from core.places import path_of
from core.training_curves import FAR, FEW, SMOOTHING

ZOOM = "zoom"  # in the address: axis:from:to
VERTICAL = "vertical"  # in the address, once a chart: from:to:title
KEPT, WHOLE = "_zoom", "whole"  # what was zoomed on last; the button that stands there meanwhile
LESSER = ("log", "log_x", "outliers")  # keys of the controls that are out of sight


def curve_settings(more: DeltaGenerator) -> Settings:
    """The controls; what they say, and the stretch. more: where the lesser ones stand."""
    first, second = st.columns([3, 2], vertical_alignment="bottom", gap="medium")
    smoothing = first.slider(
        "Smoothing", 0.0, 0.99, SMOOTHING, 0.01, key="smoothing", bind="query-params",
        help="TensorBoard's debiased moving average. The faint line is what was logged.")
    axis = second.selectbox(  # buttons for all five do not fit a narrow window
        "Along", list(AXES), key="axis", bind="query-params",
        help="Epochs come from a tag named epoch; relative time counts from each curve's first "
             "point.")
    log = more.toggle("Log scale", key="log", bind="query-params")
    log_x = more.toggle("Log along", key="log_x", bind="query-params",
                        disabled=AXES[axis].kind == "date")
    outliers = more.toggle(
        "Show outliers", key="outliers", bind="query-params",
        help="Off: the vertical axis covers the 5th to the 95th percentile of what is drawn, and "
             f"all of each curve that has {FEW} points or fewer in sight, but for values farther "
             f"off than {FAR} times the height of that range.")
    log_x = log_x and AXES[axis].kind != "date"
    return Settings(smoothing, axis, log, outliers, log_x, stretch_of(axis, log_x))


def told_active(label: str, keys: Sequence[str]) -> str:
    """A popover's label and how many of the settings inside it are not as at first, "Pin · 1": what
    is out of sight still shows. keys: of its widgets, bound to the address."""
    said = [st.session_state[key] if key in st.session_state else st.query_params.get(key)
            for key in keys]
    active = sum(value not in (None, "", "false", False, []) for value in said)
    return f"{label} · {active}" if active else label


def stretch_of(axis: str, log_x: bool = False) -> tuple[float, float] | None:
    """What the address zooms on along this axis."""
    named, _, ends = st.query_params.get(ZOOM, "").partition(":")
    return _pair(ends, log_x) if named == axis else None


def vertical_of(title: str, log: bool = False) -> tuple[float, float] | None:
    """What the address zooms on along the vertical axis of the chart with this title."""
    for said in st.query_params.get_all(VERTICAL):
        low, _, rest = said.partition(":")
        high, _, named = rest.partition(":")
        if named == title:
            return _pair(f"{low}:{high}", log)
    return None


def _pair(ends: str, log: bool) -> tuple[float, float] | None:
    """"1:5" as (1.0, 5.0), None where that is no piece of an axis."""
    try:
        low, high = map(float, ends.split(":"))
    except ValueError:
        return None
    sound = math.isfinite(low) and math.isfinite(high) and low < high and not (log and low <= 0)
    return (low, high) if sound else None


def zoom_on(axis: str, low: float, high: float) -> None:
    """Shows that stretch in all charts."""
    st.query_params[ZOOM] = f"{axis}:{low:.10g}:{high:.10g}"


def zoom_in(title: str, low: float, high: float) -> None:
    """Shows that piece of the vertical axis in the chart with this title."""
    others = [said for said in st.query_params.get_all(VERTICAL)
              if said.split(":", 2)[2:] != [title]]
    st.query_params[VERTICAL] = [*others, f"{low:.10g}:{high:.10g}:{title}"]


def whole() -> None:
    """Shows the whole curves again."""
    st.query_params.pop(ZOOM, None)
    st.query_params.pop(VERTICAL, None)


def zoom_again(logs_id: str) -> None:
    """Zooms as before on these logs where a person comes from another page: there the address has
    lost it. Whoever stayed here and has no zoom in the address wants none."""
    state, asked = st.session_state, st.query_params
    place, ends = state.get(KEPT, (None, {}))
    if place == path_of(logs_id) and WHOLE not in state and not {ZOOM, VERTICAL} & set(asked):
        for key, said in ends.items():
            asked[key] = said
    state[KEPT] = path_of(logs_id), {key: asked.get_all(key) for key in (ZOOM, VERTICAL)
                                     if asked.get(key)}


def zoom_line(settings: Settings) -> None:
    """Says how to zoom; and the way back."""
    charts = len(st.query_params.get_all(VERTICAL))
    if settings.stretch is None and not charts:
        st.container(key="how-to-zoom").caption(  # not where the window is narrow
            "Drag across a chart to zoom all charts on that stretch.",
            help="With all its points. A box that is higher than a tenth of the chart zooms that "
                 "chart in height, too. A double click shows the whole.")
        return
    words, back = st.columns([3, 1], vertical_alignment="center")
    places = []
    if settings.stretch:
        low, high = settings.stretch
        places.append("a stretch of time" if AXES[settings.axis].kind == "date" else
                      f"{settings.axis} {low:,.6g} to {high:,.6g}")
    if charts:
        places.append("a piece of the height of " + ("one chart" if charts == 1 else
                                                     f"{charts} charts"))
    words.caption(f"Zoomed on {' and '.join(places)}. Double-click a chart to see the whole.")
    back.button("Whole curves", key=WHOLE, on_click=whole, width="stretch")
