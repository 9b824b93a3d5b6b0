"""What is behind a box of the graph: its row, its weights, and what it gives for an example."""

import pandas as pd
import streamlit as st

from core.data_flow import data_flow, operation_output
from core.flow.drawing import Box
from core.flow.operations import Flow, Operation
from core.library import open_dataset
from core.ui.activations import layer_activations, output_picture
from core.ui.boundary import boundary
from core.ui.layer_tree import layer_row
from core.ui.layers import layer_table, times
from core.ui.sidebar import Chosen
from core.ui.text import md_escape, plural
from core.ui.weights import weights_table

MOST_NAMED = 6  # neighbours that a cell lists
HELP = {
    "Multiply-adds": "For one image; convolutions and matrix products, nothing elementwise.",
    "Written": "Memory of what it makes room for: nothing where it works in place or only looks "
               "at the same numbers in another way.",
}


def box_details(chosen: Chosen, box: Box) -> None:
    """A layer's row and weights, or an operation's; and what it gives for the first example."""
    flow = data_flow(chosen.model_id, chosen.dataset_id)
    if box.is_layer or flow.missing:
        _layer(chosen, box, flow)
    else:
        _operation(chosen, box, flow)
    if not chosen.dataset_id or flow.missing:
        return
    with boundary("The activations"):
        example = next(iter(chosen.examples), 0)
        number = open_dataset(chosen.dataset_id).numbers([example])[0]
        st.caption(f"What it gives for example {number}")
        if box.is_layer:
            layer_activations(chosen, example, box.layer, "box", box.run)
        else:
            found = operation_output(chosen.model_id, chosen.dataset_id, example, box.position)
            operator = flow.operations[box.position].operator
            output_picture(chosen, example, found, operator, f"box-{box.position}")


def _layer(chosen: Chosen, box: Box, flow: Flow) -> None:
    st.subheader(md_escape(box.layer or "The network itself"), anchor=False)
    if (runs := runs_of(flow, box.layer)) > 1:
        st.caption(f"Run {box.run} of {runs}; the row is of the layer, its shapes of its last run.")
    layer_row(layer_table(chosen.model_id, chosen.dataset_id), box.layer)
    weights_table(chosen.model_id, box.layer, key="box")


def _operation(chosen: Chosen, box: Box, flow: Flow) -> None:
    operation = flow.operations[box.position]
    inside = f" in {box.layer}" if box.layer else ""
    again = f", run {box.run}" if runs_of(flow, box.layer) > 1 else ""
    st.subheader(md_escape(f"{operation.operator}{inside}{again}"), anchor=False)
    row = operation_row(flow, box.position)
    st.dataframe(row, hide_index=True, column_config={
        "Multiply-adds": st.column_config.NumberColumn(format="localized",
                                                       help=HELP["Multiply-adds"]),
        "Written": st.column_config.NumberColumn(format="bytes", help=HELP["Written"]),
    })
    if operation.weights:
        names = sorted(operation.weights)
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        said = ", ".join(md_escape(name) for name in names[:MOST_NAMED])
        st.caption(f"It reads {plural(len(names), 'tensor')} of weights: {said}{more}.")


def runs_of(flow: Flow, layer: str) -> int:
    """How often a layer runs for one input; 0 where it never does, or is the network itself."""
    return len({call for operation in flow.operations for call in operation.calls
                if call.layer == layer})


def operation_row(flow: Flow, position: int) -> pd.DataFrame:
    """One row: what an operation is, reads and gives."""
    operation = flow.operations[position]
    into = sorted({(edge.source, edge.shape) for edge in flow.edges if edge.target == position})
    readers = sorted({edge.target for edge in flow.edges if edge.source == position})
    return pd.DataFrame([{
        "Operator": operation.operator,
        "Input": _list([times(shape) for _, shape in into]),
        "Output": _list([times(shape) for shape in operation.shapes]),
        "Multiply-adds": operation.multiply_adds,
        "Written": operation.memory,
        "Reads from": _list([_title(flow.operations[source]) for source, _ in into]),
        "Read by": _list([_title(flow.operations[reader]) for reader in readers]),
    }])


def _title(operation: Operation) -> str:
    """An operation among others: its operator, and the layer around it."""
    layer = operation.layer
    return f"{operation.operator} in {layer}" if layer else operation.operator


def _list(words: list[str]) -> str:
    more = f" and {len(words) - MOST_NAMED} more" if len(words) > MOST_NAMED else ""
    return ", ".join(words[:MOST_NAMED]) + more
