"""Which networks tensors belong to: exact ones first, then what nearly fits."""

from dataclasses import dataclass, field, replace

import torch

from core.architectures import Built, Family, Tensors
from core.architectures.layers_from_shapes import shapes_of
from core.architectures.near_misses import NearMiss, near_misses
from core.architectures.spellings import Spelling, loose_spellings, spellings
from core.card import Card
from core.plugins import discover


@dataclass(frozen=True)
class Found:
    """A family's network for tensors under the names it gives them."""

    family: str
    built: Built
    tensors: dict[str, torch.Tensor]
    notes: tuple[str, ...] = field(default=())


def networks(tensors: Tensors, card: Card) -> list[Found]:
    """The network of every family that builds these tensors, the one that the card names first,
    then exact ones, under the first spelling of the names that any family knows. Families that
    step aside are asked once no other knows any spelling."""
    for aside in (False, True):
        for spelled, notes in spellings(tensors):
            if found := [Found(family.title, built, spelled, notes)
                         for family, built in _claims(spelled, card, aside)]:
                return sorted(found, key=lambda one: (
                    card.architecture not in (one.family, one.built.card.architecture),
                    not one.built.exact))
    return []


def alternatives(tensors: Tensors, card: Card) -> list[Built]:
    """Every network that these tensors may be, as their families propose them: around the one
    that the card names, or the likeliest first. None is an alternative to itself: one at least
    where any family knows the tensors. Names are taken as they are."""
    unnamed, found = replace(card, architecture=None), {}
    claims = _claims(tensors, unnamed, aside=False) or _claims(tensors, unnamed, aside=True)
    for family, network in claims:
        for built in list(family.proposals(tensors, card)) or [network]:
            found.setdefault(built.card.architecture or family.title, built)
    return list(found.values())


def nearly(tensors: Tensors, card: Card) -> tuple[list[NearMiss], Spelling]:
    """Near misses, the nearest first, and the spelling of the names under which they are."""
    found = [(near_misses(shapes_of(spelled), card), (spelled, notes))
             for spelled, notes in loose_spellings(tensors)]
    return max(found, key=lambda near: near[0][0].agreement if near[0] else 0.0)


def _claims(tensors: Tensors, card: Card, aside: bool) -> list[tuple[Family, Built]]:
    """Families that know these tensors, each with its network; `aside`: those that step aside."""
    families = discover("core.architectures", "FAMILY").values()
    made = [(family, family.build(tensors, card)) for family in families
            if family.steps_aside == aside]
    return [(family, built) for family, built in made if built is not None]
