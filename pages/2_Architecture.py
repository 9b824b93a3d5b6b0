"""What is in this network?"""

from functools import partial

import streamlit as st

from core.architecture import architecture
from core.ui.activations import layer_activations, one_example
from core.ui.boundary import boundary
from core.ui.comparison import accuracies, comparison, other_model
from core.ui.flow import graph_view
from core.ui.frame import page
from core.ui.layer_statistics import gradients, over_the_data
from core.ui.layer_times import timing
from core.ui.layers import (
    downloads,
    inside_button,
    layer_frame,
    layer_row,
    layer_table,
    shown_layers,
)
from core.ui.states import needs_data, sample_button, title
from core.ui.text import compact, file_size, md_escape
from core.ui.weights import weights_table

chosen = page()
title("Architecture")
if chosen.model_id is None:
    st.write(
        "This page shows every layer of a network, its shapes and its weights. Choose a model in "
        "the sidebar."
    )
    sample_button()
    st.stop()


def totals() -> None:
    """The answer in one line."""
    found = architecture(chosen.model_id, chosen.dataset_id)
    words = [
        f"{compact(found.totals['parameters'])} parameters in {len(found.table)} layers",
        f"{file_size(found.totals['weight_bytes'])} of weights",
    ]
    if "multiply_adds" in found.totals:
        words += [
            f"{compact(found.totals['multiply_adds'])} multiply-adds for one image",
            f"{file_size(found.totals['peak_activation_bytes'])} of activations at the peak",
        ]
    st.markdown(f"#### {' · '.join(words)}")
    for note in found.notes:
        st.caption(md_escape(note, longest=1000))
    if found.code:
        with st.expander("Lines to copy"):
            st.code(found.code, language="python")


def layers() -> None:
    """The table, and the weights of the layer clicked."""
    everything = layer_table(chosen.model_id, chosen.dataset_id)
    if everything.empty:
        st.write("This file has no layers, only tensors of its own: see Weights.")
        return
    table, outside = shown_layers(everything)
    if table.empty:
        st.write("No layer matches. Remove a letter, or look for a part of the name.")
        return
    key = f"layers-{chosen.model_id}-{hash(tuple(table['name']))}"
    clicked = layer_frame(table, key, outside)
    st.caption("Click a row for its weights. A layer's figures include those inside it.")
    found = architecture(chosen.model_id, chosen.dataset_id)
    if "multiply_adds" in found.totals:  # it runs
        st.caption("Multiply-adds count convolutions and matrix products, attention included; "
                   "nothing elementwise. Shapes are for one image.")
        with boundary("The times"):
            timing(chosen.model_id, chosen.dataset_id)
    if clicked is not None:
        st.subheader(md_escape(clicked), anchor=False)
        inside_button(everything, clicked)
        weights_table(chosen.model_id, clicked, key="layer")
    downloads(table, found, chosen.model_id, chosen.dataset_id)


def graph() -> None:
    """The data flow; of the layer clicked its row, its weights and what it gives."""
    clicked = graph_view(chosen.model_id, chosen.dataset_id)
    if clicked is None:
        st.caption("Click a box to see its row, its weights and what it gives.")
        return
    st.subheader(md_escape(clicked), anchor=False)
    layer_row(layer_table(chosen.model_id, chosen.dataset_id), clicked)
    weights_table(chosen.model_id, clicked, key="box")
    if chosen.dataset_id:
        with boundary("The activations"):
            example = next(iter(chosen.examples), 0)
            st.caption(f"What it gives for example {example}")
            layer_activations(chosen, example, clicked, "box")


def activations() -> None:
    """What layers give: for one example, over the data, and the gradients that reach them."""
    needs_data(chosen, "what each layer gives for an example, and over a sample of the data")
    parts = {"One example": one_example, "Over the data": over_the_data, "Gradients": gradients}
    part = st.segmented_control("Show", list(parts), default="One example", required=True,
                                key="activations", bind="query-params")
    parts[part](chosen)


def beside() -> None:
    """Another checkpoint, tensor by tensor."""
    other_id = other_model(chosen)
    if other_id is None:
        st.write("Choose another checkpoint to see what was added, removed or moved.")
        return
    accuracies(chosen, other_id)
    comparison(chosen, other_id)


with boundary("The totals"):
    totals()
names = ("Layers", "Graph", "Weights", "Activations", "Compare")
weights = partial(weights_table, chosen.model_id, "", key="weights")
parts = (layers, graph, weights, activations, beside)
tabs = st.tabs(names, key="view", on_change="rerun", bind="query-params")
for tab, name, draw in zip(tabs, names, parts, strict=True):
    if tab.open:  # what is closed costs nothing
        with tab, boundary(name):
            draw()
