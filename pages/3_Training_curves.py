"""Did training go well?"""

import streamlit as st

from core.logged import histograms as log_histograms
from core.logged import media as log_media
from core.training_curves import loading_report, runs_without_points, tags_and_runs
from core.ui import findings
from core.ui.boundary import boundary
from core.ui.curves import charts_at_hand, curves_view
from core.ui.frame import page
from core.ui.hyperparameters import hyperparameters
from core.ui.live import follow
from core.ui.log_address import keep_settings
from core.ui.log_histograms import distributions
from core.ui.log_media import media
from core.ui.runs import NARROW, colours_told, run_choice, runs_table, tick
from core.ui.states import sample_button, title
from core.ui.text import md_escape, plural

chosen = page()
keep_settings("curves")
st.html(NARROW)
title("Training curves")
if chosen.logs_id is None:
    st.write(
        "This page shows loss and accuracy while training, run by run. Choose training logs in the "
        "sidebar: TensorBoard event files, CSV or JSON of metrics, or a folder of them."
    )
    sample_button()
    charts_at_hand()
    st.stop()


def compared() -> None:
    """The runs in a table, and their hyperparameters, whose brushes can choose runs."""
    runs_table(chosen.logs_id, runs)
    st.subheader("Hyperparameters", anchor=False)
    brushed = hyperparameters(chosen.logs_id, runs)
    if brushed:
        st.button(f"Draw only {plural(len(brushed), 'run')}", on_click=tick, args=(brushed,))


def how_read() -> None:
    """The loading report."""
    for note in loading_report(chosen.logs_id):
        st.markdown(f"- {md_escape(note, longest=600)}")


every, runs, grouping, without = [], [], None, []
with boundary("The logs"):
    every = tags_and_runs(chosen.logs_id)[1]
parts = {
    "Curves": lambda: follow(chosen.logs_id, lambda now: curves_view(now, runs, grouping)),
    "Runs": compared,
    "Distributions": lambda: distributions(chosen.logs_id, [*runs, *without]),
    "Pictures and text": lambda: media(chosen.logs_id, [*runs, *without]),
    "How the logs were read": how_read,
}
with boundary("What the logs hold"):
    if not log_histograms.has_any(chosen.logs_id):
        del parts["Distributions"]
    if not log_media.has_any(chosen.logs_id):
        del parts["Pictures and text"]
with findings.above(chosen.logs_id, every):
    # A single run leaves nothing to choose, so its charts have all the width.
    with st.container(key="runs-and-curves"):
        left, right = [st.container()] * 2 if len(every) == 1 else st.columns([1, 3], gap="medium")
    with left, boundary("The runs"):
        runs, grouping = run_choice(chosen.logs_id)
        without = runs_without_points(chosen.logs_id)
    with right:
        colours_told(every, runs, grouping)
        tabs = st.tabs(list(parts), key="curves", on_change="rerun", bind="query-params")
        for tab, (name, draw) in zip(tabs, parts.items(), strict=True):
            if tab.open:  # what is closed costs nothing
                with tab, boundary(name):
                    draw()
