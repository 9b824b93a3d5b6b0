"""Parts of the Overview that say how good the answers are, and what to look at first."""

import streamlit as st

from core.errors import UserError
from core.hard_examples import hardest_examples
from core.library import open_dataset
from core.outcomes import Standing
from core.overview import (
    by_class,
    confused_pairs,
    findings,
    least_sure,
    predicted_classes,
    summary,
)
from core.training_curves import tags_and_runs
from core.ui.class_charts import class_bars, confusion
from core.ui.curves import Settings, one_chart
from core.ui.images import image_pool
from core.ui.overview import SIDE, data_alone, percent_table
from core.ui.selection import select
from core.ui.sidebar import Chosen, refused
from core.ui.states import sampled_note
from core.ui.text import count, md_escape, percent, plural, three_digits

SHOWN = 8  # pictures
SELECTED = 24  # of a finding's examples
HARD_EXAMPLES, GO = "pages/5_Hard_examples.py", "_go"
LOSS_TAGS = (
    "loss/validation",
    "val_loss",
    "loss/val",
    "loss/test",
    "loss/train",
    "train_loss",
    "loss",
)


def follow() -> None:
    """Goes on to the page that a finding's button names."""
    if page := st.session_state.pop(GO, None):
        st.switch_page(page, query_params={})  # clearing bound ones by itself it refuses


def answer(chosen: Chosen, known: Standing) -> None:
    """One sentence of figures, or why there is none."""
    sampled_note(chosen)
    if known.answers and not known.scored:
        answer_without_labels(chosen.model_id, chosen.dataset_id)
    if known.fault:
        _say_once(known.fault)
    if not known.scored:
        return
    figures = summary(chosen.model_id, chosen.dataset_id)
    worst = by_class(chosen.model_id, chosen.dataset_id).iloc[0]
    st.markdown(
        f"#### {count(figures.right)} of {count(figures.scored)} right "
        f"({percent(figures.accuracy)}) · mean loss {three_digits(figures.mean_loss)} · worst "
        f"class {md_escape(worst['class'])} ({percent(worst['accuracy'])})"
    )


def _say_once(fault: UserError) -> None:
    """Why the page shows no more; drawn by the boundary around, unless it stands above already."""
    if str(fault) not in map(str, refused()):
        raise fault


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


def worth_a_look(chosen: Chosen, known: Standing) -> None:
    """What to look at first: of all that can be said the most."""
    if known.scored:
        st.subheader("Worth a look")
        _findings(chosen.model_id, chosen.dataset_id)
    elif known.answers:
        st.subheader("The least sure answers")
        unsure = least_sure(chosen.model_id, chosen.dataset_id, SHOWN)
        image_pool(chosen.dataset_id, unsure, key="overview-unsure", side=SIDE)
    elif chosen.dataset_id:
        st.subheader("The data")
        data_alone(chosen.dataset_id, SHOWN)
    elif known.opens:
        st.write("Choose a data set in the sidebar to see what this network gets wrong.")


def _findings(model_id: str, dataset_id: str) -> None:
    """Findings, each with a way to its examples."""
    found = findings(model_id, dataset_id)
    if not found:
        st.write("Nothing stands out.")
    for number, finding in enumerate(found):
        words, go = st.columns([2, 1], vertical_alignment="center")
        words.markdown(f"**{md_escape(finding.title)}**  \n{md_escape(finding.reason)}")
        if go.button(
            plural(min(len(finding.examples), SELECTED), "picture"),
            key=f"finding-{number}",
            width="stretch",
            help="Chooses these examples and opens Hard examples.",
        ):
            st.session_state[GO] = HARD_EXAMPLES
            select(finding.examples[:SELECTED])
            st.rerun()


def pictures(chosen: Chosen) -> None:
    """The hardest examples."""
    st.subheader("Hardest examples")
    hardest = hardest_examples(chosen.model_id, chosen.dataset_id, "Cross-entropy", SHOWN)
    image_pool(chosen.dataset_id, hardest, key="overview-hardest", side=SIDE)
    st.page_link(HARD_EXAMPLES, label="All hard examples", icon=":material/arrow_forward:")


def classes(chosen: Chosen) -> None:
    """The share that is right, class by class."""
    st.subheader("Accuracy by class")
    class_bars(by_class(chosen.model_id, chosen.dataset_id))


def predictions(chosen: Chosen) -> None:
    """What is predicted how often."""
    st.subheader("Predictions by class")
    table = predicted_classes(chosen.model_id, chosen.dataset_id)
    said = {"examples": "predicted", "confidence": "mean confidence"}
    percent_table(table.rename(columns=said), "share", "mean confidence")


def confusions(chosen: Chosen) -> None:
    """Which class is taken for which."""
    st.subheader("Most confused pairs")
    pairs = confused_pairs(chosen.model_id, chosen.dataset_id)
    if pairs.empty:
        st.write("No class is taken for another.")
    else:
        confusion(pairs)


def loss(chosen: Chosen) -> None:
    """The loss of each run, which waits for nothing."""
    st.subheader("Loss while training")
    if chosen.logs_id is None:
        st.write("Choose training logs in the sidebar to see the loss here.")
        return
    tags, runs = tags_and_runs(chosen.logs_id)
    tag = next((tag for tag in LOSS_TAGS if tag in tags), None)
    if tag is None:
        st.write("These logs have no loss that Netlens knows by name.")
    else:
        settings = Settings(smoothing=0.0, axis="step", log=False, outliers=False)
        one_chart(chosen.logs_id, tag, runs, runs, settings)
    st.page_link(
        "pages/3_Training_curves.py", label="All training curves", icon=":material/arrow_forward:"
    )
