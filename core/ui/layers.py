"""The table of layers on the page: its columns, and which of its rows are looked for."""

import re

import numpy as np
import pandas as pd
import streamlit as st

from core.architecture import architecture, receptive_fields
from core.measures.layer_times import measured_times
from core.ui.text import plural

EVERY, WHOLE = "all levels", "the whole network"
NO_LAYERS = ("This file names no layers, as after torch.jit.freeze, only tensors. Graph shows its "
             "operations, what each costs and what it gives.")


def layer_table(model_id: str, dataset_id: str | None) -> pd.DataFrame:
    """The table of core.architecture with receptive_field and stride in words, and milliseconds and
    estimated where the layers were timed."""
    table = architecture(model_id, dataset_id).table
    fields = receptive_fields(model_id, dataset_id).set_index("layer")
    seen = {layer: ("whole image" if row.whole else times(row.field), times(row.step))
            for layer, row in fields.iterrows()}
    table["receptive_field"] = [seen.get(name, ("", ""))[0] for name in table["name"]]
    table["stride"] = [
        "" if name in seen and fields.whole[name] and shape is not None and len(shape) < 4
        else seen.get(name, ("", ""))[1]
        for name, shape in zip(table["name"], table["output_shape"], strict=True)]
    if (measured := measured_times(model_id, dataset_id)) is not None:
        seconds = dict(zip(measured["layer"], measured["seconds"], strict=True))
        table["milliseconds"] = [1000 * seconds.get(name, float("nan")) for name in table["name"]]
        rate = measured.attrs["rate"]
        table["estimated"] = 1000 * table["multiply_adds"].astype("Float64") / rate
    return table


def shown_layers(table: pd.DataFrame) -> tuple[pd.DataFrame, str, int | None]:
    """The rows inside one layer that are looked for; which layer that is, "" for the whole network;
    and how many levels are open at first, 0 for all, None where what is found is to be seen."""
    inner = {name.rpartition(".")[0] for name in table["name"]} - {""}
    find, within, level = st.columns([2, 2, 1])
    words = find.text_input(
        "Find",
        key="find",
        bind="query-params",
        placeholder="name, type, dtype or shape",
        help='For example conv, "Linear" (quotes: the whole word), float32, 64,32,32 or 64.',
    )
    inside = within.selectbox(
        "Inside", [WHOLE, *(name for name in table["name"] if name in inner)], key="inside",
        bind="query-params",
    )
    deepest = range(1, int(table["depth"].max())) if len(table) else ()
    depths = {EVERY: 0} | {plural(depth, "level"): depth for depth in deepest}
    levels = level.selectbox(
        "Open", list(depths), key="levels", bind="query-params",
        help="How many levels of the tree are open. Single branches open and close in the table.",
    )
    outside = "" if inside == WHOLE else inside
    open_levels = None if words.strip() else depths[levels]
    return found_layers(table, words, outside), outside, open_levels


def inside_button(table: pd.DataFrame, layer: str) -> None:
    """Shows a layer that holds others alone: the table is then of what is inside it."""
    if table["name"].str.startswith(f"{layer}.").any():
        st.button("Show only what is inside", key="open_layer", on_click=_open, args=(layer,))


def _open(layer: str) -> None:
    st.session_state["inside"] = layer


def found_layers(table: pd.DataFrame, words: str, inside: str = "") -> pd.DataFrame:
    """The rows that `matching` finds by name, type, dtype, input or output; only those inside a
    layer."""
    found = matching(
        [table[column] for column in ("name", "type", "dtype")],
        [table[column] for column in ("input_shape", "output_shape")],
        words,
    )
    if inside:
        found &= table["name"].str.startswith(f"{inside}.")
    return table[found]


def matching(texts: list[pd.Series], shapes: list[pd.Series], words: str) -> pd.Series:
    """Which rows have each of the words in one of the texts, whatever its case; a word in quotes is
    a whole text; numbers with commas are consecutive sides of a shape. The first text is a name,
    which may hold a number too."""
    texts = [text.str.lower() for text in texts]
    sides = [
        shape.map(lambda s: "," if s is None else f",{','.join(map(str, s))},") for shape in shapes
    ]
    keep = pd.Series(True, index=texts[0].index)
    words = re.sub(r"\s*[×,]\s*(?=\d)", ",", words)  # a shape as the table says it
    for word in re.findall(r'"[^"]*"|\S+', words.lower()):
        keep &= np.logical_or.reduce(_hits(texts, sides, word))
    return keep


def _hits(texts: list[pd.Series], sides: list[pd.Series], word: str) -> list[pd.Series]:
    if word.replace(",", "").isdigit():
        wanted = f",{word.strip(',')},"
        hits = [shape.str.contains(wanted, regex=False) for shape in sides]
        return [*hits, texts[0].str.contains(word, regex=False)]
    if len(word) > 2 and word[0] == word[-1] == '"':
        whole = word[1:-1]
        shapes = (f",{whole},", f",1,{whole},")  # with or without the one image
        return [text == whole for text in texts] + [shape.isin(shapes) for shape in sides]
    word = word.replace('"', "")  # one that is not closed
    return [text.str.contains(word, regex=False) for text in texts]


def times(shape: tuple[int, ...] | None) -> str:
    """A shape as 3 × 224 × 224."""
    return "" if shape is None else " × ".join(map(str, shape))
