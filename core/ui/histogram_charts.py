"""Histograms along the steps as charts: bands of percentiles, a heat map, ridges."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from core.logged.histograms import BINS, PERCENTILES, Steps, rebinned
from core.ui.chart_titles import UNCUT, title_of

HEIGHT, TALLER = 300, 350  # TALLER with a legend
TITLE, AXIS = 13, 64  # pixels: of a letter, as charts stand two a row; of the axis and its title
OVERLAP = 3.0  # how many steps further up the ridge of a usual step reaches
HIGHEST = 3.0  # times as far the highest may reach; where it is higher, all are lower
CANVAS = {"embedOptions": {"renderer": "canvas", "padding": {
    "left": 0, "top": 4, "right": 8, "bottom": 0}}}
SHARES = alt.Legend(title="share of the step's values", orient="bottom", direction="horizontal",
                    format=".2~%", tickCount=2, gradientThickness=8, gradientLength=160,
                    titleLimit=0)
Span = tuple[float, float]


@dataclass(frozen=True)
class View:
    """One way to draw histograms. most: steps that it can show. words: how it is to be read."""

    draw: Callable[[Steps, Span, str], alt.LayerChart]
    most: int
    words: str
    height: int = HEIGHT


def finished(chart: alt.LayerChart, title: str, height: int = HEIGHT) -> alt.LayerChart:
    """With its title, on a canvas, with the look that all charts have."""
    look = alt.Config(aria=False, axis=alt.AxisConfig(gridOpacity=0.4),
                      view=alt.ViewConfig(strokeOpacity=0))
    said = title_of(title, TITLE, AXIS)
    shown = said if isinstance(said, str) else alt.ExprRef(**said["text"])
    above = alt.Title(text=shown, fontSize=TITLE, offset=12, limit=UNCUT)
    return chart.properties(height=height, title=above, config=look, usermeta=CANVAS)


def bands(steps: Steps, span: Span, colour: str) -> alt.LayerChart:
    """The median as a line, and around it areas between percentiles, the darker the nearer."""
    names = [f"p{place}" for place in range(len(PERCENTILES))]
    table = pd.DataFrame(steps.bands, columns=names).assign(step=steps.step)
    base = alt.Chart(table).encode(x=along("step", steps.step))
    scale = alt.Scale(domain=list(span), zero=False, nice=False)
    y = alt.Y("p4:Q", title="value", scale=scale)
    areas = [
        base.mark_area(color=colour, opacity=0.16, clip=True).encode(
            y=alt.Y(f"{low}:Q", title="value", scale=scale), y2=f"{high}:Q")
        for low, high in zip(names[:4], names[:4:-1], strict=True)
    ]
    median = base.mark_line(color=colour, strokeWidth=2, clip=True).encode(y=y)
    layers = [*areas, median, *_readout(base, names, y)]
    if len(table) == 1:  # an area and a line of one step have no width
        layers.append(base.mark_point(color=colour, filled=True, size=90).encode(y=y))
        layers.append(base.mark_rule(color=colour, strokeWidth=8, opacity=0.4).encode(
            y=alt.Y("p0:Q", title="value", scale=scale), y2="p8:Q"))
    return alt.layer(*layers)


def along(column: str, step: np.ndarray) -> alt.X:
    """The axis of steps; of a single one it shows its neighbours too, else it would have no
    width."""
    low, high = (float(step.min()), float(step.max())) if len(step) else (0.0, 0.0)
    domain = [low, high] if low < high else [low - 1, high + 1]
    digits = "~s" if high >= 10_000 else ",d"
    return alt.X(f"{column}:Q", title="step", axis=alt.Axis(format=digits, tickMinStep=1),
                 scale=alt.Scale(domain=domain, zero=False, nice=False))


def _readout(base: alt.Chart, names: list[str], y: alt.Y) -> list[alt.Chart]:
    """What is read off where the pointer is."""
    near = alt.selection_point(name="near", nearest=True, on="pointermove", encodings=["x"],
                               empty=False, clear="pointerout")
    words = [alt.Tooltip(f"{name}:Q", title=_percentile(share), format=".4g")
             for name, share in reversed(list(zip(names, PERCENTILES, strict=True)))]
    points = base.mark_point(size=40, filled=True, color="gray").encode(
        y=y, opacity=alt.condition(near, alt.value(1), alt.value(0)),
        tooltip=[alt.Tooltip("step:Q", format=","), *words]).add_params(near)
    return [points]


def _percentile(share: float) -> str:
    ends = {0.0: "lowest", 50.0: "median", 100.0: "highest"}
    return ends.get(share, f"{share:.0f} %")


def heat_map(steps: Steps, span: Span, colour: str) -> alt.LayerChart:
    """A column a step, a row a bin, coloured by the share of the step's values in it."""
    shares = _shares(steps, span)
    edges = np.linspace(*span, BINS + 1)
    left, right = _columns(steps.step)
    at, row = np.nonzero(shares)
    table = pd.DataFrame({
        "step": steps.step[at], "left": left[at], "right": right[at], "low": edges[row],
        "high": edges[row + 1], "share": shares[at, row]})
    return alt.layer(alt.Chart(table).mark_rect(clip=True).encode(
        x=along("left", np.append(left, right)), x2="right:Q",
        y=alt.Y("low:Q", title="value", scale=alt.Scale(domain=list(span), nice=False, zero=False)),
        y2="high:Q",
        color=alt.Color("share:Q", scale=alt.Scale(type="sqrt", domainMin=0), legend=SHARES),
        tooltip=[alt.Tooltip("step:Q", format=","), alt.Tooltip("low:Q", title="from",
                 format=".4g"), alt.Tooltip("high:Q", title="to", format=".4g"),
                 alt.Tooltip("share:Q", title="of the step's values", format=".2%")]))


def _shares(steps: Steps, span: Span) -> np.ndarray:
    """(N, BINS): the part of each step's values in each bin, 0 to 1."""
    counts = rebinned(steps.histograms, *span)
    return counts / np.maximum(steps.histograms.totals(), 1e-300)[:, None]


def _columns(step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the column of each step begins and ends: half-way to its neighbours."""
    apart = np.diff(step.astype(float))
    middle = step[:-1] + apart / 2
    first, last = (apart[0] / 2, apart[-1] / 2) if len(apart) else (0.5, 0.5)
    return np.append(step[:1] - first, middle), np.append(middle, step[-1:] + last)


def ridges(steps: Steps, span: Span, colour: str) -> alt.LayerChart:
    """A small mountain a step, one behind the other, the last step in front."""
    shares = _shares(steps, span)
    peaks = shares.max(axis=1)
    usual = max(float(np.quantile(peaks, 0.9)), float(peaks.max(initial=0)) / HIGHEST, 1e-300)
    high = shares / usual * OVERLAP
    edges = np.linspace(*span, BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    count = len(steps.step)
    table = pd.DataFrame({
        "value": np.tile(middles, count), "row": np.repeat(np.arange(count), BINS),
        "step": np.repeat(steps.step, BINS), "share": shares.ravel(),
        "top": np.repeat(np.arange(count), BINS) - high.ravel()})
    ticks = np.unique(np.linspace(0, count - 1, min(count, 7)).round().astype(int)).tolist()
    said = json.dumps({str(row): f"{steps.step[row]:,}" for row in ticks})
    y = alt.Y("row:Q", title="step", axis=alt.Axis(
        values=ticks, labelExpr=f"({said})[datum.value]"), scale=alt.Scale(
        domain=[count - 0.5, min(-OVERLAP, float(table["top"].min(skipna=True)))], nice=False))
    return alt.layer(alt.Chart(table).mark_area(
        line={"strokeWidth": 1, "color": "#88888880"}, opacity=0.85, clip=True).encode(
        x=alt.X("value:Q", title="value", axis=alt.Axis(tickCount=6, format="~g"),
                scale=alt.Scale(domain=list(span), nice=False)),
        y=y, y2="top:Q", detail="row:O",
        fill=alt.Fill("row:Q", legend=None, scale=alt.Scale(
            range=["#CBD5E1", colour], interpolate="rgb")),
        tooltip=[alt.Tooltip("step:Q", format=","), alt.Tooltip("value:Q", format=".4g"),
                 alt.Tooltip("share:Q", title="of the step's values", format=".2%")]))


VIEWS = {
    "Percentile bands": View(bands, 200, "From left to right the steps. The line is the median. "
                             "Around it lie the values between 31 and 69 %, 16 and 84 %, 7 and "
                             "93 %, and the lowest and highest."),
    "Heat map": View(heat_map, 60, f"From left to right the steps, each in {BINS} bins of one "
                     "width: the brighter, the more of the step's values lie there; where none "
                     "lie, nothing is drawn. The colour grows with the square root, so that rare "
                     "values are seen.", TALLER),
    "Ridges": View(ridges, 24, "From top to bottom the steps, from grey to full colour, the last "
                   "in front, all to one scale in height. Ridges may hide what lies behind them: "
                   "the heat map hides nothing."),
}
