"""What a page shows when something it needs is missing; and the titles."""

import streamlit as st

from core.library import open_dataset
from core.ui import corrections
from core.ui.sidebar import Chosen
from core.ui.text import md_escape


def title(words: str) -> None:
    """The page's title."""
    st.title(words, anchor=False)


def needs_data(chosen: Chosen, shows: str) -> None:
    """Ends the page with one sentence on what to give, where the model or the data is missing."""
    missing = [
        name
        for name, there in (("a model", chosen.model_id), ("a data set", chosen.dataset_id))
        if not there
    ]
    if missing:
        st.write(f"This page shows {shows}. Choose {' and '.join(missing)} in the sidebar.")
        sample_button()
        st.stop()
    sampled_note(chosen)


def sampled_note(chosen: Chosen) -> None:
    """That only a sample of the data is used, where it is."""
    for note in open_dataset(chosen.dataset_id).notes if chosen.dataset_id else ():
        if note.startswith("A sample of"):
            st.caption(md_escape(note))


def sample_button() -> None:
    """Opens the sample model with its data and logs, as they are."""
    if st.button("Open the sample"):
        for kind, name in (
            ("models", "shapes-cnn.safetensors"),
            ("data", "shapes-test.json"),
            ("logs", "logs/shapes"),
        ):
            st.session_state[f"_next_{kind}"] = name
        corrections.state({})  # which may be why nothing is open
