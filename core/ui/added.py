"""What was added is on trial until it has been opened; only then it takes the place of what is
open."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import streamlit as st

from core import library, store
from core.cards.card_json import parse_card
from core.errors import UserError
from core.files import found_files
from core.jobs import Working
from core.model_facts import model_facts
from core.ui import corrections
from core.ui.boundary import start_again, was_stopped
from core.ui.choices import PARAMETERS
from core.ui.text import md_escape

TRIAL, REJECTED, SEEN = "_trial", "_rejected", "_rejected_seen"
KIND_WORDS = {"models": "model", "data": "data set", "logs": "training logs"}


def put_on_trial(path: Path, card: dict[str, Any] | None = None) -> None:
    """Puts a file or folder on trial as model, data set or logs, whichever it is."""
    kind = found_files.kind_of(path)
    if kind is None:
        raise UserError(found_files.not_known(path, "model, data set or training log"))
    st.session_state[TRIAL] = kind, path, card or {}, None
    st.rerun()


def settle() -> None:
    """Opens what is on trial, which only then takes the place of what is open. May raise Working;
    what cannot be opened is in `rejected` from the next run on."""
    if TRIAL not in st.session_state:
        return
    kind, path, card, job = st.session_state.pop(TRIAL)
    with rejecting():
        if job and was_stopped(job):
            start_again(job)
            raise UserError(
                f"{path.name} was not opened, as you stopped it. Add it again to open it."
            )
        try:
            _try(kind, path, card)
        except Working as working:
            st.session_state[TRIAL] = kind, path, card, working.job
            raise
        inside = path.is_relative_to(store.uploads())
        name = f"{path.name}/uploaded/{path.parent.name}" if inside else str(path)
        st.session_state.setdefault("_added", {}).setdefault(kind, {})[name] = path
        st.session_state[f"_next_{kind}"] = name
        st.session_state["_added_note"] = f"Added as {KIND_WORDS[kind]}: {md_escape(path.name)}"
        if card:
            corrections.state_later(card)
    st.rerun()


def _try(kind: str, path: Path, card: dict[str, Any]) -> None:
    if kind == "models":
        model_facts(library.model_id(path, parse_card(card, "The uploaded card")))
    elif kind == "data":
        library.open_dataset(library.dataset_id(path))
    else:
        library.open_logs(library.logs_id(path))


def rejected() -> list[UserError]:
    """Why what was added last is not open."""
    if TRIAL not in st.session_state:  # else more may come
        st.session_state.setdefault(SEEN, _view())
    return st.session_state.get(REJECTED, [])


def forget_rejected() -> None:
    """Where a person has gone on to something else since it was said."""
    if st.session_state.get(SEEN, view := _view()) != view:
        st.session_state[REJECTED] = []
        del st.session_state[SEEN]


def _view() -> tuple:
    page = (st.context.url or "").partition("?")[0]
    return page, *(st.session_state.get(key) for key in PARAMETERS.values())


@contextmanager
def rejecting() -> Iterator[None]:
    """Why something is not opened is said on the page, not here where the next click hides it."""
    if st.session_state.pop(SEEN, None):  # what is said there was of another time
        st.session_state[REJECTED] = []
    try:
        yield
    except UserError as error:
        st.session_state.setdefault(REJECTED, []).append(error)
