"""What is in this network?

Torch takes seconds to import. It comes with the parts that need it, so that the table of layers,
which is kept on disk, need not wait.
"""

import streamlit as st

from core.architecture import architecture
from core.ui.boundary import boundary
from core.ui.frame import page
from core.ui.layer_downloads import downloads
from core.ui.layer_times import timing
from core.ui.layer_tree import layer_tree
from core.ui.layers import NO_LAYERS, inside_button, layer_table, shown_layers
from core.ui.network_totals import totals
from core.ui.states import needs_data, sample_button, title
from core.ui.text import md_escape

chosen = page()
title("Architecture")
if chosen.model_id is None:
    st.write(
        "This page shows every layer of a network, its shapes and its weights. Choose a model in "
        "the sidebar."
    )
    sample_button()
    st.stop()


def layers() -> None:
    """The table, and the weights of the layer clicked."""
    everything = layer_table(chosen.model_id, chosen.dataset_id)
    if everything.empty:
        st.write("This file has no layers, only tensors of its own: see Weights.")
        return
    table, outside, levels = shown_layers(everything)
    if table.empty:
        st.write("No layer matches. Remove a letter, or look for a part of the name.")
        return
    clicked = layer_tree(everything, table, outside, levels, chosen.model_id)
    st.caption("Click a row for its weights, its arrow to open or close it, a heading to sort. A "
               "layer's figures include those inside it.")
    found = architecture(chosen.model_id, chosen.dataset_id)
    if found.is_network and everything["is_tensor"].all():
        st.caption(NO_LAYERS)
    if "multiply_adds" in found.totals:  # it runs
        st.caption("Multiply-adds count convolutions and matrix products, attention included; "
                   "nothing elementwise. Shapes are for one image.")
        with boundary("The times"):
            timing(chosen.model_id, chosen.dataset_id)
    if clicked is not None:
        from core.ui.weights import weights_table

        st.subheader(md_escape(clicked), anchor=False)
        inside_button(everything, clicked)
        weights_table(chosen.model_id, clicked, key="layer")
    downloads(table, found)


def graph() -> None:
    """The data flow; of the box clicked its row, its weights and what it gives."""
    from core.ui.box_details import box_details
    from core.ui.flow import clicked_box

    box = clicked_box(chosen.model_id, chosen.dataset_id)
    if box is None:
        st.caption("Click a box to see its row, its weights and what it gives.")
    else:
        box_details(chosen, box)


def weights() -> None:
    """Every tensor."""
    from core.ui.weights import weights_table

    weights_table(chosen.model_id, "", key="weights")


def activations() -> None:
    """What layers give: for one example, over the data, and the gradients that reach them."""
    from core.ui.activations import one_example
    from core.ui.layer_statistics import gradients, over_the_data

    needs_data(chosen, "what each layer gives for an example, and over a sample of the data")
    parts = {"One example": one_example, "Over the data": over_the_data, "Gradients": gradients}
    part = st.segmented_control("Show", list(parts), default="One example", required=True,
                                key="activations", bind="query-params")
    parts[part](chosen)


def beside() -> None:
    """Another checkpoint, tensor by tensor."""
    from core.ui.comparison import accuracies, comparison, other_model

    other_id = other_model(chosen)
    if other_id is None:
        st.write("Choose another checkpoint to see what was added, removed or moved.")
        return
    accuracies(chosen, other_id)
    comparison(chosen, other_id)


with boundary("The totals"):
    totals(chosen.model_id, chosen.dataset_id)
names = ("Layers", "Graph", "Weights", "Activations", "Compare")
parts = (layers, graph, weights, activations, beside)
tabs = st.tabs(names, key="view", on_change="rerun", bind="query-params")
for tab, name, draw in zip(tabs, names, parts, strict=True):
    if tab.open:  # what is closed costs nothing
        with tab, boundary(name):
            draw()
