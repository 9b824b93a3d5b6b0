"""The examples that are chosen: one selection, shared by all pages and kept in the address."""

from collections.abc import Iterable

import streamlit as st

KEY = "examples"  # of the sidebar's text field, and in the address: 3,17
MOST = 200


def selected() -> tuple[int, ...]:
    """Rows of the data set at hand that are chosen, in the order of choosing."""
    chosen = parsed(st.session_state.get(KEY) or "")
    return tuple(example for example in chosen if example < st.session_state.get("_examples", 0))


def select(examples: Iterable[int]) -> None:
    """Makes these the chosen examples and draws the page again where that changes anything."""
    chosen = tuple(dict.fromkeys(int(example) for example in examples))[:MOST]
    if chosen != selected():
        st.session_state["_next_examples"] = ",".join(map(str, chosen))
        st.rerun()


def toggle(example: int) -> None:
    """Adds an example to the chosen ones, or takes it away."""
    chosen = selected()
    select([e for e in chosen if e != example] if example in chosen else [*chosen, example])


def selection_field(examples: int) -> None:
    """The sidebar's field, of a data set with so many examples."""
    st.session_state["_examples"] = examples
    if (following := st.session_state.pop("_next_examples", None)) is not None:
        st.session_state[KEY] = following
    st.text_input(
        "Chosen examples",
        key=KEY,
        bind="query-params",
        placeholder="click a point or a picture",
        help="Their numbers, separated by commas. They are the same on every page.",
    )
    if number := len(selected()):
        words, clear = st.columns([3, 2], vertical_alignment="center")
        words.caption(f"{number} example{'s' if number > 1 else ''} chosen")
        if clear.button("Clear", key="clear_examples", width="stretch"):
            select(())


def parsed(words: str) -> tuple[int, ...]:
    """Examples from a text such as 3,17; what is no number is left out."""
    parts = [part.strip() for part in words[: 20 * MOST].split(",")[:MOST]]
    return tuple(
        dict.fromkeys(
            int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 12
        )
    )
