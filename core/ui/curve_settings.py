"""The controls above the curves, and the stretch that is zoomed on; all of it in the address."""

import math

import streamlit as st

from core.curves.axes import AXES
from core.curves.points import Settings
from core.training_curves import SMOOTHING

ZOOM = "zoom"  # in the address: axis:from:to


def curve_settings() -> Settings:
    """The controls; what they say, and the stretch."""
    first, second = st.columns(2, vertical_alignment="bottom", gap="medium")
    smoothing = first.slider(
        "Smoothing", 0.0, 0.99, SMOOTHING, 0.01, key="smoothing", bind="query-params",
        help="TensorBoard's debiased moving average. The faint line is what was logged.")
    axis = st.segmented_control(
        "Along", list(AXES), default="step", required=True, key="axis", bind="query-params",
        help="Epochs come from a tag named epoch; relative time counts from each curve's first "
             "point.")
    with second.container(horizontal=True):
        log = st.toggle("Log scale", key="log", bind="query-params")
        log_x = st.toggle("Log along", key="log_x", bind="query-params",
                          disabled=AXES[axis].kind == "date")
        outliers = st.toggle(
            "Show outliers", key="outliers", bind="query-params",
            help="Off: the axis covers the 5th to the 95th percentile of what is drawn.")
    log_x = log_x and AXES[axis].kind != "date"
    return Settings(smoothing, axis, log, outliers, log_x, stretch_of(axis, log_x))


def stretch_of(axis: str, log_x: bool = False) -> tuple[float, float] | None:
    """What the address zooms on along this axis."""
    named, _, ends = st.query_params.get(ZOOM, "").partition(":")
    try:
        low, high = map(float, ends.split(":"))
    except ValueError:
        return None
    sound = math.isfinite(low) and math.isfinite(high) and low < high and not (log_x and low <= 0)
    return (low, high) if named == axis and sound else None


def zoom_on(axis: str, low: float, high: float) -> None:
    """Shows that stretch in all charts."""
    st.query_params[ZOOM] = f"{axis}:{low:.10g}:{high:.10g}"


def whole() -> None:
    """Shows the whole curves again."""
    st.query_params.pop(ZOOM, None)


def zoom_line(settings: Settings) -> None:
    """Says how to zoom; and the way back."""
    if settings.stretch is None:
        st.caption("Drag across a chart to zoom all charts on that stretch, with all its points.")
        return
    words, back = st.columns([3, 1], vertical_alignment="center")
    low, high = settings.stretch
    place = "a stretch of time" if AXES[settings.axis].kind == "date" else (
        f"{settings.axis} {low:,.4g} to {high:,.4g}")
    words.caption(f"Zoomed on {place}. Double-click a chart to see the whole.")
    back.button("Whole curves", key="whole", on_click=whole, width="stretch")
