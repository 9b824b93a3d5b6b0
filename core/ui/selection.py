"""The examples that are chosen: one selection, shared by all pages and kept in the address."""

from collections.abc import Iterable

import streamlit as st

KEY = "examples"
MOST = 200


def selected() -> tuple[int, ...]:
    """Rows of the data set that are chosen, in the order of choosing."""
    return st.session_state.get(KEY, ())


def select(examples: Iterable[int]) -> None:
    """Makes these the chosen examples and draws the page again where that changes anything."""
    chosen = tuple(dict.fromkeys(int(example) for example in examples))[:MOST]
    if chosen != selected():
        st.session_state[KEY] = chosen
        st.rerun()


def toggle(example: int) -> None:
    """Adds an example to the chosen ones, or takes it away."""
    chosen = selected()
    select([e for e in chosen if e != example] if example in chosen else [*chosen, example])


def keep_existing(examples: int) -> None:
    """Drops what the data set at hand does not have."""
    st.session_state[KEY] = tuple(e for e in selected() if 0 <= e < examples)


def parsed(words: str) -> tuple[int, ...]:
    """Examples from an address such as 3,17; what is no number is left out."""
    parts = [part for part in words.split(",")[:MOST] if part.isascii() and part.isdigit()]
    return tuple(dict.fromkeys(int(part) for part in parts if len(part) < 12))
