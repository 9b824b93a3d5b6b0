"""What a search for a better set-up found, and what of it is offered."""

from dataclasses import dataclass, field
from typing import Any

from core.card import InputSpec, ShorterSide
from core.setups.choice import Tried


@dataclass(frozen=True)
class Row:
    """One set-up that was tried on the whole sample: its changes in words, and right answers."""

    words: tuple[str, ...]
    right: int


@dataclass(frozen=True)
class Offer:
    """A set-up that is clearly better. correction: of the model card, as its JSON says it, None
    where nothing of it can be said there; open: changes that the card cannot say."""

    words: tuple[str, ...]
    right: int
    correction: dict[str, Any] | None
    open: tuple[str, ...] = ()


@dataclass(frozen=True)
class Search:
    """What was found on `examples` of the data, `right` of which are right as it is.

    tried: how many alternatives, orders of classes counted apart. best: some of them, the
    likeliest first. offer: None where the set-up as it is may stay.
    """

    examples: int
    right: int
    tried: int
    offer: Offer | None = None
    best: tuple[Row, ...] = ()
    notes: tuple[str, ...] = field(default=())


def from_json(said: dict[str, Any]) -> Search:
    """The search that `asdict` wrote down."""
    offer = said.pop("offer")
    if offer:
        offer = Offer(**{key: tuple(value) if isinstance(value, list) else value
                         for key, value in offer.items()})
    best = tuple(Row(tuple(row["words"]), row["right"]) for row in said.pop("best"))
    return Search(**said | {"notes": tuple(said["notes"])}, offer=offer, best=best)


def offer_of(entry: Tried, spec: InputSpec) -> Offer:
    """The corrections that make the model card say this set-up."""
    keys = {key: value for key, value in vars(entry.setup.spec).items()
            if value != getattr(spec, key)}
    correction: dict[str, Any] = {}
    if keys:
        if isinstance(keys.get("resize"), ShorterSide):
            keys["resize"] = keys["resize"].to_json()
        elif "resize" in keys:
            keys |= {"height": spec.height, "width": spec.width}
        correction["input"] = {
            key: list(value) if isinstance(value, tuple) else value for key, value in keys.items()
        }
    if entry.order.words:
        correction["class_names"] = list(entry.order.class_names)
    unsaid = ("transposed pictures",) if entry.setup.transposed else ()
    return Offer(entry.words, entry.right, correction or None, unsaid)
