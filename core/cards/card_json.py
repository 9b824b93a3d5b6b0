"""A model card from its JSON: every key is optional, what is there is checked."""

import math
from dataclasses import fields
from typing import Any

from core.card import CHANNEL_ORDERS, OUTPUTS, Card, InputSpec, ShorterSide
from core.errors import UserError

LARGEST_SIDE = 4096
ADVICE = "Correct the card, or remove the key."
LABELS = {  # of the keys that the card editor shows, as it calls them
    "architecture": "Architecture",
    "output": "Outputs are",
    "class_names": "Class names",
    "input.channels": "Channels",
    "input.height": "Height",
    "input.width": "Width",
    "input.channel_order": "Channel order",
    "input.range": "Pixel values 0 to 255 become",
    "input.mean": "Mean",
    "input.std": "Standard deviation",
    "input.resize": "Fitting the size",
}


def parse_card(said: Any, source: str, advice: str = ADVICE) -> Card:
    """A card from its JSON. Raises UserError that names `source`, the key and its label, and ends
    with `advice`."""
    if not isinstance(said, dict):
        raise UserError(f'{source}: a model card is a JSON object such as {{"output": "logits"}}.')
    unknown = said.keys() - {f.name for f in fields(Card)} | {"inferred"} & said.keys()
    if unknown:
        known = ", ".join(f.name for f in fields(Card) if f.name != "inferred")
        raise UserError(f"{source}: the key {min(unknown)!r} is not one of {known}. {advice}")
    try:
        return Card(
            **{
                key: _text(said[key], key)
                for key in ("title", "architecture", "data", "logs")
                if key in said
            },
            **({"class_names": _class_names(said["class_names"])} if "class_names" in said else {}),
            **({"output": _choice(said["output"], "output", OUTPUTS)} if "output" in said else {}),
            input=_input(said.get("input", {})),
        )
    except ValueError as error:
        raise UserError(f"{source}: {error}. {advice}") from error


def _input(said: Any) -> InputSpec:
    if not isinstance(said, dict):
        raise ValueError("'input' is an object with keys such as 'height'")
    readers = {
        "channels": lambda v: _count(v, "input.channels", 4096),
        "height": lambda v: _count(v, "input.height", LARGEST_SIDE),
        "width": lambda v: _count(v, "input.width", LARGEST_SIDE),
        "channel_order": lambda v: _choice(v, "input.channel_order", CHANNEL_ORDERS),
        "range": _range,
        "mean": lambda v: _numbers(v, "input.mean"),
        "std": _std,
        "resize": _resize,
    }
    if unknown := said.keys() - readers.keys():
        raise ValueError(f"the key {f'input.{min(unknown)}'!r} is not one of {', '.join(readers)}")
    spec = InputSpec(**{key: readers[key](value) for key, value in said.items()})
    for key in ("mean", "std"):
        numbers = getattr(spec, key)
        if numbers and spec.channels and len(numbers) not in (1, spec.channels):
            raise ValueError(
                f"{_named(f'input.{key}')} has {len(numbers)} numbers for {spec.channels} channels"
            )
    return spec


def _named(key: str) -> str:
    """A key with the label that the card editor gives it."""
    label = next((LABELS[shown] for shown in LABELS if f"{key}.".startswith(f"{shown}.")), None)
    return f"\"{label}\" ('{key}')" if label else f"'{key}'"


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str) or len(value) > 1000 or "\0" in value or _has_half(value):
        raise ValueError(
            f"{_named(key)} is a text of at most 1,000 characters, without NUL or half a character"
        )
    return value


def _has_half(text: str) -> bool:
    """Whether it holds half a character (a lone surrogate), which cannot be written anywhere."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def _choice(value: Any, key: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{_named(key)} is one of {', '.join(allowed)}, not {str(value)[:40]!r}")
    return value


def _count(value: Any, key: str, largest: int) -> int:
    if type(value) is not int or not 1 <= value <= largest:
        raise ValueError(f"{_named(key)} is a whole number from 1 to {largest:,}")
    return value


def _class_names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or len(value) > 100_000:
        raise ValueError(f"{_named('class_names')} is a list of names in the order of the outputs")
    for name in value:
        if type(name) not in (str, int, float) or _has_half(str(name)):
            raise ValueError(
                f"{_named('class_names')} holds {str(name)[:40]!r}, which is no text and no number"
            )
    return tuple(str(name)[:200] for name in value)


def _numbers(value: Any, key: str) -> tuple[float, ...]:
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(map(_is_finite, numbers)):
        raise ValueError(f"{_named(key)} is one finite number, or a list of one a channel")
    return tuple(float(n) for n in numbers)


def _is_finite(value: Any) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # a whole number of 400 digits
        return False


def _std(value: Any) -> tuple[float, ...]:
    numbers = _numbers(value, "input.std")
    if min(numbers) <= 0:
        raise ValueError(f"{_named('input.std')} is above 0")
    return numbers


def _range(value: Any) -> tuple[float, float]:
    numbers = _numbers(value, "input.range")
    if len(numbers) != 2 or numbers[0] == numbers[1]:
        raise ValueError(f"{_named('input.range')} is two different numbers, such as [0, 1]")
    return numbers


def _resize(value: Any) -> str | ShorterSide:
    if value == "stretch":
        return value
    sides = {"shorter_side", "crop"}
    if isinstance(value, dict) and sides <= value.keys() <= {*sides, "longer_side"}:
        side, crop = (
            _count(value[k], f"input.resize.{k}", LARGEST_SIDE) for k in ("shorter_side", "crop")
        )
        longer = value.get("longer_side", "nearest")
        if crop <= side and longer in ("nearest", "down"):
            return ShorterSide(side, crop, longer)
    raise ValueError(
        f'{_named("input.resize")} is "stretch" or {{"shorter_side": 256, "crop": 224}}, '
        'the crop no larger than the side; "longer_side" is "nearest" or "down"'
    )
