"""Parts of the Embeddings page: which layer, which colour, and how far to trust a map."""

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.architecture import architecture
from core.embeddings import Map
from core.model_facts import model_facts
from core.outcomes import examples
from core.ui.charts import MOST_COLOURS
from core.ui.text import md_escape, percent

ALIKE = "none"  # a colour that says nothing


def layer_choice(model_id: str, dataset_id: str, place: DeltaGenerator) -> str:
    """A layer that gives numbers for each example; at first the last stage before the output."""
    table = architecture(model_id, dataset_id).table
    table = table[~table["is_tensor"]]
    ran = table["output_shape"].map(lambda shape: shape is not None and len(shape) > 1)
    names = table["name"][ran if ran.any() else slice(None)].tolist()
    stages = [name for name in model_facts(model_id).feature_layers if name in names]
    default = names.index(stages[-1]) if stages else max(0, len(names) - 2)
    return place.selectbox(
        "Layer",
        names,
        default,
        key="layer",
        bind="query-params",
        help="Any layer that gives numbers for each example.",
    )


def colour_choice(model_id: str, dataset_id: str) -> str:
    """What the points' colour says; nothing where there are neither labels nor classes."""
    columns = {"label": "label", "prediction": "prediction", "correct": "answer"}
    known = examples(model_id, dataset_id)
    have = [name for column, name in columns.items() if column in known] or [ALIKE]
    return st.segmented_control(
        "Colour",
        have,
        default=have[0],
        required=True,
        key="colour",
        bind="query-params",
        help="Label: what the data says. Prediction: what the network says. Answer: whether the "
        "two agree.",
    )


def map_table(model_id: str, dataset_id: str, pixels: Map, hidden: Map) -> pd.DataFrame:
    """One row an example on both maps: where it lies, and what the tooltip and the colour need."""
    table = pixels.table.rename(columns={"x": "pixel_x", "y": "pixel_y"}).merge(
        hidden.table.rename(columns={"x": "layer_x", "y": "layer_y"}), on="example"
    )
    known = examples(model_id, dataset_id)
    columns = known.columns.intersection(["example", "prediction", "label", "correct"])
    table = table.merge(known[columns], on="example")
    table[ALIKE] = pd.Categorical(["all examples"] * len(table))
    if "correct" in table:
        table["answer"] = pd.Categorical(
            table.pop("correct").map({True: "right", False: "wrong"}), ["right", "wrong"]
        )
    for column in ("label", "prediction"):
        if column in table:
            table[column] = _few(table[column])
    return table


def _few(names: pd.Series) -> pd.Series:
    """The most frequent names, the rest as one: more colours than ten cannot be told apart."""
    names = names.cat.remove_unused_categories()
    if len(names.cat.categories) <= MOST_COLOURS:
        return names
    kept = names.value_counts().index[: MOST_COLOURS - 1].astype(str)
    grouped = names.astype(str).where(names.isin(kept), "other classes")
    return pd.Categorical(grouped, [*kept, "other classes"])


def trust_line(shown: Map) -> None:
    """How much of the truth a map keeps, and what was left out."""
    words = [
        f"The two axes show {percent(sum(shown.explained))} of the variance; "
        f"{percent(shown.neighbours_kept)} of each example's nearest neighbours are near it here."
    ]
    st.caption(md_escape(" ".join([*words, *shown.notes]), longest=600))
