"""How hyperparameters and a metric go together: a scatter, and which one mattered."""

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from core.runs.hyperparameters import what_mattered
from core.runs.parallel_axes import scale_of
from core.training_curves import tags_and_runs
from core.ui.curve_colours import run_colours
from core.ui.text import md_escape, plural, shorten

CERTAIN = 0.05

Metric = tuple[str, str]  # kind and tag


def label_of(metric: Metric) -> str:
    """What a metric is called on an axis."""
    return f"{metric[1]} · {metric[0]}"


def relations(logs_id: str, table: pd.DataFrame, names: list[str], metrics: list[Metric]) -> None:
    """One hyperparameter of `names` against one metric, and which ones go with that metric."""
    if not metrics or len(table) < 2:
        st.caption("A scatter needs a metric and two runs.")
        return
    known = {label_of(metric): metric for metric in metrics}
    left, right = st.columns(2)
    with left:
        metric = known[one_of("Metric", list(known), "metric")]
    found = _mattered(logs_id, table, metric)
    with right:
        name = one_of("Hyperparameter", names, "against", _clearest(found, names))
    _scatter(table, name, metric, run_colours(tags_and_runs(logs_id)[1]))


def one_of(title: str, options: list[str], key: str, first: int = 0) -> str:
    """first: the place of the option that stands there until a person chooses."""
    state, before = st.session_state, f"_first_{key}"
    if key in state and (state[key] not in options or state[key] == state.get(before)):
        state[key] = options[first]
    state[before] = options[first]
    return st.selectbox(title, options, first, key=key, bind="query-params")


def _clearest(found: pd.DataFrame, names: list[str]) -> int:
    """The place in `names` of the hyperparameter that goes most clearly with the metric."""
    known = found[found["hyperparameter"].isin(names)]
    return names.index(known.loc[known["p"].idxmin(), "hyperparameter"]) if len(known) else 0


def _scatter(table: pd.DataFrame, name: str, metric: Metric, colours: dict[str, str]) -> None:
    column = table["hyperparameter", name]
    points = pd.DataFrame({"run": table.index, "x": column.to_numpy(),
                           "y": table[metric].to_numpy(np.float64)})  # fmt: skip
    there = points["x"].notna() & np.isfinite(points["y"])
    points = points[there]
    if points.empty:
        st.caption("No run has both.")
        return
    number = pd.api.types.is_float_dtype(column.dtype)
    points = points.astype({"x": float if number else str})
    words = (shorten(name, 60), shorten(label_of(metric), 60))
    chart = (_dots if number else _strips)(points, words, colours)
    look = chart.properties(height=300).configure(aria=False).configure_view(strokeOpacity=0)
    st.altair_chart(look)
    left_out = int((~there).sum())
    st.caption(
        "Colours as in the curves."
        + ("" if number else " Within a strip, sideways means nothing.")
        + (f" Left out: {plural(left_out, 'run')} without both values." if left_out else "")
    )


def _dots(points: pd.DataFrame, words: tuple[str, str], colours: dict[str, str]) -> alt.Chart:
    scale = alt.Scale(type=scale_of(points["x"]), zero=False, padding=12)
    return _marks(points, words, colours).encode(x=alt.X("x:Q", title=words[0], scale=scale))


def _strips(points: pd.DataFrame, words: tuple[str, str], colours: dict[str, str]) -> alt.Chart:
    """A strip a category, its runs moved aside at random so that none hides another."""
    aside = np.random.default_rng(0).uniform(size=len(points))
    return _marks(points.assign(aside=aside), words, colours).encode(
        x=alt.X("x:N", title=words[0], axis=alt.Axis(labelAngle=0, labelLimit=120)),
        xOffset=alt.XOffset("aside:Q", scale=alt.Scale(domain=[-1, 2])),
    )


def _marks(points: pd.DataFrame, words: tuple[str, str], colours: dict[str, str]) -> alt.Chart:
    known = [run for run in colours if run in set(points["run"])]
    scale = alt.Scale(domain=known, range=[colours[run] for run in known])
    y = alt.Scale(type=scale_of(points["y"]), zero=False, padding=8)
    return (
        alt.Chart(points)
        .mark_circle(size=64, opacity=0.8)
        .encode(
            y=alt.Y("y:Q", title=words[1], scale=y),
            color=alt.Color("run:N", legend=None, scale=scale),
            tooltip=[
                alt.Tooltip("run:N"),
                alt.Tooltip("x", title=words[0]),
                alt.Tooltip("y:Q", title=words[1], format=".4g"),
            ],
        )
    )


def _mattered(logs_id: str, table: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Draws the associations and gives them, strongest first."""
    found, notes = what_mattered(logs_id, metric, tuple(table.index))
    words = md_escape(label_of(metric))
    st.markdown(f"**Which hyperparameter mattered for {words}?**")
    if len(found):
        st.markdown(_answer(found, words))
        st.dataframe(
            found,
            hide_index=True,
            column_config={
                "value": st.column_config.NumberColumn("strength", format="%.2f"),
                "n": st.column_config.NumberColumn("runs"),
                "p": st.column_config.NumberColumn("p", format="%.4f"),
            },
        )
    for note in notes:
        st.markdown(f":material/warning: {md_escape(note, longest=500)}")
    st.caption(
        "Rank correlation (Spearman), from −1 to 1: whether more goes with more. eta² of ranks, "
        "from 0 to 1: how much of the order of the runs the groups explain; many small groups "
        "raise it by chance. p: how often 1,999 random orders of the runs do as much. A relation "
        "that rises and falls is missed, and none of it proves a cause."
    )
    return found


def _answer(found: pd.DataFrame, metric: str) -> str:
    """The strongest relation in a sentence, held against how many were tried."""
    corrected = found["p"] * len(found)
    if corrected.min() > CERTAIN:
        return f"None that these runs can tell from chance, of {len(found)} looked at."
    best = found.loc[corrected.idxmin()]
    name, value = md_escape(best["hyperparameter"]), f"{best['value']:.2f}".replace("-", "−")
    return (
        f"Most clearly {name}: {md_escape(best['measure'])} {value} with {metric} over "
        f"{best['n']} runs; p {best['p']:.4f}, certain enough for {len(found)} looked at."
    )
