"""The data flow on the page, and which layer was clicked in it."""

import pandas as pd
import streamlit as st

from core.data_flow import data_flow
from core.flow.drawing import Box, Drawing, drawing
from core.measures.activations import measured_statistics
from core.ui.components.graph import graph
from core.ui.layer_tree import in_address
from core.ui.text import md_escape

TOLD = "_graph_told"  # model, layer last known to be selected, and what the graph was told
BOX, COLOUR = "box", "graph_colour"  # in the address: the item that is selected, the colour


def clicked_box(model_id: str, dataset_id: str | None, selected: str | None = None) -> Box | None:
    """Draws the flow of a network; gives what is selected in it.

    selected: a layer chosen elsewhere on the page, brought into view when it changes.
    """
    flow, drawn = data_flow(model_id, dataset_id), drawing(model_id, dataset_id)
    if flow.missing:
        reason = flow.missing.partition(". ")[0].rstrip(".")  # the page says elsewhere what to do
        st.caption(md_escape(f"The layers, without the flow between them: {reason}.", longest=600))
    of, known, told = st.session_state.get(TOLD, (None, None, (None, 0)))
    if of is None and (asked := st.query_params.get(BOX)) in drawn.boxes:  # a link
        told = asked, 1
    elif of != model_id:
        known, told = None, (None, 0)
    if selected in drawn.ids and selected != known:
        known, told = selected, (drawn.ids[selected], told[1] + 1)
    measured = measured_statistics(model_id, dataset_id)
    dead = dead_shares(drawn, measured)
    shown = graph(drawn.graph, model_id, told, key="data_flow", dead=dead,
                  colour=st.query_params.get(COLOUR, ""))
    box = drawn.boxes.get(shown.selected or "")
    in_address(COLOUR, shown.colour)
    if dataset_id and measured is None and not flow.missing:
        st.caption("Once Activations, Over the data, has measured dead units, they can be a colour "
                   "here.")
    if box or of is not None or not told[1]:  # a link's is selected once it is drawn
        in_address(BOX, shown.selected if box else None)
    st.session_state[TOLD] = (model_id, (box.layer if box else "") or known, told)
    for note in flow.notes:
        st.caption(md_escape(note))
    return box


def dead_shares(drawn: Drawing, measured: pd.DataFrame | None) -> dict[str, float]:
    """By an item's id, the share of dead units where it is that run of a measured layer; an
    operator inside a layer is not the layer."""
    if measured is None:
        return {}
    shares = {(row.layer, row.run - 1): len(row.dead) / max(row.units, 1)
              for row in measured.itertuples()}
    return {item[0]: shares[item[6], item[4]] for item in drawn.graph["items"]
            if item[3] and (item[6], item[4]) in shares}
