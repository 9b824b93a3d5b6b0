"""The tensors of a model as a tree that opens and closes, below the modules that hold them."""

import math
from typing import Any

import pandas as pd
import streamlit as st

from core.ui.components.tree import Column, Rows, tree
from core.ui.layer_tree import in_address
from core.ui.layers import times

COLUMNS = {  # of the statistics: title, kind
    "shape": ("Shape", "text"),
    "parameters": ("Numbers", "number"),
    "min": ("Min", "decimal"),
    "max": ("Max", "decimal"),
    "mean": ("Mean", "decimal"),
    "std": ("Std", "decimal"),
    "norm": ("Norm", "decimal"),
    "zeros": ("Zeros", "percent"),
    "nan": ("NaN", "number"),
    "infinite": ("Infinite", "number"),
    "attention": ("Attention", "text"),
    "dtype": ("Dtype", "text"),
    "same_as": ("Same as", "text"),
}
SUMMED = ("parameters", "nan", "infinite")  # what is said of a module, too
OPTIONAL = ("nan", "infinite", "same_as", "attention")  # left out where no tensor has one
HELP = {
    "Numbers": "Of a module the sum of those inside it, each tensor once.",
    "Zeros": "Share of the numbers that are exactly zero.",
    "Std": "Standard deviation.",
    "Norm": "Euclidean norm of all numbers.",
    "NaN": "Numbers that are NaN; not counted in the others.",
    "Infinite": "Numbers that are infinite; not counted in the others.",
    "Same as": "The tensor is stored once and has several names.",
    "Attention": "Told by the tensor's name and shape, as libraries name and pack them.",
}
ALL_OPEN = 60  # rows; of a longer tree the outermost modules are open
Row = dict[str, Any]


def weight_tree(table: pd.DataFrame, below: str, found: bool, key: str) -> str | None:
    """Draws the tensors of a table of core.weights; gives the name of the one that was clicked.

    below: the module that holds them and is not said. found: they were looked for, so that no
    branch hides them.
    """
    lines, holders = tensor_rows(table, below)
    names = [line["name"] for line in lines]
    labels = [name if said < 0 else name[len(names[said]) + 1:]
              for name, said in zip(names, holders, strict=True)]
    if below:
        labels = [label.removeprefix(f"{below}.") for label in labels]
    address, sorting = f"{key}-tensor", f"{key}-sort"
    places = {line["name"]: number for number, line in enumerate(lines) if line["is_tensor"]}
    row = places.get(st.query_params.get(address))
    folded = () if found or len(lines) <= ALL_OPEN else closed_at_first(holders, row)
    chosen = tree(Rows(names, labels, holders), statistics_columns(lines), folded, heading="Tensor",
                  key=f"{key}-tensors-{below}-{hash(tuple(names))}",
                  row=row, order=st.query_params.get(sorting, ""))
    row = chosen.row
    name = names[row] if row is not None and lines[row]["is_tensor"] else None
    in_address(address, name)
    in_address(sorting, chosen.order)
    return name


def closed_at_first(holders: list[int], row: int | None) -> tuple[int, ...]:
    """Rows inside others that hold some, but for those around the row that is chosen."""
    closed = {holder for holder in holders if holder >= 0 and holders[holder] >= 0}
    while row is not None and row >= 0:
        row = holders[row]
        closed.discard(row)
    return tuple(sorted(closed))


def tensor_rows(table: pd.DataFrame, below: str) -> tuple[list[Row], list[int]]:
    """The tensors and the modules around them, those of one module together, in the order of the
    table; and for each the number of the row that holds it, -1 for none."""
    outside = below.count(".") + 1 if below else 0
    inside: dict[str, list[Row]] = {below: []}
    for tensor in table.to_dict("records"):
        parts = tensor["name"].split(".")
        holder = below
        for depth in range(outside + 1, len(parts)):
            module = ".".join(parts[:depth])
            if module not in inside:
                inside[module] = []
                inside[holder].append({"name": module, "is_tensor": False})
            holder = module
        inside[holder].append(tensor | {"is_tensor": True})
    rows: list[Row] = []
    holders: list[int] = []
    waiting = [(row, -1) for row in reversed(inside[below])]
    while waiting:  # no recursion: names may be nested as deep as a file likes
        row, holder = waiting.pop()
        rows.append(row)
        holders.append(holder)
        if not row["is_tensor"]:
            place = len(rows) - 1
            waiting += [(part, place) for part in reversed(inside[row["name"]])]
    _sum_up(rows, holders)
    return rows, holders


def _sum_up(rows: list[Row], holders: list[int]) -> None:
    """What the tensors of a module have together, a tensor with several names once."""
    for row in rows:
        if not row["is_tensor"]:
            row |= dict.fromkeys(SUMMED, 0)
    for row, holder in zip(reversed(rows), reversed(holders), strict=True):
        if holder >= 0 and not row.get("same_as"):
            for column in SUMMED:
                rows[holder][column] += row[column]


def statistics_columns(rows: list[Row]) -> list[Column]:
    """Those that say something, the least asked for last."""
    found = []
    for column, (title, kind) in COLUMNS.items():
        values = [_said(row.get(column)) for row in rows]
        if column not in OPTIONAL or any(values):
            found.append(Column(title, kind, values, HELP.get(title, "")))
    return found


def _said(value: Any) -> Any:
    """As JSON has it: a shape in words, nothing for what is no number."""
    if isinstance(value, (tuple, list)):
        return times(tuple(value))
    return None if isinstance(value, float) and not math.isfinite(value) else value
