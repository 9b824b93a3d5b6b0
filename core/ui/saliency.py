"""Parts of the Saliency page: which example, which class, and a map as a picture."""

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.explain import layers_with_maps
from core.images import encoded
from core.inference import input_spec
from core.library import open_dataset
from core.preprocess import resized
from core.saliency import Description, Explanation
from core.ui.components.gallery import gallery
from core.ui.images import cards
from core.ui.selection import put_first
from core.ui.sidebar import Chosen
from core.ui.text import md_escape, percent

PREDICTED = "the predicted class"
AUTOMATIC = "automatic"
CLEARLY = 0.9  # of the figure by chance
SIDE = 320  # pixels of a map on the page
SEQUENTIAL = tuple(st.get_option("theme.chartSequentialColors") or ())


def current_example(chosen: Chosen, table: pd.DataFrame) -> int:
    """The first of the chosen examples; a click on another card puts that one first."""
    there = [e for e in chosen.examples if e in set(table["example"])]
    if not there:
        hardest = table["loss"].idxmax() if "loss" in table and table["loss"].notna().any() else 0
        there = [int(table["example"].iloc[hardest])]
        st.caption(
            "No example is chosen, so this is the hardest. Click points or pictures on other "
            "pages to choose more."
            if "loss" in table
            else "No example is chosen, so this is the first."
        )
    rows = table.set_index("example", drop=False).loc[there]
    clicked = gallery(cards(chosen.dataset_id, rows, 64), (there[0],), "strip", 72, "strip")
    if clicked is not None and clicked != there[0]:
        put_first(clicked)
    return there[0]


def prediction_line(table: pd.DataFrame, example: int) -> None:
    """The answer in words: what was said, how sure, and what the label is."""
    row = table[table["example"] == example].iloc[0]
    words = f"#### {md_escape(row['prediction'])} ({percent(row['confidence'])})"
    if isinstance(row.get("label"), str):
        words += (
            ", as the label says"
            if row["correct"]
            else f", and the label says {md_escape(row['label'])}"
        )
    st.markdown(words)


def target_choice(names: tuple[str, ...], place: DeltaGenerator) -> str:
    """The class whose score is explained."""
    return place.selectbox(
        "Explain",
        [PREDICTED, *names],
        key="target",
        bind="query-params",
        help="Choose another class to see what speaks for it instead.",
    )


def layer_choice(model_id: str, dataset_id: str, place: DeltaGenerator) -> str | None:
    """The layer for methods that need one; automatic takes the last that shows places."""
    chosen = place.selectbox(
        "Layer",
        [AUTOMATIC, *layers_with_maps(model_id, dataset_id)],
        key="saliency_layer",
        bind="query-params",
        help="For Grad-CAM. Automatic: the last layer that still tells places apart.",
    )
    return None if chosen == AUTOMATIC else chosen


def map_picture(chosen: Chosen, example: int, found: Explanation | None, strength: float) -> None:
    """The picture as the network gets it, with the map's colours over it."""
    spec, _ = input_spec(chosen.model_id, chosen.dataset_id)
    picture = resized(open_dataset(chosen.dataset_id).image(example), spec)
    picture = picture if picture.shape[2] == 3 else np.repeat(picture[..., :1], 3, axis=2)
    if found is not None:
        picture = blended(picture, found.map, strength)
    st.image(encoded(picture, SIDE), width="stretch")
    if found is not None:
        _colour_bar(found.high)


def blended(picture: np.ndarray, values: np.ndarray, strength: float) -> np.ndarray:
    """uint8 (H, W, 3): `strength` of the map's colours, from 0 to its highest, over the picture."""
    share = np.clip(values / max(float(values.max()), 1e-30), 0, 1)
    return np.round(picture * (1 - strength) + colours_of(share) * strength).astype(np.uint8)


def colours_of(share: np.ndarray) -> np.ndarray:
    """Values 0 to 1 (H, W) as colours of the sequential scale, 0 to 255 (H, W, 3)."""
    stops = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in SEQUENTIAL])
    places = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(share, places, stops[:, channel]) for channel in range(3)], axis=-1)


def _colour_bar(high: float) -> None:
    """What the colours stand for, from 0 to the map's highest value."""
    ramp = np.tile(np.linspace(0, 1, SIDE), (10, 1))
    st.image(encoded(colours_of(ramp).round().astype(np.uint8), SIDE), width="stretch")
    st.caption(f"from 0 to {high:.3g}")


def trust_line(found: Explanation, method: Description) -> None:
    """How far the map is to be trusted, its layer, and its source."""
    if found.layer:
        st.caption(f"Layer {md_escape(found.layer)}")
    if found.deletion is not None:
        better = found.deletion < CLEARLY * found.random_deletion
        verdict = (
            "better than chance"
            if better
            else "not clearly better than chance, so do not rely on it"
        )
        st.caption(
            f"While what it marks is blurred out, the class keeps {percent(found.deletion)} "
            f"on average; in random order {percent(found.random_deletion)}: {verdict}."
        )
    for note in found.notes:
        st.caption(md_escape(note, longest=400))
    st.caption(f"{method.caution} [Source]({method.source})")
