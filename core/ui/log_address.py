"""Settings of tabs that are closed: Streamlit takes what a widget has written to the address out of
it, at the end of the run in which the widget is drawn no more, so a copied link has them from here.
"""

import streamlit as st

LEFT, LAST, KEPT = "_left_tab", "_last_tab", "_closed_settings"


def keep_settings(tabs: str) -> None:
    """First thing on a page; `tabs`: the key of its tabs."""
    now = {key: st.query_params.get_all(key) for key in st.query_params if key != tabs}
    state = st.session_state
    if LEFT in state:  # the run before this one was the first without that tab
        tab, before = state.pop(LEFT)
        lost = {key: said for key, said in before.items() if key not in now}
        state.setdefault(KEPT, {})[tab] = lost
    opened = state.get(tabs) or st.query_params.get(tabs, "")
    if opened != state.get(LAST, opened):
        state[LEFT] = state[LAST], now
    state[LAST] = opened


def closed_settings() -> dict[str, list[str]]:
    """What the address would say of the tabs that are closed."""
    state = st.session_state
    return {key: said for tab, settings in state.get(KEPT, {}).items() if tab != state.get(LAST)
            for key, said in settings.items()}
