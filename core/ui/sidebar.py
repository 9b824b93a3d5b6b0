"""The sidebar: what is open, on every page the same; its choices live in the address."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import streamlit as st

from core import library
from core.cards.cards_beside import card_beside
from core.dataset_formats import DataSet
from core.errors import UserError
from core.files import found_files
from core.inference import dataset_for
from core.jobs import Working
from core.one_pass.machine import device_title
from core.ui import corrections, selection
from core.ui.add_file import add_file, uploads
from core.ui.boundary import boundary, until_done
from core.ui.card_editor import card_editor
from core.ui.log_address import closed_settings
from core.ui.text import file_size, md_escape, plural

FIRST_MODEL = "shapes-cnn.safetensors"  # what a newcomer sees, where no folder of theirs is given
NOTHING = "none"
REFUSED = "_refused"
SAMPLE_SIZES = ["all", "500", "2000", "10000"]
TITLES = {"models": "Model", "data": "Data set", "logs": "Training logs"}
PARAMETERS = {"models": "model", "data": "data", "logs": "logs"}  # names in the address


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

    Each choice is a widget bound to the address, without a default, so that the address always
    names the view, and the way back in the browser is a way back here.
    """
    linked = set() if "_model_before" in st.session_state else set(st.query_params)
    for kind, key in PARAMETERS.items():  # what was just added, or the sample
        if added := st.session_state.pop(f"_next_{kind}", None):
            st.session_state[key] = added
    corrections.follow()
    st.session_state[REFUSED] = []
    with st.sidebar:
        model_id, name = _model(linked)
        dataset_id = _data(model_id)
        logs_id = _logs()
        add_file()
        if model_id:
            with boundary("The model card"), _said_on_the_page():
                card_editor(model_id)
        selection.selection_field(len(library.open_dataset(dataset_id)) if dataset_id else 0)
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
    """What the sidebar could not open in this run."""
    return st.session_state.get(REFUSED, [])


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


def _choice(kind: str, paths: dict[str, Path], default: str, optional: bool) -> str:
    """A list of names to choose from; a name that is not there is said, and the default taken."""
    options, key = [*paths, *([NOTHING] if optional else [])], PARAMETERS[kind]
    missing = st.session_state.setdefault("_missing", {})
    asked = st.session_state.get(key) or st.query_params.get(key)
    if asked not in options:
        if asked is not None:
            missing[kind] = (str(asked), default)
        st.session_state[key] = default
    name = st.selectbox(TITLES[kind], options, None, key=key, bind="query-params")
    gone, instead = missing.get(kind, ("", ""))
    if gone and name == instead:
        st.warning(
            f"There is no {md_escape(gone)} here; {md_escape(instead)} is shown. "
            "Add the file, or choose another."
        )
    else:
        missing.pop(kind, None)
    return name


def _say_skipped(found: found_files.Listing) -> None:
    if found.skipped:
        st.caption(md_escape(found.skipped))


def _model(linked: set[str]) -> tuple[str | None, str]:
    found = found_files.listing("models")
    _say_skipped(found)
    paths = found.paths | uploads("models")
    if not paths:
        st.warning("No model file found. Add one below.")
        return None, ""
    default = (
        FIRST_MODEL
        if len(found_files.folders("models")) == 1 and FIRST_MODEL in paths
        else next(iter(paths))
    )
    name = _choice("models", paths, default, optional=False)
    if st.session_state.get("_model_before") != name:
        if "_model_before" in st.session_state:
            corrections.clear()
        elif paths[name].is_relative_to(found_files.SAMPLES):  # nobody has chosen it yet
            linked = linked | _with_own_folders()
        st.session_state["_model_before"] = name
        with boundary("The model card"):
            _open_what_the_card_names(paths[name], linked)
    with boundary("The model"), _said_on_the_page():
        model_id = library.model_id(paths[name], corrections.card())
        size = file_size(paths[name].stat().st_size)
        st.caption(f"{found_files.model_format(paths[name])} · {size}")
        return model_id, name
    return None, name


def _with_own_folders() -> set[str]:
    """Of what a person named folders when they started the app, which the samples never replace."""
    return {key for kind, key in PARAMETERS.items() if len(found_files.folders(kind)) > 1}


def _open_what_the_card_names(path: Path, linked: set[str]) -> None:
    """A newly chosen model brings the data and the logs that its card names."""
    card, _ = card_beside(path)
    for kind, named in (("data", card.data), ("logs", card.logs)):
        if PARAMETERS[kind] in linked or not named:
            continue
        target = (path.parent / named).resolve()
        names = [n for n, p in found_files.listing(kind).paths.items() if p.resolve() == target]
        if names:
            st.session_state[PARAMETERS[kind]] = names[0]


def _data(model_id: str | None) -> str | None:
    _say_skipped(found := found_files.listing("data"))
    paths = found.paths | uploads("data")
    own = len(found_files.folders("data")) > 1 and len(paths) > 0
    name = _choice("data", paths, next(iter(paths)) if own else NOTHING, optional=True)
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
    """How many classes occur: a list of names may be longer."""
    occur = len(data.class_names)
    if data.labels is not None:
        occur = len(np.unique(data.labels[data.labels >= 0]))
    return plural(occur, "class", "classes")


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


def _logs() -> str | None:
    _say_skipped(found := found_files.listing("logs"))
    paths = found.paths | uploads("logs")
    own = len(found_files.folders("logs")) > 1 and len(paths) > 0
    name = _choice("logs", paths, next(iter(paths)) if own else NOTHING, optional=True)
    if name == NOTHING:
        return None
    with boundary("The training logs"), _said_on_the_page():
        logs_id = library.logs_id(paths[name])
        runs = library.open_logs(logs_id).table["run"].nunique()
        st.caption(plural(runs, "run"))
        return logs_id
    return None
