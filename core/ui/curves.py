"""Training curves as charts: one a tag, in groups by prefix, a colour for each run."""

from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from core.cache import shared_resource
from core.library import path_of
from core.training_curves import SMOOTHING, curves, outlier_domain, tags_and_runs
from core.ui.text import md_escape, plural, shorten

PALETTE = tuple(st.get_option("theme.chartCategoricalColors") or ())
AXES = {
    "step": ("step", "step"),
    "relative time": ("relative", "seconds since the first point"),
    "wall time": ("time", "time"),
}
RUNS = "run"  # in the address, once a run
OPEN_GROUPS = 2
MOST_CHARTS = 24  # in one group, before a person asks for more


@dataclass(frozen=True)
class Settings:
    """How curves are drawn."""

    smoothing: float
    axis: str
    log: bool
    outliers: bool


def run_choice(logs_id: str) -> list[str]:
    """Which runs are drawn: those that are ticked, which the address names; all at first."""
    runs = tags_and_runs(logs_id)[1]
    words = st.text_input(
        "Find runs", key="find_runs", bind="query-params", placeholder="a part of the name"
    )
    matching = [run for run in runs if words.lower() in run.lower()]
    colours = dict(zip(runs, _colours(runs), strict=True))
    table = pd.DataFrame({"colour": "●", "run": matching})
    event = st.dataframe(
        table.style.apply(
            lambda marks: [f"color: {colours[run]}" for run in matching], subset="colour"
        ),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": _asked_for(matching)}},
        key=f"runs-{path_of(logs_id)}-{words}",
        height=min(420, 38 + 35 * max(1, len(matching))),
        column_config={"colour": st.column_config.TextColumn("", width=24)},
    )
    picked = [matching[row] for row in event.selection.rows if row < len(matching)]
    if picked:
        st.query_params[RUNS] = picked
    else:
        st.query_params.pop(RUNS, None)
    st.caption(
        f"{len(picked) or len(matching)} of {len(runs)} runs drawn. Tick runs to draw only those."
    )
    return picked or matching


def _asked_for(runs: list[str]) -> list[int]:
    """The rows of the runs that the address names."""
    asked = set(st.query_params.get_all(RUNS))
    return [row for row, run in enumerate(runs) if run in asked]


def curve_settings() -> Settings:
    """The controls above the charts."""
    first, second = st.columns([2, 3], vertical_alignment="bottom")
    smoothing = first.slider(
        "Smoothing",
        0.0,
        0.99,
        SMOOTHING,
        0.01,
        key="smoothing",
        bind="query-params",
        help="TensorBoard's debiased moving average. The faint line is what was logged.",
    )
    axis = second.segmented_control(
        "Along", list(AXES), default="step", required=True, key="axis", bind="query-params"
    )
    with st.container(horizontal=True):
        log = st.toggle("Log scale", key="log", bind="query-params")
        outliers = st.toggle(
            "Show outliers",
            key="outliers",
            bind="query-params",
            help="Off: the axis covers the 5th to the 95th percentile of what is drawn.",
        )
    return Settings(smoothing, axis, log, outliers)


def curves_by_group(logs_id: str, runs: list[str], settings: Settings) -> None:
    """One chart a tag, two a row, grouped by the tag's part before its first slash."""
    tags, all_runs = tags_and_runs(logs_id)
    groups: dict[str, list[str]] = {}
    for tag in tags:
        groups.setdefault(tag.partition("/")[0] if "/" in tag else "", []).append(tag)
    for number, group in enumerate(sorted(groups, key=_rank)):
        members = groups[group]
        part = st.expander(
            md_escape(group or "other tags"),
            expanded=number < OPEN_GROUPS,
            key=f"group-{path_of(logs_id)}-{group}",
            on_change="rerun",
        )
        with part:
            if not part.open:  # its charts are drawn when they are looked at
                st.caption("…")
                continue
            for tag, column in zip(
                members[:MOST_CHARTS], _columns(len(members[:MOST_CHARTS])), strict=True
            ):
                with column:
                    one_chart(logs_id, tag, runs, all_runs, settings)
            if len(members) > MOST_CHARTS:
                st.caption(f"The first {MOST_CHARTS} of {len(members)} tags.")


def _rank(group: str) -> tuple[int, str]:
    """Losses first, then accuracies, then the rest by name."""
    first = ("loss", "train", "accuracy", "val", "")
    return next(
        (i for i, word in enumerate(first) if word and word in group.lower()), len(first)
    ), group


def _columns(number: int) -> list:
    rows = [st.columns(2) for _ in range(-(-number // 2))]
    return [column for row in rows for column in row][:number]


def one_chart(
    logs_id: str, tag: str, runs: list[str], all_runs: list[str], settings: Settings
) -> None:
    """One tag of those runs, with what was left out of the drawing."""
    chart, said = _drawn(logs_id, tag, tuple(runs), tuple(all_runs), settings)
    if chart is not None:
        st.altair_chart(chart, key=f"curve-{path_of(logs_id)}-{tag}")
    if said:
        st.caption(said)


@shared_resource(entries=96)  # building a layered chart takes longer than sending it
def _drawn(
    logs_id: str, tag: str, runs: tuple[str, ...], all_runs: tuple[str, ...], settings: Settings
) -> tuple[alt.LayerChart | None, str]:
    """The chart, None without points, and what is to be said below it."""
    table, note = curves(logs_id, (tag,), settings.smoothing)
    table = table[table["run"].isin(runs)].astype({"run": str, "tag": str})
    if table.empty:
        return None, f"{md_escape(tag)}: no points in these runs."
    table["time"] = pd.to_datetime(table["wall_time"], unit="s")
    odd = int((~np.isfinite(table["value"])).sum())
    said = [note] if note else []
    if odd:
        values = plural(odd, "value")
        said.append(f"{values} NaN or infinite, marked ▲ where the last one before was.")
    return _chart(table, tag, list(all_runs), settings), " ".join(said)


def _chart(
    table: pd.DataFrame, tag: str, all_runs: list[str], settings: Settings
) -> alt.LayerChart:
    field, words = AXES[settings.axis]
    kind = "T" if field == "time" else "Q"
    last_finite = table.assign(
        held=table.groupby("run")["value"].transform(
            lambda values: values.where(np.isfinite(values)).ffill().bfill()
        )
    )
    finite, odd = table[np.isfinite(table["value"])], last_finite[~np.isfinite(table["value"])]
    domain = None if settings.outliers else outlier_domain(finite["smoothed"].to_numpy())
    if domain:
        odd = odd.assign(held=odd["held"].clip(*domain))  # at the edge rather than out of sight
    y = alt.Scale(
        type="log" if settings.log and (finite["value"] > 0).all() else "linear",
        zero=False,
        **({"domain": _padded(domain)} if domain else {}),
        clamp=False,
    )
    colour = alt.Color(
        "run:N", legend=None, scale=alt.Scale(domain=all_runs, range=_colours(all_runs))
    )
    axis = alt.Axis(format="~s", tickMinStep=1) if kind == "Q" else alt.Axis()
    base = alt.Chart(finite).encode(
        x=alt.X(f"{field}:{kind}", title=words, axis=axis), color=colour
    )
    faint = base.mark_line(opacity=0.25, clip=True, strokeWidth=1).encode(
        y=alt.Y("value:Q", title=None, scale=y)
    )
    tip = [
        alt.Tooltip("run:N"),
        alt.Tooltip("smoothed:Q", format=".4g"),
        alt.Tooltip("value:Q", format=".4g"),
        alt.Tooltip("step:Q", format=","),
    ]
    line = base.mark_line(clip=True, strokeWidth=2, point={"size": 12, "opacity": 0.6}).encode(
        y=alt.Y("smoothed:Q", title=None, scale=y), tooltip=tip
    )
    marks = (
        alt.Chart(odd.dropna(subset="held"))
        .mark_point(shape="triangle-up", size=60, filled=True, clip=True)
        .encode(
            x=f"{field}:{kind}",
            y=alt.Y("held:Q", scale=y),
            color=colour,
            tooltip=["run:N", "step:Q", alt.Tooltip("value:N", title="value")],
        )
    )
    zoom = alt.selection_interval(bind="scales", name="zoom")
    look = alt.Config(
        aria=False, axis=alt.AxisConfig(gridOpacity=0.4), view=alt.ViewConfig(strokeOpacity=0)
    )
    return alt.layer(
        faint, line.add_params(zoom), marks, height=230, title=shorten(tag, 60), config=look
    )


def _padded(domain: tuple[float, float]) -> list[float]:
    low, high = domain
    margin = (high - low) * 0.05 or abs(high) * 0.05 or 0.05
    return [low - margin, high + margin]


def _colours(runs: list[str]) -> list[str]:
    return [PALETTE[i % len(PALETTE)] for i in range(len(runs))]
