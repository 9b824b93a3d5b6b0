"""Parallel axes on a canvas: a line a run; axes are moved, brushed and rescaled."""

from dataclasses import asdict

import streamlit as st

from core.runs.parallel_axes import Axis
from core.ui.components import sources

SOURCES = sources("parallel", ("scale", "look", "axes", "menu", "state", "hover", "hands", "view"))
_parallel = st.components.v2.component("netlens_parallel", **asdict(SOURCES))


def parallel(axes: list[Axis], runs: list[str], colours: list[str], colour: str, view: str,
             key: str, height: int = 400) -> str:
    """Draws a line a run and gives the view: JSON of order, scales, flipped, colour and brushes.

    colours: one a run. colour: the axis that colours the lines unless the view says another, "" for
    the runs' own. view: what is shown at first; from then on the drawing keeps its own.
    """
    result = _parallel(
        data={"axes": [asdict(axis) for axis in axes], "runs": runs, "colours": colours,
              "colour": colour, "view": view, "height": height},
        key=key,
        default={"view": view},
        on_view_change=lambda: None,
    )
    return result.view or ""
