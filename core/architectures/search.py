"""Which networks tensors belong to: exact ones first, then what nearly fits."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import torch

from core.architectures import Built, Family, Tensors
from core.architectures.layers_from_shapes import shapes_of
from core.architectures.near_misses import NearMiss, near_misses
from core.architectures.spellings import Spelling, loose_spellings, spellings
from core.card import Card
from core.files.text_of_files import shown
from core.plugins import discover
from core.trusted_code import names_code

ASIDE = range(3)  # how far families step aside
TOLD_BY_NAMES = range(2)  # without those that tell by shapes alone
MOST_PARTS = 4  # networks side by side in one file
UNUSED = ("The model card names the architecture {}, which is none that Netlens knows for these "
          "weights; they are those of {}.")
ONE_LAYER = 2  # tensors, which are no network yet


@dataclass(frozen=True)
class Found:
    """A family's network, and the tensors under the names that it has for them. by_names: whether
    the names told it, too, and not the shapes alone."""

    family: str
    built: Built
    tensors: dict[str, torch.Tensor]
    notes: tuple[str, ...] = field(default=())
    by_names: bool = True


def networks(tensors: Tensors, card: Card) -> list[Found]:
    """The network of every family that builds these tensors, the one that the card names first,
    then exact ones, under the first spelling of the names that any family knows. Families that
    step aside are asked once no other knows any spelling."""
    for aside in ASIDE:
        for spelled, notes in spellings(tensors):
            if found := found_among(spelled, notes, card, (aside,)):
                return found
    return []


def found_among(tensors: dict[str, torch.Tensor], notes: tuple[str, ...], card: Card,
                steps_aside: Iterable[int]) -> list[Found]:
    """What the families that step so far aside build of one spelling, the best first."""
    for aside in steps_aside:
        if found := [Found(family.title, built, _for(built, tensors), notes,
                           aside in TOLD_BY_NAMES)
                     for family, built in _told(_claims(tensors, card, aside), tensors, card)]:
            return sorted(found, key=lambda one: (
                card.architecture not in (one.family, one.built.card.architecture),
                not one.built.exact))
    return []


def _told(claims: list[tuple[Family, Built]], tensors: Tensors, card: Card
          ) -> list[tuple[Family, Built]]:
    """These claims, under the network's own name and with a note where the card states one that
    played no part in building it."""
    unnamed, told = replace(card, architecture=None), []
    for family, built in claims:
        if card.architecture and not names_code(card.architecture):
            own = family.build(tensors, unnamed)
            if own and _same(own, built) and not _called(card.architecture, family, own):
                name = own.card.architecture or family.title
                note = UNUSED.format(shown(card.architecture), name)
                built = replace(own, notes=(note, *own.notes))
        told.append((family, built))
    return told


def _same(own: Built, named: Built) -> bool:
    return (str(own.module), own.notes, own.exact) == (str(named.module), named.notes, named.exact)


def _called(stated: str, family: Family, own: Built) -> bool:
    """Whether what a card states is a name of the family or of its network, whatever the case, the
    hyphens, and the settings in parentheses."""
    known = {_bare(family.title), _bare(own.card.architecture or "")}
    return _bare(stated) in known or _bare(stated.rpartition("/")[2].partition(".")[0]) in known


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name.partition(" (")[0].casefold())


def _for(built: Built, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return built.renamed(tensors) if built.renamed else tensors


def alternatives(tensors: Tensors, card: Card) -> list[Built]:
    """Every network that these tensors may be, as their families propose them: around the one
    that the card names, or the likeliest first. None is an alternative to itself: one at least
    where any family knows the tensors. Names are taken as they are."""
    unnamed, found = replace(card, architecture=None), {}
    claims = next((made for aside in ASIDE if (made := _claims(tensors, unnamed, aside))), [])
    for family, network in claims:
        for built in list(family.proposals(tensors, card)) or [network]:
            found.setdefault(built.card.architecture or family.title, built)
    return list(found.values())


def nearly(tensors: Tensors, card: Card) -> tuple[list[NearMiss], Spelling]:
    """Near misses, the nearest first, and the spelling of the names under which they are."""
    found = [(near_misses(shapes_of(spelled), card), (spelled, notes))
             for spelled, notes in loose_spellings(tensors)]
    return max(found, key=lambda near: near[0][0].agreement if near[0] else 0.0)


def advice(tensors: Tensors, card: Card) -> list[str]:
    """What would let tensors of no known network open: what the families say, and what each of
    several networks in one file is."""
    families = discover("core.architectures", "FAMILY").values()
    said = [sentence for spelled, _ in spellings(tensors) for family in families
            for sentence in family.advice(shapes_of(spelled), card)]
    return [*dict.fromkeys(said), *_side_by_side(tensors)]


def _side_by_side(tensors: Tensors) -> list[str]:
    parts: dict[str, dict[str, torch.Tensor]] = defaultdict(dict)
    for name, tensor in spellings(tensors)[-1][0].items():
        parts[name.partition(".")[0]][name] = tensor
    if not 1 < len(parts) <= MOST_PARTS:
        return []
    known = {part: found[0].built.card.architecture or found[0].family
             for part, inside in parts.items()
             if len(inside) > ONE_LAYER and (found := networks(inside, Card()))}
    if len(known) < 2:
        return []
    listed = ", ".join(f"{shown(part)} is {name}" for part, name in known.items())
    return [f"The file holds several networks side by side: {listed}. Save the one to look at in a "
            "file of its own, torch.save(model.part.state_dict(), 'part.pt')."]


def _claims(tensors: Tensors, card: Card, aside: int) -> list[tuple[Family, Built]]:
    """Families that know these tensors, each with its network; `aside`: how far they step aside."""
    families = discover("core.architectures", "FAMILY").values()
    made = [(family, family.build(tensors, card)) for family in families
            if family.steps_aside == aside]
    return [(family, built) for family, built in made if built is not None]
