"""How pictures enter the network, and the offer of a set-up that is clearly better."""

import json
from typing import Any

import numpy as np
import streamlit as st

from core.card import InputSpec
from core.inference import input_spec
from core.labels import UNKNOWN, Mismatch, class_mismatch
from core.library import open_dataset
from core.model_facts import model_facts
from core.outcomes import truth
from core.preprocess import as_network_sees, nearly_resized, steps
from core.setups.finder import setup_search, share_right
from core.setups.occasion import Occasion, guesses, occasion, runs, tried_on
from core.setups.records import Offer, Search
from core.ui import corrections
from core.ui.picture_pairs import FINER, as_picture, side_by_side, some_pictures
from core.ui.text import count, md_escape, percent

ASKED, ANSWERED = "_setup_asked", "_setup_answered"  # for which model and data


def setup_offer(model_id: str, dataset_id: str) -> None:
    """What differs between the model's and the data's classes, and a clearly better set-up.

    Draws nothing where both fit. May raise Working while set-ups are tried.
    """
    st.session_state.pop(ANSWERED, None)
    if share_right(model_id, dataset_id) is None:
        return
    asked = st.session_state.get(ASKED) == (model_id, dataset_id)
    given = occasion(model_id, dataset_id)
    _classes_differ(model_id, dataset_id, may_ask=not asked and given is Occasion.NONE)
    if not asked and given is Occasion.NONE:
        return
    st.session_state[ANSWERED] = model_id, dataset_id
    if not asked and given is Occasion.GUESSING:
        _no_better_than_guessing(model_id, dataset_id)
        return
    search = setup_search(model_id, dataset_id)
    if search.offer:
        _offer(search, search.offer, dataset_id)
    elif asked or guesses(model_id, dataset_id):
        st.write(f"None of {count(search.tried)} other set-ups is clearly better on "
                 f"{count(search.examples)} examples.")
        _tried(search)


def preprocessing_preview(model_id: str, dataset_id: str, may_try: bool = True) -> None:
    """Pictures as they are and as the network gets them, with the steps in words; may_try: and a
    button that tries other set-ups. Draws nothing where there are weights alone."""
    if model_facts(model_id).weights_only:
        return
    spec, _ = input_spec(model_id, dataset_id)
    found = some_pictures(dataset_id)
    seen = [as_network_sees(nearly_resized(picture, spec), spec) for picture in found]
    low, high = min(map(np.min, seen)), max(map(np.max, seen))
    with st.container(horizontal=True, key="preprocessing"):
        for picture, values in zip(found, seen, strict=True):
            pair = side_by_side(picture, as_picture(values, low, high))
            st.image(pair, width=pair.shape[1] // FINER)
    st.caption("Each as it is, then as the network sees it: "
               f"{md_escape(_in_words(spec, found[0]), 400)}. It gets numbers from {low:,.4g} to "
               f"{high:,.4g}, {np.mean(seen):,.3g} on average.")
    answered = st.session_state.get(ANSWERED) == (model_id, dataset_id)
    if may_try and open_dataset(dataset_id).labels is not None and not answered:
        st.button("Try other set-ups", on_click=_ask, args=(model_id, dataset_id),
                  help="Scores 256 examples with other ranges, means, channel orders, sizes and "
                       "orders of classes, and offers what is clearly better.")


def _no_better_than_guessing(model_id: str, dataset_id: str) -> None:
    """The button on top, where it takes longer than the pass did."""
    with st.container(border=True, key="setup-offer"):
        words, go = st.columns([4, 1], vertical_alignment="center")
        words.markdown(
            "**No better than guessing: were the pictures prepared as in training?**  \n"
            "Other ranges, means, channel orders, sizes and orders of classes can be tried on "
            f"{count(tried_on(dataset_id))} examples. That runs the network up to "
            f"{count(runs(dataset_id))} times; the answers above took "
            f"{count(len(open_dataset(dataset_id)))}."
        )
        go.button("Try other set-ups", type="primary", width="stretch", on_click=_ask,
                  args=(model_id, dataset_id))


def _ask(model_id: str, dataset_id: str) -> None:
    st.session_state[ASKED] = (model_id, dataset_id)


def _in_words(spec: InputSpec, picture: np.ndarray) -> str:
    height, width, channels = picture.shape
    kind = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
    return ", ".join((f"{width} × {height} {kind}", *steps(spec, picture)))


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


def _offer(search: Search, offer: Offer, dataset_id: str) -> None:
    labelled = int((open_dataset(dataset_id).labels != UNKNOWN).sum())
    of = "Of all" if search.examples == labelled else f"Of a sample of {count(search.examples)} of"
    with st.container(border=True, key="setup-offer"):
        words, go = st.columns([4, 1], vertical_alignment="center")
        words.markdown(
            f"**{percent(offer.right / search.examples)} right with "
            f"{md_escape(' and '.join(offer.words))}**  \n"
            f"{of} {count(labelled)} labelled examples, {count(offer.right - search.right)} more "
            f"than now: the best of {count(search.tried)} other set-ups, by more than chance "
            "explains."
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
    each = (search.right, *(row.right for row in search.best))
    with st.expander("What was tried"):
        st.table({
            "Set-up": ["As it is", *(md_escape(", ".join(row.words)) for row in search.best)],
            f"Right of {count(search.examples)}": [
                percent(right / search.examples).replace(" ", "\u00a0") for right in each],
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
