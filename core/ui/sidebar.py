"""The sidebar: what is open, on every page the same; its choices live in the address."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np
import streamlit as st

from core import library
from core.dataset_formats import DataSet
from core.errors import UserError
from core.files import found_files
from core.inference import dataset_for
from core.jobs import Working
from core.one_pass.machine import device_title
from core.ui import corrections, selection
from core.ui.add_file import add_file, uploads
from core.ui.added import forget_rejected, rejected
from core.ui.boundary import boundary, until_done
from core.ui.card_editor import card_editor, without_card
from core.ui.choices import NOTHING, PARAMETERS, choice, named_by_the_card, shown_at_first
from core.ui.log_address import closed_settings
from core.ui.text import count, file_size, md_escape, plural

FIRST_MODEL = "shapes-cnn.safetensors"  # what a newcomer sees, where no folder of theirs is given
REFUSED = "_refused"
SAMPLE_SIZES = ["all", "500", "2000", "10000"]


@dataclass(frozen=True)
class Chosen:
    """What a page works on; None where nothing is chosen. examples: rows of the data set."""

    model_id: str | None
    dataset_id: str | None
    logs_id: str | None
    examples: tuple[int, ...]
    model_name: str = ""


def sidebar() -> Chosen:
    """Draws the sidebar and gives what is chosen in it.

    Each choice is a widget bound to the address, which names what is not the default; so the way
    back in the browser is a way back here.
    """
    linked = set() if "_model_before" in st.session_state else set(st.query_params)
    for kind, key in PARAMETERS.items():  # what was just added, or the sample
        if added := st.session_state.pop(f"_next_{kind}", None):
            st.session_state[key] = added
    forget_rejected()
    st.session_state[REFUSED] = []
    with st.sidebar:
        # Each in one place, so that what comes and goes moves none of the popovers below: which of
        # them is open belongs to its place.
        with st.container():
            model_id, name, named = _model(linked)
        with st.container():
            dataset_id = _data(model_id, named.get("data"))
        with st.container():
            logs_id = _logs(named.get("logs"))
        add_file()
        if model_id:
            with boundary("The model card"), _said_on_the_page():
                card_editor(model_id)
        elif corrections.text():  # which may be why there is no model
            without_card()
        selection.selection_field(dataset_id)
        with boundary("The device"):
            _device()
        with st.popover("Copy link", width="stretch"):
            st.caption("Opens the same view for whoever reaches this server.")
            st.code(_link(), language=None, wrap_lines=True)
    return Chosen(model_id, dataset_id, logs_id, selection.selected(), name)


@contextmanager
def _said_on_the_page() -> Iterator[None]:
    """What a person must read stands on the page: a narrow window folds the sidebar."""
    try:
        yield
    except UserError as error:
        st.session_state[REFUSED].append(error)
        st.caption("Not opened: the page says why.")


def refused() -> list[UserError]:
    """What the sidebar could not open in this run, and what was added last in vain."""
    return [*rejected(), *st.session_state.get(REFUSED, [])]


def _device() -> None:
    try:
        st.caption(f"Runs on {md_escape(device_title())}")
    except Working as working:
        until_done(working.job, lambda: st.caption("Runs on …"))


def _link() -> str:
    """The address of this view, with every choice named."""
    said: dict[str, Any] = closed_settings()
    said |= {key: st.query_params.get_all(key) for key in st.query_params}
    for key in (*PARAMETERS.values(), selection.KEY, corrections.KEY):
        if st.session_state.get(key):
            said[key] = st.session_state[key]
    return f"{(st.context.url or '').partition('?')[0]}?{urlencode(said, doseq=True)}"


def _say_skipped(found: found_files.Listing) -> None:
    if found.skipped:
        st.caption(md_escape(found.skipped))


def _model(linked: set[str]) -> tuple[str | None, str, dict[str, str]]:
    """Its id, its name, and what is shown beside it by kind where the address names nothing."""
    found = found_files.listing("models")
    _say_skipped(found)
    paths = found.paths | uploads("models")
    if not paths:
        st.warning("No model file found. Add one below.")
        return None, "", {}
    default = (
        FIRST_MODEL
        if len(found_files.folders("models")) == 1 and FIRST_MODEL in paths
        else next(iter(paths))
    )
    name = choice("models", paths, default, optional=False)
    beside: dict[str, str] | None = None
    with boundary("The model card"), _said_on_the_page():
        beside = named_by_the_card(paths[name])
    named = beside or {}
    if st.session_state.get("_model_before", name) != name:  # it brings what its card names
        corrections.clear()
        for kind, key in PARAMETERS.items():
            if kind in named and key not in linked:
                st.session_state[key] = named[kind]
            elif kind != "models" and st.session_state.get(key):  # no default: the address says it
                st.session_state[key] = st.session_state[key]
    st.session_state["_model_before"] = name
    corrections.follow()
    if beside is None:  # its card cannot be read, so it cannot be opened
        return None, name, named
    with boundary("The model"), _said_on_the_page():
        model_id = library.model_id(paths[name], corrections.card())
        size = file_size(paths[name].stat().st_size)
        st.caption(f"{found_files.model_format(paths[name])} · {size}")
        return model_id, name, named
    return None, name, named


def _data(model_id: str | None, named: str | None) -> str | None:
    _say_skipped(found := found_files.listing("data"))
    paths = found.paths | uploads("data")
    name = choice("data", paths, shown_at_first("data", paths, named), optional=True)
    if name == NOTHING:
        return None
    with boundary("The data set"), _said_on_the_page():
        data = library.open_dataset(library.dataset_id(paths[name]))
        words = [plural(len(data), "example"), _classes(data)]
        st.caption(md_escape(" · ".join([*words, *([data.split] if data.split else [])])))
        limit = _sample_size(len(data))
        if model_id and data.flat:  # the model's input says the shape of the pictures
            return dataset_for(model_id, paths[name], limit)
        return library.dataset_id(paths[name], limit)
    return None


def _classes(data: DataSet) -> str:
    """How many classes occur, of how many: a list of names may be longer."""
    if data.labels is None:
        return "no labels"
    occurring, named = len(np.unique(data.labels[data.labels >= 0])), len(data.class_names)
    if occurring < named:
        return f"{count(occurring)} of {plural(named, 'class', 'classes')}"
    return plural(occurring, "class", "classes")


def _sample_size(examples: int) -> int | None:
    """How many examples are looked at; asked only where there is something to choose."""
    sizes = [size for size in SAMPLE_SIZES if size == "all" or int(size) < examples]
    if len(sizes) == 1:
        return None
    if st.session_state.get("sample", "all") not in sizes:
        st.session_state["sample"] = "all"
    chosen = st.selectbox(
        "Examples used",
        sizes,
        key="sample",
        bind="query-params",
        help="A sample keeps each class's share and is always the same.",
    )
    return None if chosen == "all" else int(chosen)


def _logs(named: str | None) -> str | None:
    _say_skipped(found := found_files.listing("logs"))
    paths = found.paths | uploads("logs")
    name = choice("logs", paths, shown_at_first("logs", paths, named), optional=True)
    if name == NOTHING:
        return None
    with boundary("The training logs"), _said_on_the_page():
        logs_id = library.logs_id(paths[name])
        runs = library.open_logs(logs_id).table["run"].nunique()
        st.caption(plural(runs, "run"))
        return logs_id
    return None
