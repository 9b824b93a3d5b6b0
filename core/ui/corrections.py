"""What a session states over a model's card: JSON in a text field that is bound to the address."""

import json
from typing import Any

import streamlit as st

from core.card import Card
from core.cards.card_json import parse_card
from core.errors import UserError

KEY = "card"  # of the text field, and in the address
EMPTIED = "_card_emptied"  # undone, while the address still says it: until the field is drawn
LONGEST = 20_000  # characters
LABEL = "Corrections as JSON"
ADVICE = 'Correct it under "Model card" in the sidebar, or undo the corrections there.'


def text() -> str:
    """The corrections as they were stated, which need not be a card."""
    words = st.session_state.get(KEY)
    if not words and not st.session_state.get(EMPTIED):
        words = st.query_params.get(KEY)
    return words or ""


def said() -> dict[str, Any]:
    """The corrections as a card's JSON; none where the text is no JSON object."""
    return _read() or {}


def _read() -> dict[str, Any] | None:
    """None where the text is no JSON object."""
    words = text()
    try:
        found = json.loads(words or "{}") if len(words) < LONGEST else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def card() -> Card:
    """Raises UserError where the corrections are no card."""
    if (stated := _read()) is None:
        raise UserError(
            f'"{LABEL}" is not readable: a JSON object such as {{"output": "logits"}}, shorter '
            f"than {LONGEST:,} characters, is wanted. {ADVICE}"
        )
    return parse_card(stated, "The corrected card", ADVICE)


def from_file(name: str, content: bytes) -> dict[str, Any]:
    """An uploaded card as corrections. Raises UserError that names it."""
    try:
        stated = json.loads(content) if len(content) < LONGEST else None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name} is not readable JSON. Choose another card.") from error
    if stated is None:
        raise UserError(
            f"{name} is larger than {LONGEST:,} bytes, the limit for an uploaded card. Put it "
            "beside the model file on the server."
        )
    parse_card(stated, name)
    return stated


def clear() -> None:
    """Before the field is drawn."""
    st.session_state[KEY], st.session_state[EMPTIED] = "", True


def follow() -> None:
    """Takes over what was stated in the run before; before the field is drawn."""
    if (following := st.session_state.pop("_next_card", None)) is not None:
        st.session_state[KEY], st.session_state[EMPTIED] = following, not following


def field() -> None:
    """The text field, which brings the address up to date."""
    st.text_input(LABEL, key=KEY, bind="query-params")
    st.session_state.pop(EMPTIED, None)


def state(stated: dict[str, Any]) -> None:
    """Makes these the corrections and draws everything anew."""
    state_later(stated)
    st.rerun()


def state_later(stated: dict[str, Any]) -> None:
    """Makes these the corrections in the next run."""
    st.session_state["_next_card"] = json.dumps(stated, separators=(",", ":")) if stated else ""
    st.session_state.pop("_card_fault", None)
