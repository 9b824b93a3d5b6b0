"""What is in this network?"""

import streamlit as st

from core.architecture import architecture
from core.ui.boundary import boundary
from core.ui.comparison import accuracies, comparison, other_model
from core.ui.flow import graph_view
from core.ui.frame import page
from core.ui.layers import found_layers, layer_frame
from core.ui.states import sample_button, title
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
    """The table, searched by name, type or shape, and the weights of the layer clicked."""
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    words = left.text_input(
        "Find",
        key="find",
        bind="query-params",
        placeholder="name, type, dtype or shape",
        help='For example conv, "Linear" (quotes: the whole word), float32, 64,32,32 or 64.',
    )
    deepest = right.toggle(
        "Only outermost",
        key="outermost",
        bind="query-params",
        help="Leaves out the layers inside other layers.",
    )
    table = found_layers(architecture(chosen.model_id, chosen.dataset_id).table, words, deepest)
    if table.empty:
        st.write("No layer matches. Remove a letter, or look for a part of the name.")
        return
    clicked = layer_frame(table, key=f"layers-{chosen.model_id}-{words}-{deepest}")
    st.caption(
        "Multiply-adds count convolutions and matrix products, attention included; nothing "
        "elementwise. Shapes are for one image."
    )
    if clicked is not None:
        st.subheader(md_escape(clicked), anchor=False)
        weights_table(chosen.model_id, clicked, key="layer")
    st.download_button("Download as CSV", table.to_csv(index=False), "layers.csv", "text/csv")


def graph() -> None:
    """The data flow, and the weights of the layer clicked."""
    clicked = graph_view(chosen.model_id, chosen.dataset_id)
    if clicked is None:
        st.caption("Click a box to see its weights.")
        return
    st.subheader(md_escape(clicked), anchor=False)
    weights_table(chosen.model_id, clicked, key="box")


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
names = ("Layers", "Graph", "Weights", "Compare")
parts = (layers, graph, lambda: weights_table(chosen.model_id, "", key="weights"), beside)
tabs = st.tabs(names, key="view", on_change="rerun", bind="query-params")
for tab, name, draw in zip(tabs, names, parts, strict=True):
    if tab.open:  # what is closed costs nothing
        with tab, boundary(name):
            draw()
