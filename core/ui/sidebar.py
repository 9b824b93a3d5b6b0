"""The sidebar: what is open, on every page the same; its choices live in the address."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st

from core import library
from core.card import Card, card_beside
from core.device import device_title
from core.ui import selection
from core.ui.add_file import add_file, uploads
from core.ui.boundary import boundary
from core.ui.card_editor import card_editor, corrections
from core.ui.text import count, file_size, md_escape, plural, shorten

FIRST_MODEL = "shapes-cnn.safetensors"  # what a newcomer sees, where no folder of theirs is given
NOTHING = "none"
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


def sidebar(page: str) -> Chosen:
    """Draws the sidebar and gives what is chosen in it."""
    followed = _follow_address()
    with st.sidebar:
        model_id, name = _model(followed)
        dataset_id = _data(page)
        logs_id = _logs()
        add_file()
        if model_id:
            with boundary("The model card"):
                card_editor(model_id)
        _selection_line()
        st.caption(f"Runs on {md_escape(device_title())}")
        _write_address()
        with st.popover("Copy link", width="stretch"):
            st.caption("Opens the same view for whoever reaches this server.")
            st.code(_link(), language=None, wrap_lines=True)
    return Chosen(model_id, dataset_id, logs_id, selection.selected(), name)


def _follow_address() -> set[str]:
    """Takes over what a followed link says; gives the parameters that it named."""
    written = st.session_state.setdefault("_written", {})
    said = {key: value for key, value in st.query_params.items() if value != written.get(key)}
    for kind, parameter in PARAMETERS.items():
        if added := st.session_state.pop(f"_next_{kind}", None):
            st.session_state[parameter] = added
        elif parameter in said:
            st.session_state[parameter] = said[parameter]
    if "sample" in said:
        st.session_state["sample"] = said["sample"]
    if "examples" in said:
        st.session_state[selection.KEY] = selection.parsed(said["examples"])
    if "card" in said:
        corrections.from_address(said["card"])
    return set(said)


def _write_address() -> None:
    """Puts the choices into the address, so that it always names the view."""
    values = {parameter: st.session_state.get(parameter) for parameter in PARAMETERS.values()}
    values["sample"] = None if st.session_state.get("sample") == "all" else st.session_state.get("sample")
    values["examples"] = ",".join(map(str, selection.selected())) or None
    values["card"] = corrections.to_address()
    for key, value in values.items():
        if value is None:
            st.query_params.pop(key, None)
        elif st.query_params.get(key) != value:
            st.query_params[key] = value
    st.session_state["_written"] = {key: value for key, value in values.items() if value is not None}


def _link() -> str:
    base = (st.context.url or "").partition("?")[0]
    return f"{base}?{urlencode(dict(st.query_params))}"


def _choice(kind: str, paths: dict[str, Path], default: str, optional: bool) -> str:
    """A list of names to choose from; a name that is not there is said, and the default taken."""
    options, key = [*paths, *([NOTHING] if optional else [])], PARAMETERS[kind]
    missing = st.session_state.setdefault("_missing", {})
    if (asked := st.session_state.get(key)) not in options:
        st.session_state[key] = default
        if asked is not None:
            missing[kind] = (str(asked), default)
    name = st.selectbox(TITLES[kind], options, key=key, format_func=lambda name: shorten(name, 34))
    gone, instead = missing.get(kind, ("", ""))
    if gone and name == instead:
        st.warning(f"There is no {md_escape(gone)} here; {md_escape(instead)} is shown. Add the file, or choose "
                   "another.")
    else:
        missing.pop(kind, None)
    return name


def _model(followed: set[str]) -> tuple[str | None, str]:
    found = library.listing("models")
    paths = found.paths | uploads("models")
    if not paths:
        st.warning("No model file found. Add one below.")
        return None, ""
    default = FIRST_MODEL if len(library.folders("models")) == 1 and FIRST_MODEL in paths else next(iter(paths))
    name = _choice("models", paths, default, optional=False)
    if st.session_state.get("_model_before") != name:
        if "_model_before" in st.session_state and "card" not in followed:
            corrections.clear()
        st.session_state["_model_before"] = name
        with boundary("The model card"):
            _open_what_the_card_names(paths[name], followed)
    with boundary("The model"):
        model_id = library.model_id(paths[name], corrections.card())
        st.caption(f"{library.model_format(paths[name])} · {file_size(paths[name].stat().st_size)}")
        return model_id, name
    return None, name


def _open_what_the_card_names(path: Path, followed: set[str]) -> None:
    """A newly chosen model brings the data and the logs that its card names."""
    card, _ = card_beside(path)
    for kind, named in (("data", card.data), ("logs", card.logs)):
        if PARAMETERS[kind] in followed or not named:
            continue
        target = (path.parent / named).resolve()
        names = [n for n, p in library.listing(kind).paths.items() if p.resolve() == target]
        if names:
            st.session_state[PARAMETERS[kind]] = names[0]


def _data(page: str) -> str | None:
    paths = library.listing("data").paths | uploads("data")
    own = len(library.folders("data")) > 1 and len(paths) > 0
    name = _choice("data", paths, next(iter(paths)) if own else NOTHING, optional=True)
    if name == NOTHING:
        return None
    with boundary("The data set"):
        data = library.open_dataset(library.dataset_id(paths[name]))
        words = [plural(len(data), "example"), plural(len(data.class_names), "class", "classes")]
        st.caption(md_escape(" · ".join([*words, *([data.split] if data.split else [])])))
        selection.keep_existing(len(data))
        limit = _sample_size(len(data))
        return library.dataset_id(paths[name], limit)
    return None


def _sample_size(examples: int) -> int | None:
    """How many examples are looked at; asked only where there is something to choose."""
    sizes = [size for size in SAMPLE_SIZES if size == "all" or int(size) < examples]
    if st.session_state.get("sample") not in sizes:
        st.session_state["sample"] = "all"
    if len(sizes) == 1:
        return None
    chosen = st.selectbox("Examples used", sizes, key="sample",
                          format_func=lambda size: "all" if size == "all" else f"a sample of {count(int(size))}",
                          help="A sample keeps each class's share and is always the same.")
    return None if chosen == "all" else int(chosen)


def _logs() -> str | None:
    paths = library.listing("logs").paths | uploads("logs")
    own = len(library.folders("logs")) > 1 and len(paths) > 0
    name = _choice("logs", paths, next(iter(paths)) if own else NOTHING, optional=True)
    if name == NOTHING:
        return None
    with boundary("The training logs"):
        logs_id = library.logs_id(paths[name])
        runs = library.open_logs(logs_id).table["run"].nunique()
        st.caption(plural(runs, "run"))
        return logs_id
    return None


def _selection_line() -> None:
    chosen = selection.selected()
    if not chosen:
        st.caption("No examples chosen. Click a point or a picture.")
        return
    words, clear = st.columns([3, 2], vertical_alignment="center")
    words.caption(f"{plural(len(chosen), 'example')} chosen")
    if clear.button("Clear", key="clear_examples", width="stretch"):
        selection.select(())
