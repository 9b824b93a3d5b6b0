"""What does it tell apart, and where?"""

import streamlit as st

from core.embeddings import layer_map, pixel_map
from core.inference import POOLINGS
from core.outcomes import examples
from core.ui.boundary import boundary
from core.ui.charts import linked_scatter
from core.ui.embeddings import colour_choice, layer_choice, map_table, trust_line
from core.ui.frame import page
from core.ui.images import image_pool, in_order
from core.ui.picture_route import pictures_of
from core.ui.setup import classes_note
from core.ui.states import needs_data, title
from core.ui.text import md_escape, percent

chosen = page()
title("Embeddings")
needs_data(chosen, "the data as two maps, by pixels and as a hidden layer sees it")


def maps() -> None:
    """Pixels beside a layer, one selection for both."""
    first, second, third = st.columns([2, 1.2, 2], vertical_alignment="bottom")
    layer = layer_choice(chosen.model_id, chosen.dataset_id, first)
    pooling = second.segmented_control(
        "Pooling",
        list(POOLINGS),
        default="mean",
        required=True,
        key="pooling",
        bind="query-params",
        help="How a layer's map becomes one number a channel.",
    )
    with third:
        colour = colour_choice(chosen.model_id, chosen.dataset_id)
    classes_note(chosen.model_id, chosen.dataset_id)
    pixels = pixel_map(chosen.dataset_id)
    hidden = layer_map(chosen.model_id, chosen.dataset_id, layer, pooling)
    if pixels.neighbour_accuracy is not None and hidden.neighbour_accuracy is not None:
        st.markdown(
            f"#### Neighbours share the label in {percent(pixels.neighbour_accuracy)} of examples "
            f"by pixels, in {percent(hidden.neighbour_accuracy)} by {md_escape(layer)}"
        )
    table = map_table(chosen.model_id, chosen.dataset_id, pixels, hidden)
    places = linked_scatter(
        table,
        [("pixel_x", "pixel_y", "Pixels (PCA)"), ("layer_x", "layer_y", f"{layer} (PCA)")],
        colour,
        key=f"maps-{chosen.dataset_id}-{layer}-{pooling}",
        pictures=pictures_of(chosen.dataset_id),
    )
    for place, shown in zip(places, (pixels, hidden), strict=True):
        with place:
            trust_line(shown)


def chosen_examples() -> None:
    """The cards of what was clicked."""
    st.subheader("Chosen examples")
    if not chosen.examples:
        st.write("Click a point to see its picture; Shift adds to the choice.")
        return
    table = examples(chosen.model_id, chosen.dataset_id)
    rows = in_order(table, chosen.examples[::-1])
    image_pool(chosen.dataset_id, rows, key="chosen", form="low")
    st.page_link(
        "pages/6_Saliency.py",
        label="What does the network look at in them?",
        icon=":material/arrow_forward:",
    )


with boundary("The maps"):
    maps()
with boundary("The chosen examples"):
    chosen_examples()
