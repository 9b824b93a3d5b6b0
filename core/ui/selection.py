"""The examples that are chosen: one selection, shared by all pages and kept in the address.

Pages count the examples of the data at hand, which may be a sample. What people see, and what the
address keeps, are numbers in the whole, so that another sample does not change what they mean.
"""

from collections.abc import Iterable

import streamlit as st

from core.dataset_formats import DataSet
from core.library import open_dataset
from core.ui.text import count, md_escape, plural, shorten

KEY = "examples"  # of the sidebar's text field, and in the address: 3,17
MOST = 200
NAMED = 5  # of what is left out


def selected() -> tuple[int, ...]:
    """Examples of the data set at hand that are chosen, in the order of choosing."""
    data = _data()
    chosen = map(data.example, _chosen_numbers()) if data else ()
    return tuple(example for example in chosen if example is not None)


def numbers(examples: Iterable[int]) -> list[int]:
    """What people call these examples of the data set at hand."""
    data = _data()
    return data.numbers(examples) if data else list(examples)


def select(examples: Iterable[int]) -> None:
    """Makes these the chosen examples and draws the page again where that changes anything."""
    _write(dict.fromkeys(numbers(examples)))


def toggle(example: int) -> None:
    """Adds an example to the chosen ones, or takes it away."""
    (number,), chosen = numbers([example]), _chosen_numbers()
    _write([n for n in chosen if n != number] if number in chosen else [*chosen, number])


def put_first(example: int) -> None:
    """Makes an example the first of the chosen ones."""
    _write(dict.fromkeys([*numbers([example]), *_chosen_numbers()]))


def selection_field(dataset_id: str | None) -> None:
    """The sidebar's field, and what of it cannot be shown."""
    st.session_state["_examples_of"] = dataset_id
    if (following := st.session_state.pop("_next_examples", None)) is not None:
        st.session_state[KEY] = following
    st.text_input(
        "Chosen examples",
        key=KEY,
        bind="query-params",
        placeholder="click a point or a picture",
        help="Their numbers, separated by commas: rows of all the data, from 0. They are the same "
        "on every page, whichever sample is used.",
    )
    data, words = _data(), _words()
    if data is None or not words.strip():
        return
    said, clear = st.columns([3, 2], vertical_alignment="center")
    said.caption(f"{plural(len(selected()), 'example')} chosen")
    if clear.button("Clear", key="clear_examples", width="stretch"):
        select(())
    if dropped := left_out(words, data):
        st.caption(md_escape(" ".join(dropped), longest=600))


def parsed(words: str) -> tuple[list[int], list[str]]:
    """The numbers in a text such as 3,17, and what of it is no number; of the first MOST parts."""
    parts = dict.fromkeys(part.strip() for part in words.split(",", MOST)[:MOST])
    known = {part: part.isascii() and part.isdigit() and len(part) < 12 for part in parts if part}
    found = dict.fromkeys(int(part) for part, is_number in known.items() if is_number)
    return list(found), [part for part, is_number in known.items() if not is_number]


def left_out(words: str, data: DataSet) -> list[str]:
    """Sentences on what of such a text is not among the examples of this data."""
    found, others = parsed(words)
    strange = [*(str(number) for number in found if number >= data.whole), *others]
    elsewhere = [str(n) for n in found if n < data.whole and data.example(n) is None]
    said = [f"{_few(strange)}: no such example."] if strange else []
    if elsewhere:
        verb = "is" if len(elsewhere) == 1 else "are"
        said.append(f"{_few(elsewhere)} {verb} not in the sample of {count(len(data))}.")
    if (parts := words.strip(", ").count(",") + 1) > MOST:
        said.append(f"Only the first {MOST} of {count(parts)} are taken.")
    return said


def _few(parts: list[str]) -> str:
    more = f" and {count(len(parts) - NAMED)} more" if len(parts) > NAMED else ""
    return ", ".join(shorten(part, 20) for part in parts[:NAMED]) + more


def _words() -> str:
    return st.session_state.get(KEY) or ""


def _chosen_numbers() -> list[int]:
    """Those in the field, also of examples that are not in the sample."""
    return parsed(_words())[0]


def _write(chosen: Iterable[int]) -> None:
    words = ",".join(map(str, chosen))
    if words != _words():
        st.session_state["_next_examples"] = words
        st.rerun()


def _data() -> DataSet | None:
    dataset_id = st.session_state.get("_examples_of")
    return open_dataset(dataset_id) if dataset_id else None
