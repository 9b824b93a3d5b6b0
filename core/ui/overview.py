"""Parts of the Overview that say what is open."""

import numpy as np
import pandas as pd
import streamlit as st

from core.dataset_formats import DataSet
from core.errors import UserError
from core.library import open_dataset
from core.model_facts import model_facts
from core.overview import LISTED, class_counts, predicted_classes, unreadable
from core.training_curves import tags_and_runs
from core.ui.components.gallery import gallery
from core.ui.curves import Settings, one_chart
from core.ui.images import thumbnails
from core.ui.selection import selected, toggle
from core.ui.sidebar import refused
from core.ui.states import sample_button
from core.ui.text import compact, count, headings, md_escape, percent, plural

SIDE = 68  # pixels of a picture
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


def say_once(fault: UserError) -> None:
    """Why the page shows no more; drawn by the boundary around, unless it stands above already."""
    if str(fault) not in map(str, refused()):
        raise fault


def bullets(notes: list[str]) -> None:
    """Notes from files, one a line."""
    st.markdown("\n".join(f"- {md_escape(note, longest=600)}" for note in notes))


def unreadable_list(dataset_id: str) -> None:
    """What of the data could not be read when it was opened, which waits for nothing."""
    every = len(open_dataset(dataset_id).unreadable)
    if every:
        left_out_table(f"{plural(every, 'file')} left out", unreadable(dataset_id))


def left_out_table(title: str, table: pd.DataFrame) -> None:
    """Paths and reasons, folded."""
    with st.expander(title):
        st.dataframe(table.rename(columns=headings(table)), hide_index=True)
        if len(table) == LISTED:
            st.caption(f"At most {count(LISTED)} are listed.")


def answer_without_labels(model_id: str, dataset_id: str) -> None:
    """What is predicted most, where nothing says what is right."""
    table = predicted_classes(model_id, dataset_id)
    number, first = int(table["examples"].sum()), table.iloc[0]
    sure = float((table["confidence"] * table["examples"]).sum()) / number
    st.markdown(
        f"#### {plural(number, 'prediction')} · mean confidence {percent(sure)} · most often "
        f"{md_escape(first['class'])} ({percent(first['share'])})"
    )
    said = "Nothing can be called right or wrong: what follows is what the network says."
    if open_dataset(dataset_id).labels is None:
        said += (" This data has no labels. With one sub-folder per class, or a column of labels, "
                 "its mistakes are shown.")
    st.caption(said)


def data_alone(dataset_id: str, pictures: int) -> None:
    """What the data holds, where no network says anything of it: some pictures, and its classes."""
    data, table = open_dataset(dataset_id), class_counts(dataset_id)
    rows = np.unique(np.linspace(0, len(data) - 1, min(pictures, len(data))).astype(int)).tolist()
    names = [_label(data, row) for row in rows]
    cards = [
        {"example": row, "image": image, "wrong": False, "title": f"{name} example {row}".strip(),
         "lines": [*([["main", name]] if name else []), ["quiet", f"#{row}"]]}
        for row, name, image in zip(rows, names, thumbnails(dataset_id, rows, SIDE), strict=True)
    ]
    clicked = gallery(cards, selected(), "overview-data", SIDE)
    if clicked is not None:
        toggle(clicked)
    st.caption(f"{plural(len(rows), 'example')} from all over the data, of {count(len(data))}.")
    if table.empty:
        st.write("This data has no labels.")
        return
    st.dataframe(
        table.rename(columns=headings(table)),
        hide_index=True,
        column_config={"Share": st.column_config.NumberColumn(format="percent")},
    )
    if empty := len(data.class_names) - len(table):
        st.caption(f"{plural(empty, 'more class', 'more classes')} without an example.")


def _label(data: DataSet, row: int) -> str:
    """The class of an example; nothing where it is unknown."""
    if data.labels is None or data.labels[row] < 0:
        return ""
    label = int(data.labels[row])
    return data.class_names[label] if label < len(data.class_names) else str(label)


def predictions_by_class(model_id: str, dataset_id: str) -> None:
    """How often each class is predicted."""
    table = predicted_classes(model_id, dataset_id)
    st.dataframe(
        table.rename(columns={"class": "Class", "examples": "Predicted", "share": "Share",
                              "confidence": "Mean confidence"}),
        hide_index=True,
        column_config={
            "Share": st.column_config.NumberColumn(format="percent"),
            "Mean confidence": st.column_config.NumberColumn(format="percent"),
        },
    )


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
