"""A data-flow graph on a canvas: folds, zooms, finds, colours, and says what was clicked."""

from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from core.ui.components import sources

SOURCES = sources("graph", (
    "tree", "ranks", "crossings", "layered", "place", "layout", "palette", "scene", "words",
    "export", "map", "finding", "hands", "view"))
COLOURS = ("multiply_adds", "memory", "parameters", "dead")
_graph = st.components.v2.component("netlens_graph", **asdict(SOURCES))


@dataclass(frozen=True)
class Shown:
    """selected: the id of an item. colour: what the boxes are coloured by, "" for the operator."""

    selected: str | None
    colour: str


def graph(drawn: dict[str, Any], view: str, select: tuple[str | None, int], key: str,
          height: int = 600, dead: dict[str, float] | None = None, colour: str = "") -> Shown:
    """Draws a graph as core.flow.drawing makes it.

    view: folds, zoom and selection are kept by it. select: an item's id and a number; the item is
    selected and brought into view when the number changes, 0 for never. dead: by an item's id, its
    share of dead units, 0 to 1, where it is known. colour: by what at first.
    """
    colour = colour if colour in COLOURS and (dead or colour != "dead") else ""
    result = _graph(
        data={"graph": drawn, "view": view, "select": list(select), "height": height,
              "dead": dead or {}, "colour": colour},
        key=key,
        default={"selected": None, "colour": colour},
        on_selected_change=lambda: None,
        on_colour_change=lambda: None,
    )
    selected = result.selected if isinstance(result.selected, str) else None
    return Shown(selected, result.colour if result.colour in COLOURS else "")
