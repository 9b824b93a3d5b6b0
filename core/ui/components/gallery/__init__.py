"""Example cards in a grid: the same card on every page; a click chooses the example."""

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent
_gallery = st.components.v2.component(
    "netlens_gallery",
    html='<div class="cards"></div>',
    css=(HERE / "gallery.css").read_text(encoding="utf-8"),
    js=(HERE / "gallery.js").read_text(encoding="utf-8"),
)


def gallery(cards: list[dict], chosen: tuple[int, ...], key: str, side: int = 96,
            form: str = "grid") -> int | None:
    """Draws the cards and gives the example that was clicked in this run, else None.

    A card: example, image (a data URI made here), lines ((kind, words), kind "main" or "quiet"),
    wrong, title. side: of the picture, in pixels. form: "grid"; "low", with two rows in sight and
    more by scrolling; or "strip", one row that scrolls sideways.
    """
    result = _gallery(
        data={"cards": cards, "chosen": list(chosen), "side": side, "form": form},
        key=key,
        on_clicked_change=lambda: None,
    )
    known = {card["example"] for card in cards}
    return result.clicked if result.clicked in known else None
