"""The model card in the sidebar: what is stated, what was inferred, and how to correct it."""

import json
from typing import Any

import streamlit as st

from core.card import CHANNEL_ORDERS, OUTPUTS, Card, ShorterSide
from core.cards.card_json import LABELS, parse_card
from core.errors import UserError
from core.jobs import Working
from core.model_facts import model_facts
from core.ui import corrections
from core.ui.boundary import until_done
from core.ui.text import md_escape

CHOICES = {"output": OUTPUTS, "input.channel_order": CHANNEL_ORDERS}
COUNTS = ("input.channels", "input.height", "input.width")
NUMBERS = ("input.range", "input.mean", "input.std")
SPELLING = {
    "input.range": "Two numbers, such as 0, 1.",
    "input.mean": "One number, or one a channel: 0.5, 0.5, 0.5.",
    "input.std": "One number, or one a channel: 0.5, 0.5, 0.5.",
    "input.resize": "stretch, or 256, 224: the shorter side brought to 256 pixels, then 224 × 224 "
    "cut from the middle.",
}
ADVICE = "Correct what stands in the field."


def card_editor(model_id: str) -> None:
    """A popover with every key of the card, its value and where it comes from."""
    try:
        card = model_facts(model_id).card
    except Working as working:
        until_done(working.job, without_card)
        return
    except UserError:
        without_card()  # what was corrected may be the reason
        raise
    with st.popover("Model card", width="stretch"):
        open_keys = [LABELS[key].lower() for key in LABELS if key in card.inferred]
        st.caption(
            f"Inferred, please check: {', '.join(open_keys)}."
            if open_keys
            else "What stands here is stated by the file or its card. What is empty is taken from "
            "the data, or from what is usual."
        )
        with st.form("card-editor", border=False):
            said = {key: _field(key, label, card) for key, label in LABELS.items()}
            applied = st.form_submit_button("Apply", width="stretch")
        if applied:
            _apply(said, card)
        if fault := st.session_state.get("_card_fault"):
            st.error(md_escape(fault))
        _undo()
        st.download_button(
            "Download card",
            json.dumps(card.to_json(), indent=2),
            "model.card.json",
            "application/json",
            width="stretch",
            help="Put it beside the model file as NAME.card.json.",
        )


def without_card() -> None:
    """Corrections stay in the address as long as their field is drawn."""
    with st.popover("Model card", width="stretch", disabled=not corrections.text()):
        _undo()


def _undo() -> None:
    if corrections.text() and st.button("Undo corrections", width="stretch"):
        corrections.state({})
    corrections.field()


def _field(key: str, label: str, card: Card) -> str:
    """One key's widget; gives what it shows as text."""
    shown = _as_text(card.values().get(key))
    inferred = "Inferred: no file states it." if key in card.inferred else ""
    help_text = f"{SPELLING.get(key, '')} {inferred}".strip() or None
    if key in CHOICES:
        options = ["", *CHOICES[key]]
        return st.selectbox(label, options, options.index(shown), help=help_text)
    if key == "class_names":
        return st.text_area(f"{label}, one a line", shown, help=help_text)
    return st.text_input(label, shown, help=help_text)


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, ShorterSide):
        return ", ".join(str(said) for said in value.to_json().values())
    if isinstance(value, tuple) and value and isinstance(value[0], str):
        return "\n".join(value)
    if isinstance(value, tuple):
        return ", ".join(f"{number:g}" for number in value)
    return str(value)


def _apply(said: dict[str, str], card: Card) -> None:
    """Takes what differs from the card as a correction, and draws everything anew."""
    changed = {
        key: words for key, words in said.items() if words != _as_text(card.values().get(key))
    }
    correction = corrections.said() | {}
    for key, words in changed.items():
        place = correction
        if key.startswith("input."):
            place = correction["input"] = dict(correction.get("input", {}))
        name = key.removeprefix("input.")
        if words.strip():
            place[name] = _parsed(key, words)
        elif name in place or key in card.inferred:
            place.pop(name, None)  # as it was, or is inferred again
        else:
            st.session_state["_card_fault"] = (
                f'"{LABELS[key]}" is stated by the model file or the card beside it, so it cannot '
                "be left open here. Enter what holds instead."
            )
            return
    if not correction.get("input", True):
        del correction["input"]
    try:
        whole = parse_card(correction, "The corrected card", ADVICE).or_else(card)
        parse_card(whole.to_json(), "The corrected card", ADVICE)  # it must suit the rest
    except UserError as error:
        st.session_state["_card_fault"] = str(error)
        return
    corrections.state(correction)


def _parsed(key: str, words: str) -> Any:
    """A field's text as the card's JSON has it; `parse_card` names what is malformed."""
    words = words.strip()
    if key == "class_names":
        return [line.strip() for line in words.splitlines() if line.strip()]
    if key in NUMBERS:
        return _listed(words)
    if key == "input.resize":
        sides = _listed(words)
        if isinstance(sides, list) and len(sides) in (2, 3):
            return dict(zip(("shorter_side", "crop", "longer_side"), sides, strict=False))
        return words if isinstance(sides, list) else sides
    return _number(words) if key in COUNTS else words


def _listed(words: str) -> Any:
    """JSON's list, object or text; else what stands between commas."""
    try:
        if isinstance(said := json.loads(words), (list, dict, str)):
            return said
    except (ValueError, RecursionError):
        pass
    return [_number(part.strip()) for part in words.replace(";", ",").split(",")]


def _number(words: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(words)
        except ValueError:
            continue
    return words
