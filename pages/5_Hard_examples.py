"""What does it get wrong, and is it the label?"""

import streamlit as st

from core.hard_examples import SCORES, hardest_examples, scores_for
from core.outcomes import outcomes, standing
from core.overview import summary
from core.ui.boundary import boundary
from core.ui.charts import score_scatter
from core.ui.first_look import answer_without_labels
from core.ui.frame import page
from core.ui.images import image_pool, in_order
from core.ui.overview import percent_table
from core.ui.picture_route import pictures_of
from core.ui.selection import numbers
from core.ui.setup import classes_note
from core.ui.states import needs_data, title
from core.ui.text import count, percent

chosen = page()
title("Hard examples")
needs_data(chosen, "the examples that the network gets most wrong, with their pictures")


def answer() -> None:
    """How many answers are wrong, and whether they can be compared at all."""
    if not known.scored:
        if known.answers:
            answer_without_labels(chosen.model_id, chosen.dataset_id)
        if known.fault:
            raise known.fault
        return
    classes_note(chosen.model_id, chosen.dataset_id)
    figures = summary(chosen.model_id, chosen.dataset_id)
    wrong = figures.scored - figures.right
    st.markdown(
        f"#### {count(wrong)} of {count(figures.scored)} answers are wrong "
        f"({percent(wrong / figures.scored)})"
    )


def chosen_examples() -> None:
    """The cards of what was chosen on any page."""
    if not chosen.examples:
        return
    st.subheader("Chosen examples")
    table = outcomes(chosen.model_id, chosen.dataset_id)
    image_pool(chosen.dataset_id, in_order(table, chosen.examples), key="chosen", form="low")
    st.page_link(
        "pages/6_Saliency.py",
        label="What does the network look at in them?",
        icon=":material/arrow_forward:",
    )


def hardest() -> None:
    """The examples by a score, as a chart, as cards and as a table."""
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    names = scores_for(chosen.model_id, chosen.dataset_id)
    score = left.segmented_control(
        "Hardness",
        names,
        default=names[0],
        required=True,
        key="hardness",
        bind="query-params",
        help=" ".join(f"{name}: {SCORES[name].words}." for name in names),
    )
    limit = right.slider("Examples", 8, 200, 24, step=8, key="limit", bind="query-params")
    table = hardest_examples(chosen.model_id, chosen.dataset_id, score, limit)
    if known.scored:
        axis = ", ".join(filter(None, (score, SCORES[score].unit)))
        score_scatter(table, axis, f"scores-{chosen.dataset_id}", pictures_of(chosen.dataset_id))
    kind = "hardest, the hardest" if known.scored else "least sure answers, the least sure"
    st.subheader(f"The {len(table)} {kind} first")
    image_pool(chosen.dataset_id, table, key="hardest")
    with st.expander("As a table"):
        percent_table(table.assign(example=numbers(table["example"])), "confidence")


known = standing(chosen.model_id, chosen.dataset_id)
with boundary("The answer"):
    answer()
if known.answers:
    with boundary("The chosen examples"):
        chosen_examples()
    with boundary("The hardest examples"):
        hardest()
