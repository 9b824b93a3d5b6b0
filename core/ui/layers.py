"""The table of layers on the page: unfolded, searched, timed, drawn and saved."""

import re
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.architecture import Architecture, architecture, model_type
from core.architecture_export import markdown_table, summary_text
from core.input_shape import input_shape
from core.measures.layer_times import measured_times
from core.measures.receptive_field import receptive_fields
from core.ui.text import plural

SHOWN = {
    "layer": "Layer",
    "type": "Type",
    "output_shape": "Output",
    "parameters": "Parameters",
    "share": "Share",
    "multiply_adds": "Multiply-adds",
    "milliseconds": "Time",
    "estimated": "Estimated",
    "receptive_field": "Receptive field",
    "stride": "Stride",
    "settings": "Settings",
    "input_shape": "Input",
    "trainable": "Trainable",
    "weight_bytes": "Weights",
    "activation_bytes": "Activations",
    "buffers": "Buffers",
    "dtype": "Numbers",
    "depth": "Depth",
    "note": "Note",
    "name": "Full name",
}
HELP = {
    "Trainable": "Parameters that training changes. A file does not say which were frozen.",
    "Time": "Milliseconds of one pass, with what is inside the layer; the median of several.",
    "Estimated": "Milliseconds, if its multiply-adds ran as fast as a product of large matrices.",
    "Weights": "Memory of parameters and buffers.",
    "Activations": "Memory of what the layer gives for one image.",
    "Receptive field": "How many pixels of the input each number of the output sees, padding "
                       "included.",
    "Stride": "How many pixels of the input lie between two neighbours of the output.",
    "Buffers": "Numbers that are kept and not trained, such as running means.",
    "Multiply-adds": "For one image.",
    "Share": "Of the network's parameters.",
}
EVERY, WHOLE = "all levels", "the whole network"
FITS = 28  # letters of a name in a column of medium width


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


def shown_layers(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """What of the tree is open: down to a level, inside one layer; and what is searched for. Also
    which layer that is, "" for the whole network."""
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
        help="How many levels of the tree are unfolded. The graph folds layer by layer.",
    )
    outside = "" if inside == WHOLE else inside
    return found_layers(table, words, outside, depths[levels]), outside


def inside_button(table: pd.DataFrame, layer: str) -> None:
    """Opens a layer that holds others: the table is then of what is inside it."""
    if table["name"].str.startswith(f"{layer}.").any():
        st.button("Show what is inside", key="open_layer", on_click=_open, args=(layer,))


def _open(layer: str) -> None:
    st.session_state["inside"] = layer


def found_layers(table: pd.DataFrame, words: str, inside: str = "", levels: int = 0
                 ) -> pd.DataFrame:
    """The rows that `matching` finds by name, type, dtype, input or output; only those inside a
    layer, and so many levels below it, 0 for all."""
    found = matching(
        [table[column] for column in ("name", "type", "dtype")],
        [table[column] for column in ("input_shape", "output_shape")],
        words,
    )
    if inside:
        found &= table["name"].str.startswith(f"{inside}.")
    if levels and not words.strip():  # what is looked for is found however deep
        found &= table["depth"] <= levels + (inside.count(".") + 1 if inside else 0)
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
    for word in words.lower().split():
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
    return [text.str.contains(word, regex=False) for text in texts]


def layer_frame(table: pd.DataFrame, key: str, outside: str = "") -> str | None:
    """Draws the rows as a tree; gives the name of the layer that was clicked. outside: the layer
    that holds them all and is not said."""
    event = _drawn(table, outside, key=key, on_select="rerun", selection_mode="single-row")
    rows = [row for row in event.selection.rows if row < len(table)]
    return table["name"].iloc[rows[0]] if rows else None


def layer_row(table: pd.DataFrame, layer: str) -> None:
    """Draws the row of one layer, where there is one; nothing in it is to be clicked."""
    row = table[table["name"] == layer]
    if len(row):
        _drawn(row, layer.rpartition(".")[0], key=None)


def tree_names(names: pd.Series, outside: str) -> list[str]:
    """Names in the order of the tree, each indented below the layers that hold it and are there
    too; of those that are not, as where a search left them out, the name says which they are."""
    there, found = set(names), []
    for name in names:
        dots = [place for place, letter in enumerate(name) if letter == "."]
        holders = [name[:place] for place in dots if name[:place] in there]
        said = holders[-1] if holders else outside
        found.append("\u2003" * len(holders) + (name[len(said) + 1 :] if said else name))
    return found


def _drawn(table: pd.DataFrame, outside: str, **more: Any) -> Any:
    drawn = table.assign(
        layer=tree_names(table["name"], outside),
        input_shape=table["input_shape"].map(times),
        output_shape=table["output_shape"].map(times),
    )
    shown = {column: title for column, title in SHOWN.items() if column in drawn and
             (drawn[column].notna() & (drawn[column] != "")).any()}  # weights alone have no shapes
    columns = {title: st.column_config.Column(help=said) for title, said in HELP.items()}
    columns |= {title: st.column_config.NumberColumn(format="localized", help=HELP.get(title))
                for title in ("Parameters", "Trainable", "Multiply-adds", "Buffers")}
    columns |= {title: st.column_config.NumberColumn(format="bytes", help=HELP[title])
                for title in ("Weights", "Activations")}
    columns |= {title: st.column_config.NumberColumn(format="%.3f ms", help=HELP[title])
                for title in ("Time", "Estimated")}
    widest = drawn["layer"].str.len().max()
    return st.dataframe(
        drawn[list(shown)].rename(columns=shown),
        hide_index=True,
        height=min(620, 38 + 35 * len(drawn)),
        placeholder="",
        column_config=columns | {
            "Layer": st.column_config.TextColumn(
                width="medium" if widest <= FITS else "large", pinned=True
            ),
            "Share": st.column_config.ProgressColumn(
                format="percent", min_value=0, max_value=1, help=HELP["Share"]
            ),
        },
        **more,
    )


def downloads(table: pd.DataFrame, found: Architecture, model_id: str,
              dataset_id: str | None) -> None:
    """The rows that are shown as CSV and Markdown, and the summary of the whole network."""
    csv, markdown, text = st.columns(3)
    csv.download_button("Download as CSV", table.to_csv(index=False), "layers.csv", "text/csv",
                        width="stretch")
    markdown.download_button("Download as Markdown", lambda: markdown_table(table), "layers.md",
                             "text/markdown", width="stretch", on_click="ignore")
    summary = summary_text(found.table, found.totals, model_type(model_id),
                           input_shape(model_id, dataset_id))
    text.download_button("Download the summary", summary, "summary.txt", "text/plain",
                         width="stretch")
    with st.expander("Summary to copy"):
        st.code(summary, language=None)


def times(shape: tuple[int, ...] | None) -> str:
    """A shape as 3 × 224 × 224."""
    return "" if shape is None else " × ".join(map(str, shape))
