"""Parts of the Overview that say what is open."""

import streamlit as st

from core.model_facts import model_facts
from core.training_curves import tags_and_runs
from core.ui.curves import Settings, one_chart
from core.ui.states import sample_button
from core.ui.text import compact, md_escape

LOSS_TAGS = (
    "loss/validation",
    "val_loss",
    "loss/val",
    "loss/test",
    "loss/train",
    "train_loss",
    "loss",
)


def nothing_chosen() -> None:
    """The page before anything is open."""
    st.title("Netlens")
    st.write(
        "See what a trained network learned, where it is wrong, and why: add a model file in the "
        "sidebar, or start with the sample."
    )
    sample_button()


def model_line(model_id: str, name: str) -> None:
    """Name, architecture, parameters and input in one line."""
    st.title(md_escape(name), anchor=False)
    facts = model_facts(model_id)
    card = facts.card
    words = [card.title or card.architecture or "network"]
    words.append(f"{compact(facts.parameters)} parameters")
    spec = card.input
    if spec.channels and spec.height and spec.width:
        words.append(f"input {spec.channels} × {spec.height} × {spec.width}")
    if card.class_names:
        words.append(f"{len(card.class_names)} classes")
    st.markdown(md_escape(" · ".join(words)))


def bullets(notes: list[str]) -> None:
    """Notes from files, one a line."""
    st.markdown("\n".join(f"- {md_escape(note, longest=600)}" for note in notes))


def loss_spark(logs_id: str | None) -> None:
    """The loss of each run, small, with the way to the curves."""
    if logs_id is None:
        st.write("Choose training logs in the sidebar to see the loss here.")
        return
    tags, runs = tags_and_runs(logs_id)
    tag = next((tag for tag in LOSS_TAGS if tag in tags), None)
    if tag is None:
        st.write("These logs have no loss that Netlens knows by name.")
    else:
        one_chart(
            logs_id,
            tag,
            runs,
            runs,
            Settings(smoothing=0.0, axis="step", log=False, outliers=False),
        )
    st.page_link(
        "pages/3_Training_curves.py", label="All training curves", icon=":material/arrow_forward:"
    )
