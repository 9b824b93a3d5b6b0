"""Pictures on the page: thumbnails made once, and the example card."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import streamlit as st

from core.cache import shared_resource
from core.errors import UserError
from core.images import data_uri
from core.library import open_dataset
from core.ui.components.gallery import gallery
from core.ui.selection import selected, toggle
from core.ui.text import percent, three_digits

MOST_KEPT = 20_000  # thumbnails of a data set in memory, about 1 kB each
MISSING = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 10 10'%3E"
    "%3Cpath d='M2 2l6 6M8 2l-6 6' stroke='gray'/%3E%3C/svg%3E"
)


@shared_resource(entries=8)
def _made(dataset_id: str, side: int) -> dict[int, str]:
    """The thumbnails of a data set that were made so far, by example."""
    return {}


def thumbnails(dataset_id: str, examples: list[int], side: int) -> list[str]:
    """The pictures of these examples as data URIs, the longer side of each `side` pixels; a grey
    cross where one cannot be read. Each is made once."""
    data, kept = open_dataset(dataset_id), _made(dataset_id, side)
    found = {example: kept.get(example) for example in examples}
    missing = [example for example, picture in found.items() if picture is None]

    def make(example: int) -> str:
        try:
            return data_uri(data.image(example), side)
        except UserError:
            return MISSING

    if len(missing) > 1:
        with ThreadPoolExecutor(4) as pool:  # decoding lets go of the interpreter
            made = dict(zip(missing, pool.map(make, missing), strict=True))
    else:
        made = {example: make(example) for example in missing}
    if len(kept) + len(made) > MOST_KEPT:
        kept.clear()
    kept.update(made)
    return [made.get(example) or found[example] for example in examples]


def cards(dataset_id: str, rows: pd.DataFrame, side: int) -> list[dict]:
    """Examples as the gallery draws them, from rows of core.outcomes.examples."""
    there = rows["example"].astype(int).tolist()
    numbers = open_dataset(dataset_id).numbers(there)
    pictures = thumbnails(dataset_id, there, side)
    return [_card(*one) for one in zip(rows.to_dict("records"), numbers, pictures, strict=True)]


def _card(row: dict, number: int, picture: str) -> dict:
    label = row.get("label")
    known = isinstance(label, str)
    said = [row[column] for column in ("label", "prediction") if isinstance(row.get(column), str)]
    main = " → ".join(said) or f"#{number}"
    quiet = [f"p {percent(row['confidence'])}"] if "confidence" in row else []
    if known and pd.notna(row.get("loss")):
        quiet.append(f"loss {three_digits(row['loss'])}")
    return {
        "example": int(row["example"]),
        "image": picture,
        "lines": [["main", main], ["quiet", " · ".join(quiet)], ["quiet", f"#{number}"]],
        "wrong": known and not bool(row.get("correct", True)),
        "title": ", ".join([main, *quiet, f"example {number}", str(row["path"])]),
    }


def in_order(table: pd.DataFrame, chosen: Iterable[int]) -> pd.DataFrame:
    """The rows of these examples, in the order they are given; those the table lacks are left
    out."""
    table = table.set_index("example", drop=False)
    return table.loc[[example for example in chosen if example in table.index]]


def image_pool(dataset_id: str, rows: pd.DataFrame, key: str, side: int = 96,
               form: str = "grid") -> None:
    """Cards of these examples in their order; a click chooses one, or takes it back. form: as the
    gallery has them."""
    if rows.empty:
        st.caption("No examples to show here.")
        return
    clicked = gallery(cards(dataset_id, rows, side), selected(), key, side, form)
    if clicked is not None:
        toggle(clicked)
