"""Sizes and numbers of other programs' files, and their fitting of pictures as a card says it."""

import math
from typing import Any, NamedTuple

from core.cards.card_json import LARGEST_SIDE

Sides = tuple[int, int]  # height and width
BILINEAR = ("2", "bilinear")
RESAMPLING = {"0": "nearest", "1": "lanczos", "3": "bicubic", "4": "box", "5": "hamming"}


class Reading(NamedTuple):
    """A card's JSON, and what it leaves out or only approximates, a sentence each."""

    card: dict[str, Any]
    notes: list[str]


def whole(value: Any) -> int | None:
    """A side in pixels; None where it is none that a card may have."""
    return value if type(value) is int and 1 <= value <= LARGEST_SIDE else None


def number(value: Any) -> float | None:
    """A finite number, also one written as text."""
    if type(value) not in (int, float, str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def numbers(value: Any, positive: bool = False) -> list[float] | None:
    """One number, or one a channel; None where one of them is no number, or not `positive`."""
    found = [number(part) for part in (value if isinstance(value, list) else [value])]
    fit = all(part is not None and (part > 0 or not positive) for part in found)
    return found if found and fit else None


def fitted(
    stretched: Sides | None, shorter: int | None, crop: Sides | None
) -> tuple[dict[str, Any], list[str]]:
    """Height, width and resize of a card, and a note where it says less than the file: pictures
    are stretched, or their shorter side is brought to so many pixels, then the middle is cut out.
    """
    seen = crop or stretched
    spec: dict[str, Any] = {"height": seen[0], "width": seen[1]} if seen else {}
    if seen and seen == stretched:
        return spec | {"resize": "stretch"}, []
    side = stretched[0] if stretched and stretched[0] == stretched[1] else shorter
    if crop and side and crop[0] == crop[1] and whole(side) and crop[0] <= side:
        spec["resize"] = {"shorter_side": side, "crop": crop[0], "longer_side": "down"}
        approximated = (
            f"pictures are there stretched to {side} × {side} first, here their shorter side is "
            f"brought to {side}; the figures of pictures that are not square may differ."
        )
        return spec, [approximated] if stretched else []
    if not seen and not shorter:
        return spec, []
    how = "are brought to another size in proportion"
    if stretched:
        how = f"are stretched to {stretched[1]} × {stretched[0]}"
    elif shorter:
        how = f"have their shorter side brought to {shorter}"
    cut = f"the middle {crop[1]} × {crop[0]} cut out" if crop else "nothing cut off"
    return spec, [left_open(f"{how} and {cut}")]


def left_open(how: str) -> str:
    """The note where a card has no word for what is done to pictures."""
    return (
        f"pictures there {how}, which a card cannot say: how they are fitted is left open, "
        "and figures may differ."
    )


def resampling(value: Any, key: str) -> list[str]:
    """The key and its value in words, where pictures are not resized bilinearly, as here."""
    said = str(value)[:20].lower() if isinstance(value, (int, str)) else "no name"
    if value is None or said in BILINEAR:
        return []
    return [f"{key} ({RESAMPLING.get(said, said)}; here bilinear)"]


def unfollowed(keys: list[str], unread: list[str]) -> list[str]:
    """The notes on keys that are given and not followed, and on those without a usable value."""
    said = {
        "not followed here: {}. Figures may differ.": keys,
        "without a value that can be used: {}.": unread,
    }
    return [
        text.format(", ".join(key[:60] for key in named[:8]))
        for text, named in said.items()
        if named
    ]
