"""Adding a file: uploaded, or, where the server allows it, typed as a path."""

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import streamlit as st

from core import store
from core.downloads import TITLES, downloaded
from core.files import found_files
from core.ui import corrections
from core.ui.added import REJECTED, TRIAL, put_on_trial, rejecting
from core.ui.boundary import boundary
from core.ui.text import md_escape

PATHS_ALLOWED = "NETLENS_PATHS"  # set to 1 on the server: people may type any path it can read
_UPLOADED = re.compile(r"([\w.() -]{1,120})/uploaded/([0-9a-f]{32})")  # name and digest


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
                with boundary("The path"), rejecting():
                    put_on_trial(Path(words).expanduser().absolute())
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
        with rejecting():
            if _is_card(file):
                cards[file.name] = corrections.from_file(file.name, file.getvalue())
            else:
                path = _kept(file.name, file.getvalue())
                is_model = found_files.kind_of(path) == "models"
                put_on_trial(path, cards.popitem()[1] if cards and is_model else None)
    if cards:
        name, said = cards.popitem()
        st.session_state["_added_note"] = f"Used for the open model: {md_escape(name)}"
        corrections.state(said)


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
            put_on_trial(path)


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
