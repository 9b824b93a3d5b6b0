"""The sidebar's lists: what is in them, and what is shown where the address names nothing."""

from pathlib import Path

import streamlit as st

from core.cards.cards_beside import card_beside
from core.files import found_files
from core.ui.text import md_escape

NOTHING = "none"
TITLES = {"models": "Model", "data": "Data set", "logs": "Training logs"}
PARAMETERS = {"models": "model", "data": "data", "logs": "logs"}  # names in the address


def choice(kind: str, paths: dict[str, Path], default: str, optional: bool) -> str:
    """A list of names to choose from; a name that is not there is said, and the default taken."""
    options, key = [*paths, *([NOTHING] if optional else [])], PARAMETERS[kind]
    missing = st.session_state.setdefault("_missing", {})
    asked = st.session_state.get(key) or st.query_params.get(key)
    if asked is not None and asked not in options:
        missing[kind] = (str(asked), default)
        st.session_state[key] = default
    at_first = options.index(default)
    name = st.selectbox(TITLES[kind], options, at_first, key=key, bind="query-params")
    gone, instead = missing.get(kind, ("", ""))
    if gone and name == instead:
        st.warning(
            f"There is no {md_escape(gone)} here; {md_escape(instead)} is shown. "
            "Add the file, or choose another."
        )
    else:
        missing.pop(kind, None)
    return name


def named_by_the_card(path: Path) -> dict[str, str]:
    """Data and logs by kind; the samples' never replace what a person named folders for."""
    card, _ = card_beside(path)
    found = {}
    for kind, named in (("data", card.data), ("logs", card.logs)):
        own = len(found_files.folders(kind)) > 1 and path.is_relative_to(found_files.SAMPLES)
        if named and not own:
            target = (path.parent / named).resolve()
            for name, place in found_files.listing(kind).paths.items():
                if place.resolve() == target:
                    found[kind] = name
    return found


def shown_at_first(kind: str, paths: dict[str, Path], named: str | None) -> str:
    """What is shown where the address names nothing."""
    own = len(found_files.folders(kind)) > 1 and len(paths) > 0
    return named or (next(iter(paths)) if own else NOTHING)
