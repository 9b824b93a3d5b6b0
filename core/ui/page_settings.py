"""Each page's settings outlive a visit to another page: Streamlit takes what a page's widgets have
written to the address out of it, and forgets it, once they are drawn no more."""

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.ui import corrections, selection
from core.ui.choices import PARAMETERS

LAST, LEFT = "_last_page", "_left_settings"
OF_ALL = {*PARAMETERS.values(), selection.KEY, corrections.KEY, "sample"}  # in the sidebar


def follow(page: str) -> None:
    """Before anything is drawn: where another page is come back to, the address says again what it
    said there last. What a followed link says counts first."""
    state, said = st.session_state, st.query_params
    if state.get(LAST, page) != page:
        if words := corrections.text():  # whose field is in a closed popover
            state[corrections.KEY] = words
            if said.get(corrections.KEY) != words:
                said[corrections.KEY] = words
        lost = {key: values for key, values in state.get(LEFT, {}).get(page, {}).items()
                if key not in said}
        for key, values in lost.items():
            said[key] = values
        state[LAST] = page
        # After the browser's back button widgets take what the address said when the run began.
        if lost and get_script_run_ctx().is_history_navigation:
            st.rerun()
    state[LAST] = page


def note() -> None:
    """After a run of the page, or of a part of it: what the address says there."""
    state, said = st.session_state, st.query_params
    if LAST in state:
        now = {key: said.get_all(key) for key in said if key not in OF_ALL}
        state.setdefault(LEFT, {})[state[LAST]] = now
