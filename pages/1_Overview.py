"""What did I open, and what should I look at first?"""

import streamlit as st

from core.outcomes import standing
from core.ui.add_file import without_digest
from core.ui.boundary import boundary
from core.ui.first_look import (
    answer,
    classes,
    confusions,
    follow,
    loss,
    pictures,
    predictions,
    worth_a_look,
)
from core.ui.frame import page
from core.ui.overview import model_line, nothing_chosen, what_was_opened
from core.ui.setup import setup_offer
from core.ui.text import md_escape

chosen = page()
follow()
if not chosen.model_name:
    nothing_chosen()
    st.stop()
st.title(md_escape(without_digest(chosen.model_name)), anchor=False)
known = standing(chosen.model_id, chosen.dataset_id)
if known.opens:
    with boundary("The model"):
        model_line(chosen.model_id)
with boundary("The answer"):
    answer(chosen, known)
if known.answers:
    with boundary("The set-up"):
        setup_offer(chosen.model_id, chosen.dataset_id)
look, opened = st.columns(2, gap="large")
with look, boundary("Worth a look"):
    worth_a_look(chosen, known)
with opened:
    what_was_opened(chosen, known)
if known.scored:
    with boundary("The pictures"):
        pictures(chosen)
parts = [classes, confusions] if known.scored else [predictions] if known.answers else []
parts += [loss] if known.opens or chosen.logs_id else []
for place, draw in zip(st.columns(max(2, len(parts))), parts, strict=False):
    with place, boundary(draw.__name__.capitalize()):
        draw(chosen)
