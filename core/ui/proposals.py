"""The architecture where the tensors leave a choice: what fits, how right it is, choosing it."""

import pandas as pd
import streamlit as st

from core.jobs import Working
from core.model_facts import model_facts
from core.proposals import choices, proposals
from core.ui import corrections
from core.ui.boundary import until_done
from core.ui.text import count, md_escape, percent, plural


def architecture_choice(model_id: str, dataset_id: str | None) -> None:
    """What fits the tensors and what the data says of it; nothing where there is no choice."""
    try:
        names = choices(model_id)
    except Working as working:
        until_done(working.job, lambda: None)
        return
    if len(names) < 2:
        return
    table = proposals(model_id, dataset_id)
    with st.container(border=True):
        _verdict(table, "architecture" in model_facts(model_id).card.inferred)
        with st.expander(f"{len(table)} architectures fit the tensors"):
            _comparison(table)
            _choice(table)
    if "architecture" in corrections.said() and st.button("Back to what was inferred"):
        _open(None)


def _verdict(table: pd.DataFrame, inferred: bool) -> None:
    """What the data says, and the best proposal where it is clearly better."""
    opened, better = table.iloc[0], table[table["offered"]]
    how = "inferred" if inferred else "stated"
    st.markdown(f"**Architecture, {how}:** {md_escape(opened['proposal'])}")
    if table["accuracy"].isna().all():
        st.caption("The tensors do not tell which of these it is. "
                   + (md_escape(f"None was scored: {opened['fault']}.") if opened["fault"] else
                      "With labelled data each would be scored."))
    elif better.empty:
        words = f"{percent(opened['accuracy'])} right" if opened["examples"] else "does not run"
        st.caption(f"It is {words} on a sample of {plural(table['examples'].max(), 'example')}; "
                   "none of the others that fit is clearly better.")
    else:
        best = better.iloc[0]
        more = round((best["accuracy"] - opened["accuracy"]) * best["examples"])
        st.markdown(
            f"Clearly better: **{md_escape(best['differs'])}**, {percent(best['accuracy'])} right "
            f"on a sample of {plural(best['examples'], 'example')}, {count(more)} more than now.")
        if st.button("Use the better one", type="primary", key="better-architecture"):
            _open(best["proposal"])


def _comparison(table: pd.DataFrame) -> None:
    shown = table.assign(differs=table["differs"].mask(table["opened"], "opened now"))
    columns = ["differs", "accuracy", "loss"] + (["fault"] if table["fault"].notna().any() else [])
    st.dataframe(
        shown[columns], hide_index=True, width="stretch",
        column_config={
            "differs": st.column_config.TextColumn("What differs", width="medium"),
            "accuracy": st.column_config.NumberColumn("Accuracy", format="percent"),
            "loss": st.column_config.NumberColumn("Mean loss, nats", format="%.3g"),
            "fault": st.column_config.TextColumn("Does not run"),
        })
    st.caption("Scored with the input as the card has it: a mean and standard deviation that "
               "nobody stated make all of them look worse.")


def _choice(table: pd.DataFrame) -> None:
    others = table[~table["opened"]].set_index("proposal")
    said = {name: f"{row['differs']} ({percent(row['accuracy'])} right)"
            if row["examples"] else row["differs"] for name, row in others.iterrows()}
    chosen = st.selectbox("Another architecture", list(said), format_func=said.__getitem__,
                          index=None, placeholder="Choose what differs", key="architecture-choice")
    if st.button("Open as this", disabled=chosen is None, key="open-as"):
        _open(chosen)


def _open(architecture: str | None) -> None:
    """States the architecture, or no longer, and draws everything anew."""
    rest = {key: value for key, value in corrections.said().items() if key != "architecture"}
    corrections.state(rest | ({"architecture": architecture} if architecture else {}))
