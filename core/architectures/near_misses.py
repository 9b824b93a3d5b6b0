"""Networks that a file's tensors nearly agree with, and what differs, for a person to choose."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch

from core.architectures import Shapes
from core.card import Card
from core.files.text_of_files import shown
from core.plugins import discover

AGREEING = 0.8  # share of names and shapes from which a network is a near miss
MOST = 3  # near misses that are listed
MOST_SAID = 3  # differences of a kind that are named
CLASSES, CHANNELS = 1000, 3  # of ImageNet's networks: other numbers of them are no difference


@dataclass(frozen=True)
class NearMiss:
    """A known network and what of a file's names and shapes differs from it.

    missing: names that the file lacks; extra: that the network lacks; other: name -> the file's
    shape and the network's. agreement: share of all names that have the same shape, 0 to 1.
    lacking: the shapes that the network has for what is missing. last: the last name of the
    network, its head's.
    """

    name: str
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    other: dict[str, tuple[torch.Size, torch.Size]]
    agreement: float
    lacking: dict[str, torch.Size] = field(default_factory=dict)
    last: str = ""

    @property
    def opens(self) -> bool:
        """Whether the network is complete once the extra tensors are left out."""
        return not self.missing and not self.other

    @property
    def lacks_head(self) -> bool:
        """Whether only the file's last layer is missing, or the last layers that stand under one
        name, as where people took them off."""
        blocks = {name.partition(".")[0] for name in self.missing}
        return len(blocks) == 1 and not self.extra and self.last in self.missing

    def extra_names(self) -> str:
        """The tensors that the network lacks, in short."""
        return ", ".join(_few(_modules(self.extra)))

    def differences(self) -> str:
        """What differs, in one line; names of the file are shown as such."""
        shapes = [f"{shown(name)} is {tuple(mine)}, {self.name} has {tuple(its)}"
                  for name, (mine, its) in self.other.items()]
        said = [
            *_listed(_modules(self.missing), "is missing", "are missing"),
            *_listed(_modules(self.extra), "has no place in it", "have no place in it"),
            *shapes[:MOST_SAID],
        ]
        if len(shapes) > MOST_SAID:
            said.append(f"{len(shapes) - MOST_SAID} more shapes differ")
        return "; ".join(said) or "nothing differs in names and shapes"


def near_misses(shapes: Shapes, card: Card) -> list[NearMiss]:
    """The networks nearest to these names and shapes, the nearest first, one that the card names
    before all."""
    found: dict[str, NearMiss] = {}
    for family in discover("core.architectures", "FAMILY").values():
        for name, wanted in family.near(shapes, card):
            found[name] = _compared(name, shapes, wanted)
    near = [miss for miss in found.values() if miss.agreement >= AGREEING]
    near.sort(key=lambda miss: (miss.name != card.architecture, -miss.agreement))
    return near[:MOST]


def _compared(name: str, mine: Shapes, its: Shapes) -> NearMiss:
    common = mine.keys() & its.keys()
    other = {key: (mine[key], its[key]) for key in its if key in common
             and not _agree(mine[key], its[key])}
    return NearMiss(
        name, tuple(key for key in its if key not in common),
        tuple(key for key in mine if key not in common), other,
        (len(common) - len(other)) / max(1, len(mine.keys() | its.keys())),
        {key: size for key, size in its.items() if key not in common}, next(reversed(its), ""))


def _agree(mine: torch.Size, its: torch.Size) -> bool:
    """The same shape, or one that only counts other classes or channels."""
    if mine == its:
        return True
    if len(mine) != len(its) or 0 in mine:
        return False
    other_classes = its[0] == CLASSES and mine[1:] == its[1:]
    other_channels = len(its) == 4 and its[1] == CHANNELS and \
        (*mine[:1], *mine[2:]) == (*its[:1], *its[2:])
    return other_classes or other_channels


def _modules(names: Iterable[str]) -> list[str]:
    """Names of tensors, those of one layer as one: "layer4.1.bn2.*"."""
    layers: dict[str, list[str]] = defaultdict(list)
    for name in names:
        layers[name.rpartition(".")[0]].append(name)
    return [shown(f"{layer}.*") if layer and len(inside) > 1 else shown(inside[0])
            for layer, inside in layers.items()]


def _listed(names: Sequence[str], one: str, many: str) -> list[str]:
    if not names:
        return []
    return [f"{', '.join(_few(names))} {one if len(names) == 1 else many}"]


def _few(names: Sequence[str]) -> list[str]:
    left = len(names) - MOST_SAID
    return [*names[:MOST_SAID], f"{left} more"] if left > 0 else list(names)
