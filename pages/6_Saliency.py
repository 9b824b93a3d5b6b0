"""What does it look at?"""

import streamlit as st

from core.explain import explanation, methods, why_not
from core.outcomes import outcomes, truth
from core.ui.boundary import boundary
from core.ui.frame import page
from core.ui.saliency import (
    PREDICTED,
    current_example,
    layer_choice,
    map_picture,
    prediction_line,
    target_choice,
    trust_line,
)
from core.ui.setup import classes_note
from core.ui.states import needs_data, title

chosen = page()
title("Saliency")
needs_data(chosen, "which pixels of an example moved the score of a class")


def maps() -> None:
    """One example: its picture, then one map a method, side by side."""
    classes_note(chosen.model_id, chosen.dataset_id)
    table = outcomes(chosen.model_id, chosen.dataset_id)
    example = current_example(chosen, table)
    names = truth(chosen.model_id, chosen.dataset_id).class_names
    prediction_line(table, example)
    first, second, third = st.columns(3)
    target = target_choice(names, first)
    layer = layer_choice(chosen.model_id, chosen.dataset_id, second)
    strength = third.slider(
        "Picture to map",
        0.0,
        1.0,
        0.6,
        0.05,
        key="strength",
        bind="query-params",
        help="0 shows the picture alone, 1 the map alone.",
    )
    columns = st.columns(len(methods()) + 1)
    with columns[0]:
        st.markdown("**What the network gets**")
        map_picture(chosen, example, None, 0.0)
    for column, (name, method) in zip(columns[1:], methods().items(), strict=True):
        with column, boundary(method.title):
            st.markdown(f"**{method.title}**")
            one_map(
                example,
                name,
                None if target == PREDICTED else names.index(target),
                layer if method.needs_layer else None,
                strength,
            )


def one_map(
    example: int, name: str, target: int | None, layer: str | None, strength: float
) -> None:
    """A method's map over the picture, and how far to trust it."""
    method = methods()[name]
    if layer and (reason := why_not(chosen.model_id, chosen.dataset_id, example, name, layer)):
        st.write(reason)
        return
    found = explanation(chosen.model_id, chosen.dataset_id, example, name, target, layer)
    map_picture(chosen, example, found, strength)
    trust_line(found, method)


with boundary("The maps"):
    maps()
