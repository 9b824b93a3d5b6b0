"""The table of layers as a tree: columns, labels, and which branches are closed."""

import pandas as pd
import streamlit as st

from core.ui.components.tree import Column, Rows, tree
from core.ui.layers import times

COLUMNS = {  # of the table: title, kind; what is asked for most comes first, for narrow windows
    "type": ("Type", "name"),
    "parameters": ("Parameters", "number"),
    "share": ("Share", "share"),
    "output_shape": ("Output", "text"),
    "multiply_adds": ("Multiply-adds", "number"),
    "milliseconds": ("Time", "milliseconds"),
    "estimated": ("Estimated", "milliseconds"),
    "same_as": ("Same weights as", "text"),
    "receptive_field": ("Receptive field", "text"),
    "stride": ("Stride", "text"),
    "settings": ("Settings", "text"),
    "input_shape": ("Input", "text"),
    "trainable": ("Trainable", "number"),
    "weight_bytes": ("Weights", "bytes"),
    "activation_bytes": ("Activations", "bytes"),
    "buffers": ("Buffers", "number"),
    "dtype": ("Dtype", "text"),
    "depth": ("Depth", "number"),
    "note": ("Note", "text"),
}
HELP = {
    "Trainable": "Parameters that training changes, as the file says.",
    "Time": "Milliseconds of one pass, with what is inside the layer; the median of several.",
    "Estimated": "Milliseconds, if its multiply-adds ran as fast as a product of large matrices.",
    "Weights": "Memory of parameters and buffers.",
    "Activations": "Memory of what the layer gives for one image.",
    "Receptive field": "How many pixels of the input each number of the output sees, padding "
                       "included.",
    "Stride": "How many pixels of the input lie between two neighbours of the output.",
    "Buffers": "Numbers that are kept and not trained, such as running means.",
    "Multiply-adds": "For one image.",
    "Share": "Of the network's parameters. Weights that several layers share count in the first.",
    "Same weights as": "Further names of the same layer, or layers whose weights are the same "
                       "tensor: counted once, in the first of them.",
}
FOLDS = "_folds"  # model, levels that are open, names of the branches that are closed
CLOSED = "closed"  # in the address: the levels, and the numbers of the rows that are closed
MOST_CLOSED = 300  # rows that an address can name
ROW, ORDER = "row", "sort"  # in the address: the layer that is chosen, the column that sorts


def layer_tree(everything: pd.DataFrame, shown: pd.DataFrame, outside: str, levels: int | None,
               model_id: str) -> str | None:
    """Draws the rows; gives the name of the layer that was clicked.

    everything: all rows of the model. outside: the layer that holds those shown and is not said.
    levels: how many are open at first, 0 for all; None where what is found is not folded away.
    """
    rows = tree_rows(shown["name"], outside)
    closed = set() if levels is None else _closed(everything, levels, model_id, outside)
    folded = tuple(n for n, name in enumerate(rows.names) if name in closed and n in rows.holders)
    places = {name: number for number, name in enumerate(rows.names)}
    chosen = tree(rows, columns_of(shown), folded,
                  key=f"layers-{model_id}-{hash(tuple(rows.names))}-{levels}",
                  row=places.get(st.query_params.get(ROW)), order=st.query_params.get(ORDER, ""))
    if levels is not None and chosen.folded != folded:
        elsewhere = closed - {rows.names[n] for n in folded}
        names = elsewhere | {rows.names[n] for n in chosen.folded}
        st.session_state[FOLDS] = (model_id, levels, names)
    if levels is not None and st.session_state.get(FOLDS, ())[:2] == (model_id, levels):
        _into_address(everything, levels, st.session_state[FOLDS][2])
    clicked = None if chosen.row is None else rows.names[chosen.row]
    in_address(ROW, clicked)
    in_address(ORDER, chosen.order)
    return clicked


def in_address(name: str, said: str | None) -> None:
    """Sets what the address says of a setting; takes it out where there is nothing to say."""
    if st.query_params.get(name, "") == (said or ""):
        return
    if said:
        st.query_params[name] = said
    else:
        st.query_params.pop(name, None)


def layer_row(table: pd.DataFrame, layer: str) -> None:
    """Draws the row of one layer, where there is one."""
    row = table[table["name"] == layer]
    if len(row):
        tree(tree_rows(row["name"], layer.rpartition(".")[0]), columns_of(row), (),
             key=f"row-{layer}")


def tree_rows(names: pd.Series, outside: str) -> Rows:
    """Names in the order of the tree, each below the nearest of those that hold it and are there;
    of those that are not, as where a search left them out, the label says which they are."""
    places = {name: number for number, name in enumerate(names)}
    labels, holders = [], []
    for name in names:
        dots = [place for place, letter in enumerate(name) if letter == "."]
        above = [name[:place] for place in dots if name[:place] in places]
        said = above[-1] if above else outside
        labels.append(name[len(said) + 1:] if said else name)
        holders.append(places[above[-1]] if above else -1)
    return Rows(list(names), labels, holders)


def columns_of(table: pd.DataFrame) -> list[Column]:
    """Those that say something: weights alone have no shapes."""
    drawn = table.assign(input_shape=table["input_shape"].map(times),
                         output_shape=table["output_shape"].map(times))
    found = []
    for column, (title, kind) in COLUMNS.items():
        if column not in drawn:
            continue
        values = drawn[column].astype(object).where(drawn[column].notna(), None).tolist()
        if any(value not in (None, "") for value in values):
            found.append(Column(title, kind, values, HELP.get(title, "")))
    return found


def _closed(everything: pd.DataFrame, levels: int, model_id: str, outside: str) -> set[str]:
    """The branches that are closed: as they were left, else as the address says, else by level."""
    known = st.session_state.get(FOLDS)
    if known is not None and known[:2] == (model_id, levels):
        return known[2]
    if known is None and (said := _from_address(everything, levels)) is not None:
        return said
    if known is not None:
        st.query_params.pop(CLOSED, None)
    if not levels:
        return set()
    deepest = levels + (outside.count(".") + 1 if outside else 0)
    return set(everything["name"][everything["depth"] >= deepest])


def _into_address(everything: pd.DataFrame, levels: int, names: set[str]) -> None:
    holders = set(everything["name"].str.rpartition(".")[0])
    rows = [n for n, name in enumerate(everything["name"]) if name in names and name in holders]
    if len(rows) > MOST_CLOSED:
        st.query_params.pop(CLOSED, None)
    elif st.query_params.get(CLOSED) != (said := f"{levels}:" + ".".join(map(str, rows))):
        st.query_params[CLOSED] = said


def _from_address(everything: pd.DataFrame, levels: int) -> set[str] | None:
    of, _, rows = st.query_params.get(CLOSED, "").partition(":")
    if of != str(levels):
        return None
    numbers = [int(row) for row in rows.split(".")
               if row.isascii() and row.isdigit() and len(row) < 7]
    return {everything["name"].iloc[number] for number in numbers if number < len(everything)}
