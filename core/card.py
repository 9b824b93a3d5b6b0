"""The model card: what a model wants as input, what its outputs mean, and who says so.

Read from JSON in core/cards/card_json.py, found beside a model file in core/cards/cards_beside.py.
"""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

FEATURES = "features"  # a network without its last layer, which has no classes
OUTPUTS = ("logits", "probabilities", "log_probabilities", "sigmoid", FEATURES)
CHANNEL_ORDERS = ("RGB", "BGR")


@dataclass(frozen=True)
class ShorterSide:
    """The picture's shorter side brought to `shorter_side` pixels, then `crop` × `crop` cut from
    the middle, and stretched where the network takes another size. The longer side follows in
    proportion, to the nearest pixel, or rounded down, as the transforms of torchvision, timm and
    Hugging Face do ("down")."""

    shorter_side: int
    crop: int
    longer_side: str = "nearest"

    def __str__(self) -> str:
        return f"shorter side {self.shorter_side}, middle {self.crop}"

    def to_json(self) -> dict[str, Any]:
        said = asdict(self)
        if self.longer_side == "nearest":
            del said["longer_side"]
        return said


@dataclass(frozen=True)
class InputSpec:
    """How a picture becomes an input; None where nobody has said.

    range: what pixel values 0 to 255 are mapped to before mean and std, one number each or one
    a channel. resize: "stretch", or {"shorter_side": 256, "crop": 224}, with "longer_side":
    "down" where that side is rounded down.
    """

    channels: int | None = None
    height: int | None = None
    width: int | None = None
    channel_order: str | None = None
    range: tuple[float, float] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    resize: str | ShorterSide | None = None


@dataclass(frozen=True)
class Card:
    """What is known of a model. `inferred` names the keys that nobody stated, such as "output"
    or "input.height"; `data` and `logs` are names relative to the card's own folder."""

    title: str | None = None
    architecture: str | None = None
    class_names: tuple[str, ...] | None = None
    input: InputSpec = field(default_factory=InputSpec)
    output: str | None = None
    data: str | None = None
    logs: str | None = None
    inferred: frozenset[str] = frozenset()

    @property
    def has_classes(self) -> bool:
        return self.output != FEATURES

    def values(self) -> dict[str, Any]:
        """What is known by dotted key, "input.mean" and the like."""
        flat = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name not in ("input", "inferred")
        }
        flat |= {f"input.{key}": value for key, value in vars(self.input).items()}
        return {key: value for key, value in flat.items() if value is not None}

    def or_else(self, other: "Card") -> "Card":
        """This card, with what it leaves open taken from `other`."""
        mine = self.values()
        taken = {key: value for key, value in other.values().items() if key not in mine}
        inferred = self.inferred | (other.inferred & taken.keys())
        return _with_values(self, taken, inferred)

    def infer(self, **guesses: Any) -> "Card":
        """This card, with what it leaves open filled by guesses, marked as inferred.

        Keys of the input are written input_height for "input.height".
        """
        dotted = {key.replace("input_", "input."): value for key, value in guesses.items()}
        known = self.values()
        taken = {k: v for k, v in dotted.items() if k not in known and v is not None}
        return _with_values(self, taken, self.inferred | taken.keys())

    def to_json(self) -> dict[str, Any]:
        """The card as its JSON says it, without what is unknown."""
        said = {key: value for key, value in asdict(self).items() if value is not None}
        del said["inferred"]
        spec = {key: value for key, value in said.pop("input").items() if value is not None}
        if isinstance(self.input.resize, ShorterSide):
            spec["resize"] = self.input.resize.to_json()
        return json.loads(json.dumps(said | ({"input": spec} if spec else {})))


def in_words(key: str, value: Any) -> str:
    """A value of `Card.values` as a sentence says it: "0 to 1" for a range."""
    if not isinstance(value, tuple):
        return str(value)
    words = [str(part) if isinstance(part, str) else f"{part:g}" for part in value[:4]]
    if key == "input.range":
        return " to ".join(words)
    return ", ".join(words) + (f" … ({len(value)})" if len(value) > 4 else "")


def _with_values(card: Card, values: dict[str, Any], inferred: frozenset[str]) -> Card:
    spec = {key.removeprefix("input."): v for key, v in values.items() if key.startswith("input.")}
    rest = {key: value for key, value in values.items() if not key.startswith("input.")}
    return replace(card, **rest, input=replace(card.input, **spec), inferred=frozenset(inferred))
