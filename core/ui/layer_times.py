"""The times of layers on the page: measured when asked for."""

import streamlit as st

from core.measures.layer_times import layer_times, measured_times
from core.ui.text import compact, duration, md_escape


def timing(model_id: str, dataset_id: str | None) -> None:
    """A button that times the layers; what was measured is then in the table."""
    asked = st.session_state.setdefault("_timed", set())
    if measured_times(model_id, dataset_id) is None and (model_id, dataset_id) not in asked:
        if st.button("Time each layer", help="A few passes of one image on this device."):
            asked.add((model_id, dataset_id))
            st.rerun()
        return
    found = layer_times(model_id, dataset_id)
    st.caption(
        f"One pass takes {duration_of(found.attrs['seconds'])} here "
        f"({md_escape(found.attrs['device'])}), one image of zeros, without the clocks around each "
        "layer; the layers' times include those. Other work on this machine makes them longer. "
        "Estimated: at "
        f"{compact(found.attrs['rate'])} multiply-adds a second, as a product of large matrices "
        "has here; memory and small operators take more."
    )


def duration_of(seconds: float) -> str:
    """Milliseconds where it is short."""
    return duration(seconds) if seconds >= 1 else f"{1000 * seconds:.3g} ms"
