"""A table whose rows are a tree: branches open and close, columns sort, a click chooses a row."""

import json
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from core.ui.components import sources

SOURCES = sources("tree", ("order", "words", "cells", "hands", "view"))
_tree = st.components.v2.component("netlens_tree", **asdict(SOURCES))


@dataclass(frozen=True)
class Column:
    """title; help: shown where the mouse rests; kind: text, name (may be shortened), number
    (whole), decimal (three digits), bytes, share (with a bar), percent or milliseconds. values:
    one a row, None where there is none."""

    title: str
    kind: str
    values: list[Any]
    help: str = ""


@dataclass(frozen=True)
class Rows:
    """names: whole, one a row. labels: what is said of them below the rows that hold them. holders:
    the number of the row that holds each, -1 for none; it comes before."""

    names: list[str]
    labels: list[str]
    holders: list[int]


@dataclass(frozen=True)
class Chosen:
    """row: the number of the one that was clicked. folded: numbers of those that are closed.
    order: the title of the column that sorts, after a - where its largest come first; "" for the
    order of the tree."""

    row: int | None
    folded: tuple[int, ...]
    order: str = ""


def tree(rows: Rows, columns: list[Column], folded: tuple[int, ...], key: str,
         heading: str = "Layer", height: int = 620, row: int | None = None,
         order: str = "") -> Chosen:
    """Draws the rows; only those in view, so that thousands cost no more than a few.

    folded: the rows that are closed at first; row, order: what is chosen and how it is sorted at
    first. From then on the table keeps its own, until another `key` draws another.
    """
    titles = {heading, *(column.title for column in columns)}
    order = order if order.removeprefix("-") in titles else ""
    result = _tree(
        data={"rows": asdict(rows), "columns": [asdict(column) for column in columns],
              "folded": list(folded), "heading": heading, "height": height, "row": row,
              "order": order},
        key=key,
        default={"row": row, "folded": None, "order": order},
        on_row_change=lambda: None,
        on_folded_change=lambda: None,
        on_order_change=lambda: None,
    )
    row, order = result.row, result.order
    known = type(row) is int and 0 <= row < len(rows.names)
    sorts = isinstance(order, str) and order.removeprefix("-") in titles
    return Chosen(row if known else None, _numbers(result.folded, folded, len(rows.names)),
                  order if sorts else "")


def _numbers(said: Any, otherwise: tuple[int, ...], below: int) -> tuple[int, ...]:
    """What the browser told as JSON, which may be anything."""
    if not isinstance(said, str):
        return otherwise
    try:
        found = json.loads(said)
    except ValueError:
        return otherwise
    if not isinstance(found, list):
        return otherwise
    return tuple(number for number in found if type(number) is int and 0 <= number < below)
