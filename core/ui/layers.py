"""The table of layers on the page: searched and drawn."""

import numpy as np
import pandas as pd
import streamlit as st

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
    """The rows that `matching` finds by name, type, dtype, input or output."""
    found = matching(
        [table[column] for column in ("name", "type", "dtype")],
        [table[column] for column in ("input_shape", "output_shape")],
        words,
    )
    return table[found & (table["depth"] == 1)] if outermost else table[found]


def matching(texts: list[pd.Series], shapes: list[pd.Series], words: str) -> pd.Series:
    """Which rows have each of the words in one of the texts, whatever its case; a word in quotes is
    a whole text; numbers with commas are consecutive sides of a shape. The first text is a name,
    which may hold a number too."""
    texts = [text.str.lower() for text in texts]
    sides = [
        shape.map(lambda s: "," if s is None else f",{','.join(map(str, s))},") for shape in shapes
    ]
    keep = pd.Series(True, index=texts[0].index)
    for word in words.lower().split():
        keep &= np.logical_or.reduce(_hits(texts, sides, word))
    return keep


def _hits(texts: list[pd.Series], sides: list[pd.Series], word: str) -> list[pd.Series]:
    if word.replace(",", "").isdigit():
        wanted = f",{word.strip(',')},"
        hits = [shape.str.contains(wanted, regex=False) for shape in sides]
        return [*hits, texts[0].str.contains(word, regex=False)]
    if len(word) > 2 and word[0] == word[-1] == '"':
        return [text == word[1:-1] for text in texts]
    return [text.str.contains(word, regex=False) for text in texts]


def layer_frame(table: pd.DataFrame, key: str) -> str | None:
    """Draws the rows as a tree by indentation; gives the name of the layer that was clicked."""
    drawn = table.assign(
        layer=[
            "\u2003" * (depth - 1) + name.rpartition(".")[2]
            for name, depth in zip(table["name"], table["depth"], strict=True)
        ],
        input_shape=table["input_shape"].map(times),
        output_shape=table["output_shape"].map(times),
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


def times(shape: tuple[int, ...] | None) -> str:
    """A shape as 3 × 224 × 224."""
    return "" if shape is None else " × ".join(map(str, shape))
