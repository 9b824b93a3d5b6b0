"""The table of layers on the page: searched, drawn, and one layer's weights."""

import numpy as np
import pandas as pd
import streamlit as st

from core.architecture import layer_weights
from core.ui.text import headings, md_escape

SHOWN = {
    "layer": "Layer",
    "type": "Type",
    "input_shape": "Input",
    "output_shape": "Output",
    "parameters": "Parameters",
    "share": "Share",
    "multiply_adds": "Multiply-adds",
    "dtype": "Numbers",
    "settings": "Settings",
    "note": "Note",
}
OPTIONAL = ("dtype", "settings", "note")  # left out where no row has one


def found_layers(table: pd.DataFrame, words: str, outermost: bool) -> pd.DataFrame:
    """The rows in which each of the words is found, whatever its case; a word in quotes is a whole
    name, type or dtype; numbers with commas are consecutive sides of a shape."""
    shapes = [
        column.map(lambda s: "" if s is None else ",".join(map(str, s)))
        for column in (table["input_shape"], table["output_shape"])
    ]
    keep = table["depth"] == 1 if outermost else pd.Series(True, index=table.index)
    for word in words.lower().split():
        keep &= _matches(table, shapes, word)
    return table[keep]


def _matches(table: pd.DataFrame, shapes: list[pd.Series], word: str) -> pd.Series:
    texts = [table[column].str.lower() for column in ("name", "type", "dtype")]
    if word.replace(",", "").isdigit():
        wanted = f",{word.strip(',')},"
        hits = [("," + shape + ",").str.contains(wanted, regex=False) for shape in shapes]
        hits.append(texts[0].str.contains(word, regex=False))
    elif len(word) > 2 and word[0] == word[-1] == '"':
        hits = [text == word[1:-1] for text in texts]
    else:
        hits = [text.str.contains(word, regex=False) for text in texts]
    return np.logical_or.reduce(hits)


def layer_frame(table: pd.DataFrame, key: str) -> str | None:
    """Draws the rows as a tree by indentation; gives the name of the layer that was clicked."""
    drawn = table.assign(
        layer=[
            "\u2003" * (depth - 1) + name.rpartition(".")[2]
            for name, depth in zip(table["name"], table["depth"], strict=True)
        ],
        input_shape=table["input_shape"].map(_times),
        output_shape=table["output_shape"].map(_times),
    )
    shown = {c: t for c, t in SHOWN.items() if c not in OPTIONAL or (drawn[c] != "").any()}
    event = st.dataframe(
        drawn[list(shown)].rename(columns=shown),
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="single-row",
        height=min(620, 38 + 35 * len(drawn)),
        column_config={
            "Layer": st.column_config.TextColumn(width="medium", pinned=True),
            "Share": st.column_config.ProgressColumn(
                format="percent", min_value=0, max_value=1, help="Of the network's parameters."
            ),
            "Parameters": st.column_config.NumberColumn(format="localized"),
            "Multiply-adds": st.column_config.NumberColumn(
                format="localized", help="For one image."
            ),
        },
    )
    rows = [row for row in event.selection.rows if row < len(table)]
    return table["name"].iloc[rows[0]] if rows else None


def _times(shape: tuple[int, ...] | None) -> str:
    return "" if shape is None else " × ".join(map(str, shape))


def layer_details(model_id: str, name: str) -> None:
    """One layer's own tensors and their statistics."""
    st.subheader(md_escape(name), anchor=False)
    weights = layer_weights(model_id, name)
    if weights.empty:
        st.write("This layer has no weights of its own.")
        return
    st.dataframe(weights.rename(columns=headings(weights)), hide_index=True)
