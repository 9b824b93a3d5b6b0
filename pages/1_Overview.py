"""What did I open, and what should I look at first?"""

import streamlit as st

from core.hard_examples import hardest_examples
from core.outcomes import standing
from core.overview import (
    by_class,
    confused_pairs,
    findings,
    least_sure,
    left_out,
    opening_notes,
    pass_notes,
    summary,
)
from core.ui.boundary import boundary
from core.ui.charts import class_bars, confusion
from core.ui.frame import page
from core.ui.images import image_pool
from core.ui.overview import (
    answer_without_labels,
    bullets,
    data_alone,
    left_out_table,
    loss_spark,
    model_line,
    nothing_chosen,
    predictions_by_class,
    say_once,
    unreadable_list,
)
from core.ui.proposals import architecture_choice
from core.ui.selection import select
from core.ui.setup import preprocessing_preview, setup_offer
from core.ui.states import sampled_note
from core.ui.text import count, md_escape, percent, plural

SHOWN = 8  # hardest examples on this page

chosen = page()


def answer() -> None:
    """One sentence of figures, or why there is none."""
    sampled_note(chosen)
    if known.fault:
        say_once(known.fault)
    if known.answers and not known.scored:
        answer_without_labels(chosen.model_id, chosen.dataset_id)
    if not known.scored:
        return
    figures, classes = (
        summary(chosen.model_id, chosen.dataset_id),
        by_class(chosen.model_id, chosen.dataset_id),
    )
    worst = classes.iloc[0]
    st.markdown(
        f"#### {count(figures.right)} of {count(figures.scored)} right "
        f"({percent(figures.accuracy)}) · mean loss {figures.mean_loss:.3g} · worst class "
        f"{md_escape(worst['class'])} ({percent(worst['accuracy'])})"
    )


def worth_a_look() -> None:
    """What to look at first: of all that can be said the most."""
    if known.scored:
        found_something()
    elif known.answers:
        st.subheader("The least sure answers")
        unsure = least_sure(chosen.model_id, chosen.dataset_id, SHOWN)
        image_pool(chosen.dataset_id, unsure, key="overview-unsure", side=68)
    elif chosen.dataset_id:
        st.subheader("The data")
        data_alone(chosen.dataset_id, SHOWN)
    elif known.opens:
        st.write("Choose a data set in the sidebar to see what this network gets wrong.")


def found_something() -> None:
    """Findings, each with a way to its examples."""
    st.subheader("Worth a look")
    found = findings(chosen.model_id, chosen.dataset_id)
    if not found:
        st.write("Nothing stands out.")
    for number, finding in enumerate(found):
        words, go = st.columns([2, 1], vertical_alignment="center")
        words.markdown(f"**{md_escape(finding.title)}**  \n{md_escape(finding.reason)}")
        if go.button(
            plural(min(len(finding.examples), 24), "picture"),
            key=f"finding-{number}",
            width="stretch",
            help="Chooses these examples and opens Hard examples.",
        ):
            st.session_state["_go"] = "pages/5_Hard_examples.py"
            select(finding.examples[:24])


def what_was_opened() -> None:
    """The loading report, the first notes in sight."""
    model_id, dataset_id = chosen.model_id if known.opens else None, chosen.dataset_id
    if not (model_id or dataset_id):
        return
    st.subheader("What was opened")
    said = []
    with boundary("The loading report"):
        said = opening_notes(model_id, dataset_id)
        bullets(said[:4])
    if model_id:
        with boundary("The choice of architecture"):
            architecture_choice(model_id, dataset_id)
    if model_id and dataset_id:
        with boundary("What the network sees"):
            preprocessing_preview(model_id, dataset_id)
    if dataset_id:
        with boundary("What was left out"):
            unreadable_list(dataset_id)
    if known.answers:
        with boundary("The notes on the labels"):
            of_the_pass()
    if said[4:]:
        with st.expander(f"{len(said) - 4} more"):
            bullets(said[4:])


def of_the_pass() -> None:
    """How labels met outputs, and which examples have no prediction."""
    bullets(pass_notes(chosen.model_id, chosen.dataset_id))
    lost = left_out(chosen.model_id, chosen.dataset_id)
    if len(lost):
        left_out_table("Which have no prediction", lost)


def pictures() -> None:
    """The hardest examples."""
    st.subheader("Hardest examples")
    hardest = hardest_examples(chosen.model_id, chosen.dataset_id, "Cross-entropy", SHOWN)
    image_pool(chosen.dataset_id, hardest, key="overview-hardest", side=68)
    st.page_link(
        "pages/5_Hard_examples.py", label="All hard examples", icon=":material/arrow_forward:"
    )


def classes() -> None:
    """The share that is right, class by class."""
    st.subheader("Accuracy by class")
    class_bars(by_class(chosen.model_id, chosen.dataset_id))


def predictions() -> None:
    """What is predicted how often."""
    st.subheader("Predictions by class")
    predictions_by_class(chosen.model_id, chosen.dataset_id)


def confusions() -> None:
    """Which class is taken for which."""
    st.subheader("Most confused pairs")
    pairs = confused_pairs(chosen.model_id, chosen.dataset_id)
    if pairs.empty:
        st.write("No class is taken for another.")
    else:
        confusion(pairs)


def loss() -> None:
    """The loss of each run, which waits for nothing."""
    st.subheader("Loss while training")
    loss_spark(chosen.logs_id)


if st.session_state.pop("_go", None):
    st.switch_page("pages/5_Hard_examples.py")
if not chosen.model_name:
    nothing_chosen()
    st.stop()
st.title(md_escape(chosen.model_name), anchor=False)
known = standing(chosen.model_id, chosen.dataset_id)
if known.opens:
    with boundary("The model"):
        model_line(chosen.model_id)
with boundary("The answer"):
    answer()
if known.answers:
    with boundary("The set-up"):
        setup_offer(chosen.model_id, chosen.dataset_id)
look, opened = st.columns(2, gap="large")
with look, boundary("Worth a look"):
    worth_a_look()
with opened:
    what_was_opened()
if known.scored:
    with boundary("The pictures"):
        pictures()
parts = [classes, confusions] if known.scored else [predictions] if known.answers else []
parts += [loss] if known.opens or chosen.logs_id else []
for place, draw in zip(st.columns(max(2, len(parts))), parts, strict=False):
    with place, boundary(draw.__name__.capitalize()):
        draw()
