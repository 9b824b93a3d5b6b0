"""A data-flow graph on a canvas: folds, zooms, finds, colours, and says what was clicked."""

from dataclasses import asdict
from typing import Any

import streamlit as st

from core.ui.components import sources

SOURCES = sources("graph", (
    "tree", "ranks", "crossings", "layered", "place", "layout", "palette", "scene", "words",
    "export", "map", "finding", "hands", "view"))
_graph = st.components.v2.component("netlens_graph", **asdict(SOURCES))


def graph(drawn: dict[str, Any], view: str, select: tuple[str | None, int], key: str,
          height: int = 600, dead: dict[str, float] | None = None) -> str | None:
    """Draws a graph as core.flow.drawing makes it; gives the id of the item that is selected.

    view: folds, zoom and selection are kept by it. select: an item's id and a number; the item is
    selected and brought into view when the number changes, 0 for never. dead: by an item's id, its
    share of dead units, 0 to 1, where it is known.
    """
    result = _graph(
        data={"graph": drawn, "view": view, "select": list(select), "height": height,
              "dead": dead or {}},
        key=key,
        default={"selected": None},
        on_selected_change=lambda: None,
    )
    return result.selected
