"""Parts of the Overview that say what is open."""

import numpy as np
import pandas as pd
import streamlit as st

from core.dataset_formats import DataSet
from core.library import open_dataset
from core.model_facts import model_facts
from core.outcomes import Standing
from core.overview import LISTED, class_counts, left_out, opening_notes, pass_notes, unreadable
from core.ui.boundary import boundary
from core.ui.components.gallery import gallery
from core.ui.images import thumbnails
from core.ui.proposals import architecture_choice
from core.ui.selection import selected, toggle
from core.ui.setup import preprocessing_preview
from core.ui.sidebar import Chosen
from core.ui.states import sample_button
from core.ui.text import compact, count, headings, md_escape, plural

SIDE = 68  # pixels of a picture


def nothing_chosen() -> None:
    """The page before anything is open."""
    st.title("Netlens")
    st.write(
        "See what a trained network learned, where it is wrong, and why: add a model file in the "
        "sidebar, or start with the sample."
    )
    sample_button()


def model_line(model_id: str) -> None:
    """Architecture, parameters and input in one line."""
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


def what_was_opened(chosen: Chosen, known: Standing) -> None:
    """The loading report, the first notes in sight."""
    model_id, dataset_id = chosen.model_id if known.opens else None, chosen.dataset_id
    if not (model_id or dataset_id):
        return
    st.subheader("What was opened")
    said = []
    with boundary("The loading report"):
        said = opening_notes(model_id, dataset_id)
        _bullets(said[:4])
    if model_id:
        with boundary("The choice of architecture"):
            architecture_choice(model_id, dataset_id)
    if model_id and dataset_id:
        with boundary("What the network sees"):
            preprocessing_preview(model_id, dataset_id, known.answers)
    if dataset_id:
        with boundary("What was left out"):
            _unreadable_list(dataset_id)
    if known.answers:
        with boundary("The notes on the labels"):
            _of_the_pass(chosen.model_id, chosen.dataset_id)
    if said[4:]:
        with st.expander(f"{len(said) - 4} more"):
            _bullets(said[4:])


def _of_the_pass(model_id: str, dataset_id: str) -> None:
    """How labels met outputs, and which examples have no prediction."""
    _bullets(pass_notes(model_id, dataset_id))
    lost = left_out(model_id, dataset_id)
    if len(lost):
        _left_out_table("Which have no prediction", lost)


def _bullets(notes: list[str]) -> None:
    """Notes from files, one a line."""
    st.markdown("\n".join(f"- {md_escape(note, longest=600)}" for note in notes))


def _unreadable_list(dataset_id: str) -> None:
    """What of the data could not be read when it was opened, which waits for nothing."""
    every = len(open_dataset(dataset_id).unreadable)
    if every:
        _left_out_table(f"{plural(every, 'file')} left out", unreadable(dataset_id))


def _left_out_table(title: str, table: pd.DataFrame) -> None:
    """Paths and reasons, folded."""
    with st.expander(title):
        st.dataframe(table.rename(columns=headings(table)), hide_index=True)
        if len(table) == LISTED:
            st.caption(f"At most {count(LISTED)} are listed.")


def percent_table(table: pd.DataFrame, *shares: str) -> None:
    """A table whose columns of shares (0 to 1) are shown as percent, each with one digit."""
    names = headings(table)
    shown = table.assign(**{name: 100 * table[name] for name in shares}).rename(columns=names)
    each = st.column_config.NumberColumn(format="%.1f %%")
    st.dataframe(shown, hide_index=True, column_config={names[name]: each for name in shares})


def data_alone(dataset_id: str, pictures: int) -> None:
    """What the data holds, where no network says anything of it: some pictures, and its classes."""
    data, table = open_dataset(dataset_id), class_counts(dataset_id)
    rows = np.unique(np.linspace(0, len(data) - 1, min(pictures, len(data))).astype(int)).tolist()
    names = [_label(data, row) for row in rows]
    images = thumbnails(dataset_id, rows, SIDE)
    cards = [
        {"example": row, "image": image, "wrong": False,
         "title": f"{name} example {number}".strip(),
         "lines": [*([["main", name]] if name else []), ["quiet", f"#{number}"]]}
        for row, number, name, image in zip(rows, data.numbers(rows), names, images, strict=True)
    ]
    clicked = gallery(cards, selected(), "overview-data", SIDE)
    if clicked is not None:
        toggle(clicked)
    st.caption(f"{plural(len(rows), 'example')} from all over the data, of {count(len(data))}.")
    if table.empty:
        st.write("This data has no labels.")
        return
    percent_table(table, "share")
    if empty := len(data.class_names) - len(table):
        st.caption(f"{plural(empty, 'more class', 'more classes')} without an example.")


def _label(data: DataSet, row: int) -> str:
    """The class of an example; nothing where it is unknown."""
    if data.labels is None or data.labels[row] < 0:
        return ""
    label = int(data.labels[row])
    return data.class_names[label] if label < len(data.class_names) else str(label)
