"""What layers do over the data, on the page: distributions, dead units, gradients."""

import pandas as pd
import streamlit as st

from core.library import open_dataset
from core.measures.activations import SAMPLE, activation_statistics
from core.measures.gradient_norms import FAR, gradient_norms
from core.measures.unit_statistics import NEARLY_ALL
from core.ui.activation_charts import gradient_chart, histogram_chart
from core.ui.sidebar import Chosen
from core.ui.text import count, md_escape, percent, plural

NAMED = 30  # units or layers that a sentence lists
RULES = (
    "A unit is a channel of maps, or a feature of tokens and vectors. Dead: exactly 0 for every "
    "example and place; on other data it may wake. Saturated: of a layer with sigmoid or tanh, a "
    f"unit with {100 * NEARLY_ALL:g} % of its numbers within 1 % of the range from an end. Dead, "
    "saturated, min and max are of all numbers; the rest of up to 4,096 numbers an example, drawn "
    "at random, always the same."
)


def over_the_data(chosen: Chosen) -> None:
    """Each layer's distribution, dead and saturated units; a click opens one."""
    table = activation_statistics(chosen.model_id, chosen.dataset_id)
    if table.empty:
        st.write("No layer of this network gives numbers that can be counted.")
        return
    examples, total = table.attrs["examples"], len(open_dataset(chosen.dataset_id))
    dead, units = int(table["dead"].map(len).sum()), int(table["units"].sum())
    st.markdown(f"**{plural(dead, 'dead unit')} of {count(units)} in {plural(len(table), 'layer')}"
                "**")
    st.caption(_sample_words(examples, total))
    row = _statistics_frame(table, f"statistics-{chosen.model_id}-{chosen.dataset_id}")
    st.caption(RULES)
    if row is not None:
        _layer_details(row)


def _sample_words(examples: int, total: int) -> str:
    if total <= SAMPLE:
        return f"{plural(examples, 'example')}: all that could be read."
    return (f"{count(examples)} of {count(total)} examples, stratified by class where there are "
            "labels, always the same.")


def _statistics_frame(table: pd.DataFrame, key: str) -> pd.Series | None:
    """Draws one row a layer; gives the one that was clicked."""
    levels = table["quantiles"].map(lambda found: found or [None] * 5)
    shown = pd.DataFrame({
        "Layer": [_run_name(row) for row in table.itertuples()],
        "Dead": table["dead"].map(len) / table["units"],
        "Saturated": [None if row.saturated is None else len(row.saturated) / row.units
                      for row in table.itertuples()],
        "Zeros": table["zeros"],
        "Distribution": table["counts"],
        **{name: [found[place] for found in levels]
           for place, name in ((0, "1 %"), (2, "Median"), (4, "99 %"))},
        "Min": table["min"],
        "Max": table["max"],
        "Not finite": table["not_finite"],
        "Units": table["units"],
        "Type": table["type"],
    })
    empty = {"Saturated": shown["Saturated"].isna().all(),
             "Not finite": not table["not_finite"].any()}
    shown = shown.drop(columns=[name for name, left_out in empty.items() if left_out])
    number = st.column_config.NumberColumn(format="%.3g", width=75)
    share = st.column_config.NumberColumn(format="percent", width=80)
    event = st.dataframe(
        shown, hide_index=True, key=key, on_select="rerun", selection_mode="single-row",
        height=min(560, 38 + 35 * len(shown)), placeholder="",
        column_config=dict.fromkeys(("1 %", "Median", "99 %", "Min", "Max"), number) | {
            "Layer": st.column_config.TextColumn(width="medium", pinned=True),
            "Dead": st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1,
                                                    help="Share of the units.", width=105),
            "Saturated": share, "Zeros": share,
            "Units": st.column_config.NumberColumn(format="localized", width=70),
            "Distribution": st.column_config.BarChartColumn(
                help="From the 1 % to the 99 % quantile, zeros left out.", width=105),
        })
    rows = [row for row in event.selection.rows if row < len(table)]
    return table.iloc[rows[0]] if rows else None


def _run_name(row: object) -> str:
    return row.layer if row.run == 1 else f"{row.layer} · run {row.run}"


def _layer_details(row: pd.Series) -> None:
    st.subheader(md_escape(_run_name(row)), anchor=False)
    for name, units in (("Dead", row["dead"]), ("Saturated", row["saturated"] or [])):
        if units:
            more = f" and {count(len(units) - NAMED)} more" if len(units) > NAMED else ""
            st.caption(f"{name} units (from 0): {', '.join(map(str, units[:NAMED]))}{more}")
    if row["counts"]:
        histogram_chart(row["counts"], row["low"], row["high"])
        st.caption(f"From the 1 % to the 99 % quantile. {percent(row['zeros'])} of the numbers are "
                   "exactly 0 and not drawn.")


def gradients(chosen: Chosen) -> None:
    """How much of the loss's gradient reaches each layer."""
    table = gradient_norms(chosen.model_id, chosen.dataset_id)
    marked = table[table["mark"] != ""]
    words = " · ".join(f"{plural(int(number), 'layer')} {mark}" for mark, number in
                       marked["mark"].replace("none", "without a gradient").value_counts().items())
    st.markdown(f"**{words or 'No layer vanishes or explodes'}**")
    st.caption(
        f"Norm of the gradient of the mean cross-entropy ({table.attrs['loss']:.3g} nats) over "
        f"{plural(table.attrs['examples'], 'labelled example')}, stratified by class, with respect "
        "to each layer's own weights, in evaluation mode (no dropout, stored batch statistics).")
    gradient_chart(table, FAR)
    st.caption(
        f"Vanishing: less than a {count(FAR)}th of the last layer's gradient, from where it flows "
        f"back; exploding: more than {count(FAR)} times it. A layer with few weights has a smaller "
        "norm than one with many, and a network that is right and sure has small ones everywhere.")
    lost = marked[marked["mark"].isin(("none", "not finite"))]
    if len(lost):
        names = ", ".join(md_escape(name or "the network itself") for name in lost["layer"][:NAMED])
        st.caption(f"Not on the axis (no gradient, or not finite): {names}.")
