"""Adding a file: uploaded, or, where the server allows it, typed as a path."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import streamlit as st

from core import library, store
from core.cards.card_json import parse_card
from core.downloads import TITLES, downloaded
from core.errors import UserError
from core.files import found_files
from core.jobs import Working
from core.model_facts import model_facts
from core.ui import corrections
from core.ui.boundary import boundary, start_again, was_stopped
from core.ui.choices import PARAMETERS
from core.ui.text import md_escape

TRIAL, REJECTED, SEEN = "_trial", "_rejected", "_rejected_seen"
PATHS_ALLOWED = "NETLENS_PATHS"  # set to 1 on the server: people may type any path it can read
_UPLOADED = re.compile(r"([\w.() -]{1,120})/uploaded/([0-9a-f]{32})")  # name and digest
KIND_WORDS = {"models": "model", "data": "data set", "logs": "training logs"}


def uploads(kind: str) -> dict[str, Path]:
    """What this session added, by the name that stands in the address. A followed link may name
    what another session uploaded, which is known by its content's digest, or, where the server
    allows that, a path on its machine."""
    added: dict[str, Path] = dict(st.session_state.get("_added", {}).get(kind, {}))
    key = {"models": "model"}.get(kind, kind)
    asked = st.session_state.get(key) or st.query_params.get(key)
    if isinstance(asked, str) and (found := _UPLOADED.fullmatch(asked)):
        path = store.uploads() / found[2] / found[1]
        if path.is_file():
            added[asked] = path
    elif isinstance(asked, str) and asked not in added and _paths_allowed():
        path = Path(asked)
        with suppress(OSError):  # no name at all, say
            if path.is_absolute() and path.exists() and found_files.kind_of(path) == kind:
                added[asked] = path
    return added


def without_digest(name: str) -> str:
    """A name as people say it."""
    return found[1] if (found := _UPLOADED.fullmatch(name)) else name


def _is_card(file: Any) -> bool:
    return file.name.endswith(".card.json")


def _paths_allowed() -> bool:
    return os.environ.get(PATHS_ALLOWED) == "1"


def add_file() -> None:
    """The popover that takes files and, where allowed, paths."""
    with st.popover("Add file", width="stretch"):
        files = st.file_uploader(
            "Model, data set, training log or model card",
            accept_multiple_files=True,
            key="uploaded",
            help="The file is read, never run. Upload files that belong together as one .zip.",
        )
        with boundary("The upload"):
            if TRIAL not in st.session_state:
                _take(files or [])
        if _paths_allowed():
            words = st.text_input("Or a path on this machine", key="typed_path").strip()
            if words and words != st.session_state.get("_path_before"):
                st.session_state["_path_before"] = words
                with boundary("The path"), _rejecting():
                    _open(Path(words).expanduser().absolute())
        else:
            st.caption(
                "To open folders of your own, start Netlens with "
                "`-- --models DIR --data DIR --logs DIR`."
            )
        _known_data()
        if st.session_state.get(REJECTED):
            st.caption("Not opened: the page says why.")
        elif message := st.session_state.pop("_added_note", None):
            st.caption(message)


def _take(files: list[Any]) -> None:
    """The next of these that is new; a card is for the model that came with it."""
    taken = st.session_state.setdefault("_taken", set())
    cards = st.session_state.setdefault("_cards", {})  # that came and wait for their model
    new = [file for file in files if file.file_id not in taken]
    for file in sorted(new, key=_is_card, reverse=True):
        taken.add(file.file_id)
        with _rejecting():
            if _is_card(file):
                cards[file.name] = corrections.from_file(file.name, file.getvalue())
            else:
                path = _kept(file.name, file.getvalue())
                is_model = found_files.kind_of(path) == "models"
                _open(path, cards.popitem()[1] if cards and is_model else None)
    if cards:
        name, said = cards.popitem()
        st.session_state["_added_note"] = f"Used for the open model: {md_escape(name)}"
        corrections.state(said)


@contextmanager
def _rejecting() -> Iterator[None]:
    """Why something is not opened is said on the page, not here where the next click hides it."""
    if st.session_state.pop(SEEN, None):  # what is said there was of another time
        st.session_state[REJECTED] = []
    try:
        yield
    except UserError as error:
        st.session_state.setdefault(REJECTED, []).append(error)


def _known_data() -> None:
    """Data sets by name; one is downloaded where it is not on this machine."""
    title = st.selectbox(
        "Or a well-known data set",
        TITLES,
        None,
        placeholder="downloaded once",
        key="known_data",
    )
    if title and title != st.session_state.get("_known_before"):
        with boundary("The download"):
            path = downloaded(title)
            st.session_state["_known_before"] = title
            _open(path)


def _kept(name: str, content: bytes) -> Path:
    """The uploaded bytes in the cache folder, under their digest and a harmless name."""
    harmless = (
        re.sub(r"[^\w.() -]", "_", Path(name.replace("\\", "/")).name)[-120:].lstrip(".") or "file"
    )
    folder = store.uploads() / hashlib.sha256(content).hexdigest()[:32]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / harmless
    if not path.exists():
        unfinished = path.with_name(f".{harmless}")
        unfinished.write_bytes(content)
        unfinished.replace(path)
        store.trim()
    return path


def _open(path: Path, card: dict[str, Any] | None = None) -> None:
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
    kind, path, card, job = st.session_state[TRIAL]
    with _rejecting():
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
    del st.session_state[TRIAL]
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
