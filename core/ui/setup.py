"""How pictures enter the network, and the offer of a set-up that is clearly better."""

import json
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from core.card import InputSpec
from core.errors import UserError
from core.inference import input_spec
from core.labels import Mismatch, class_mismatch
from core.library import open_dataset
from core.model_facts import model_facts
from core.outcomes import truth
from core.preprocess import as_network_sees, nearly_resized, steps
from core.setups.finder import setup_search, share_met, share_right
from core.setups.records import Offer, Search
from core.ui import corrections
from core.ui.text import count, md_escape, percent

SHOWN = 3  # pictures in the preview
TRIED = 4  # for each of them, where one cannot be read
SIDE = 54  # pixels of each
GAP = 4
FINER = 2  # pixels sent for each on the page: screens have more of them
DOUBTFUL = 0.9  # share right below which other set-ups are tried unasked, if that is quick
MOST = 0.5  # share of labels that the network can know, below which others are not tried unasked
QUICK = 128 * 128  # pixels of an input for which it is
ASKED, ANSWERED = "_setup_asked", "_setup_answered"  # for which model and data


def setup_offer(model_id: str, dataset_id: str) -> None:
    """What differs between the model's and the data's classes, and a clearly better set-up.

    Draws nothing where both fit. May raise Working while set-ups are tried.
    """
    st.session_state.pop(ANSWERED, None)
    share = share_right(model_id, dataset_id)
    if share is None:
        return
    spec, _ = input_spec(model_id, dataset_id)
    asked = st.session_state.get(ASKED) == (model_id, dataset_id)
    unasked = (share < DOUBTFUL and spec.height * spec.width <= QUICK
               and share_met(model_id, dataset_id) >= MOST)
    _classes_differ(model_id, dataset_id, may_ask=not (asked or unasked))
    if not (asked or unasked):
        return
    st.session_state[ANSWERED] = model_id, dataset_id
    search = setup_search(model_id, dataset_id)
    if search.offer:
        _offer(search, search.offer)
    elif asked:
        st.write(f"None of {count(search.tried)} other set-ups is clearly better on "
                 f"{count(search.examples)} examples.")
        _tried(search)


def preprocessing_preview(model_id: str, dataset_id: str, may_try: bool = True) -> None:
    """Pictures as they are and as the network gets them, with the steps in words; may_try: and a
    button that tries other set-ups. Draws nothing where there are weights alone."""
    if model_facts(model_id).weights_only:
        return
    spec, _ = input_spec(model_id, dataset_id)
    found = _some_pictures(dataset_id)
    seen = [as_network_sees(nearly_resized(picture, spec), spec) for picture in found]
    low, high = min(map(np.min, seen)), max(map(np.max, seen))
    with st.container(horizontal=True, key="preprocessing"):
        for picture, values in zip(found, seen, strict=True):
            pair = _side_by_side(picture, _as_picture(values, low, high))
            st.image(pair, width=pair.shape[1] // FINER)
    st.caption("Each as it is, then as the network sees it: "
               f"{md_escape(_in_words(spec, found[0]), 400)}. It gets numbers from {low:,.4g} to "
               f"{high:,.4g}, {np.mean(seen):,.3g} on average.")
    answered = st.session_state.get(ANSWERED) == (model_id, dataset_id)
    if may_try and open_dataset(dataset_id).labels is not None and not answered:
        st.button("Try other set-ups", on_click=_ask, args=(model_id, dataset_id),
                  help="Scores 256 examples with other ranges, means, channel orders, sizes and "
                       "orders of classes, and offers what is clearly better.")


def _ask(model_id: str, dataset_id: str) -> None:
    st.session_state[ASKED] = (model_id, dataset_id)


def _in_words(spec: InputSpec, picture: np.ndarray) -> str:
    height, width, channels = picture.shape
    kind = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
    return ", ".join((f"{width} × {height} {kind}", *steps(spec, picture)))


def _some_pictures(dataset_id: str) -> list[np.ndarray]:
    """A few from all over the data. Raises UserError where none can be read."""
    data, found = open_dataset(dataset_id), []
    rows = np.linspace(0, len(data) - 1, SHOWN * TRIED).astype(int)
    for part in np.array_split(np.unique(rows), SHOWN):
        for row in part.tolist():
            try:
                found.append(data.image(row))
                break
            except UserError as error:
                last = error
    if not found:
        raise last
    return found


def _as_picture(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """A network's input (H, W, C) by its own channels as red, green, blue; darkest is lowest."""
    scaled = (values - low) / max(high - low, 1e-6) * 255
    return np.round(scaled).astype(np.uint8)


def _side_by_side(*pictures: np.ndarray) -> np.ndarray:
    """Pictures at one height with a transparent gap between them: uint8 (H, W, 4)."""
    height, parts = SIDE * FINER, []
    for picture in pictures:
        colour = picture.shape[2] == 3
        image = Image.fromarray(picture if colour else picture[..., 0]).convert("RGBA")
        width = round(height * min(2, max(0.5, image.width / image.height)))
        larger = image.height < height
        how = Image.Resampling.NEAREST if larger else Image.Resampling.BILINEAR
        parts += [np.zeros((height, GAP * FINER, 4), np.uint8),
                  np.asarray(image.resize((width, height), how))]
    return np.concatenate(parts[1:], axis=1)


def classes_note(model_id: str, dataset_id: str) -> None:
    """Where answers are compared with labels: that the classes of model and data do not meet;
    nothing of a network without classes."""
    if not model_facts(model_id).card.has_classes:
        return
    mismatch, note = _mismatch(model_id, dataset_id)
    if mismatch:
        st.warning(md_escape(f"{mismatch.reason} {note}", 800), icon=":material/rule:")
        st.page_link("pages/1_Overview.py", label="How they can meet: see the Overview",
                     icon=":material/arrow_forward:")


def _mismatch(model_id: str, dataset_id: str) -> tuple[Mismatch | None, str]:
    """What differs between the classes, and how labels meet them meanwhile."""
    data, known = open_dataset(dataset_id), truth(model_id, dataset_id)
    stated = model_facts(model_id).card.class_names
    return (
        class_mismatch(len(known.class_names), stated, data.class_names, data.labels), known.note
    )


def _classes_differ(model_id: str, dataset_id: str, may_ask: bool) -> None:
    mismatch, note = _mismatch(model_id, dataset_id)
    if mismatch is None:
        return
    st.warning(md_escape(f"{mismatch.reason} {note}", 800), icon=":material/rule:")
    with st.container(horizontal=True, key="class-proposals"):
        for proposal in mismatch.proposals:
            if st.button(proposal.title, key=f"classes-{proposal.title}"):
                _apply({"class_names": list(proposal.class_names)})
        if may_ask:
            st.button("What the predictions suggest", on_click=_ask,
                      args=(model_id, dataset_id))


def _offer(search: Search, offer: Offer) -> None:
    before, after = (percent(right / search.examples) for right in (search.right, offer.right))
    with st.container(border=True, key="setup-offer"):
        words, go = st.columns([4, 1], vertical_alignment="center")
        words.markdown(
            f"**{before} → {after} right with {md_escape(' and '.join(offer.words))}**  \n"
            f"On {count(search.examples)} examples, the best of {count(search.tried)} other "
            "set-ups, by more than chance explains."
        )
        if offer.open:
            words.markdown(f"The model card has no words for {' and '.join(offer.open)}: "
                           "prepare the data so.")
        merged = _merged(offer.correction or {})
        if len(json.dumps(merged)) > corrections.LONGEST:
            go.download_button("Download", json.dumps(merged), "model.card.json",
                               help="Too long for this page: put it beside the model file.")
        elif offer.correction and go.button("Apply", type="primary", width="stretch",
                                            help="States it as a correction of the model card."):
            _apply(offer.correction)
        _tried(search)


def _tried(search: Search) -> None:
    with st.expander("What was tried"):
        st.table({
            "Set-up": ["As it is", *(md_escape(", ".join(row.words)) for row in search.best)],
            "Right": [percent(right / search.examples).replace(" ", "\u00a0")
                      for right in (search.right, *(row.right for row in search.best))],
        })
        st.caption(md_escape(" ".join(search.notes), 400))


def _merged(correction: dict[str, Any]) -> dict[str, Any]:
    """What the session states already, with this added."""
    said = corrections.said()
    given = said.get("input")
    whole = (given if isinstance(given, dict) else {}) | correction.get("input", {})
    return said | correction | ({"input": whole} if whole else {})


def _apply(correction: dict[str, Any]) -> None:
    corrections.state(_merged(correction))
