"""Did training go well?"""

import streamlit as st

from core.training_curves import findings, loading_report, run_summary, tags_and_runs
from core.ui.boundary import boundary
from core.ui.curves import curve_settings, curves_by_group, run_choice
from core.ui.frame import page
from core.ui.states import sample_button, title
from core.ui.text import headings, md_escape, plural

chosen = page()
title("Training curves")
if chosen.logs_id is None:
    st.write(
        "This page shows loss and accuracy while training, run by run. Choose training logs in the "
        "sidebar: TensorBoard event files, CSV or JSON of metrics, or a folder of them."
    )
    sample_button()
    st.stop()


def answer() -> None:
    """What happened, in words."""
    found, runs = findings(chosen.logs_id), tags_and_runs(chosen.logs_id)[1]
    clean = len(set(runs) - {finding.run for finding in found})
    st.markdown(f"#### {plural(len(runs), 'run')}, nothing conspicuous in {clean} of them")
    for finding in found:
        st.markdown(f"- **{md_escape(finding.run)}**: {md_escape(finding.sentence, longest=400)}")


def runs_and_charts() -> None:
    """The runs on the left, the charts on the right."""
    left, right = st.columns([1, 3], gap="medium")
    with left:
        runs = run_choice(chosen.logs_id)
    with right:
        settings = curve_settings()
        curves_by_group(chosen.logs_id, runs, settings)


def summaries() -> None:
    """Last and best of each run and tag, and how the logs were read."""
    with st.expander("Last and best values"):
        table = run_summary(chosen.logs_id)
        st.dataframe(table.rename(columns=headings(table)), hide_index=True)
    with st.expander("How the logs were read"):
        for note in loading_report(chosen.logs_id):
            st.markdown(f"- {md_escape(note, longest=600)}")


with boundary("What happened"):
    answer()
with boundary("The curves"):
    runs_and_charts()
with boundary("The summaries"):
    summaries()
