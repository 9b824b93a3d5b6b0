"""Which tensor of one network is which of another, and how sure that is: by numbers, names, and the
order of shapes."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import partial

import torch

NUMBERS, NAME, PREFIX, BLOCK, SHAPES = (
    "same numbers", "same name", "same name but for what stands before it", "beside same numbers",
    "same shapes in the same order")
SAMPLE = 64  # numbers that a tensor is known by, before all are compared
DEEPEST = 16  # modules around a tensor that are looked at
MOST_ALIGNED = 5_000  # modules of a side whose order is compared: the time grows with its square
Tensors = dict[str, torch.Tensor]
Signature = tuple[tuple[str, torch.Size], ...]
Group = tuple[list[str], Signature]  # names of tensors, and what tells them from others


@dataclass
class Pairing:
    """others: by a name of the one network, that of the other. sure: by the same, what speaks for
    it, one of the constants above."""

    mine: Tensors
    theirs: Tensors
    others: dict[str, str] = field(default_factory=dict)
    sure: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def pair(self, name: str, other: str, sure: str) -> None:
        """Where both are free."""
        if name not in self.others and other not in self.taken:
            self.others[name], self.sure[name] = other, sure
            self.taken.add(other)

    def left(self) -> tuple[list[str], list[str]]:
        """The names that are free, in order."""
        return ([name for name in self.mine if name not in self.others],
                [name for name in self.theirs if name not in self.taken])

    def alike(self, name: str, other: str) -> bool:
        return self.mine[name].shape == self.theirs[other].shape


def paired(mine: Tensors, theirs: Tensors) -> Pairing:
    """What is certain comes first: the same numbers, then names, then the order of shapes."""
    found = Pairing(mine, theirs)
    _equal(found)
    _beside(found)
    for name in found.left()[0]:
        if name in theirs:
            found.pair(name, name, NAME)
    _without_prefix(found)
    _by_order(found, partial(_modules, with_names=True))
    _by_order(found, partial(_modules, with_names=False))
    _by_order(found, _matrices)
    return found


def _equal(found: Pairing) -> None:
    """The same numbers, under the same name or another; ones and zeros tell nothing of a place."""
    mine, theirs = ({name: key for name, tensor in side.items()
                     if (key := _fingerprint(tensor)) is not None}
                    for side in (found.mine, found.theirs))
    for name, key in mine.items():
        if theirs.get(name) == key and _same(found, name, name):
            found.pair(name, name, NUMBERS)
    places: dict[Hashable, list[str]] = defaultdict(list)
    for name, key in theirs.items():
        places[key].append(name)
    for name, key in mine.items():
        for other in places[key]:
            if name not in found.others and other not in found.taken and _same(found, name, other):
                found.pair(name, other, NUMBERS)


def _fingerprint(tensor: torch.Tensor) -> Hashable | None:
    """A few of its numbers as bytes; None where all of those are one."""
    flat = tensor.detach().flatten()
    few = flat[:: max(1, flat.numel() // SAMPLE)][:SAMPLE].cpu()
    numbers = few.abs().double() if few.is_complex() else few.double()
    if numbers.numel() < 2 or bool((numbers == numbers[0]).all()):
        return None
    return tensor.shape, numbers.numpy().tobytes()


def _same(found: Pairing, name: str, other: str) -> bool:
    return torch.equal(found.mine[name], found.theirs[other])


def _beside(found: Pairing) -> None:
    """What lies in the same module as equal numbers, or in the same block of modules: biases of
    zeros, counts of batches."""
    votes = Counter(pair for names in found.others.items() for pair in _around(*names))
    partner: dict[str, str] = {}
    for (module, other), _ in votes.most_common():
        partner.setdefault(module, other)
    for name in found.left()[0]:
        for start, end in reversed(_splits(name)):  # the nearest module first
            other = f"{partner[start]}.{end}" if start in partner else None
            if other in found.theirs and found.alike(name, other):
                found.pair(name, other, NAME if name == other else BLOCK)
                break


def _around(name: str, other: str) -> list[tuple[str, str]]:
    """The modules that hold both, as far outwards as they hold them under the same names."""
    found = []
    for (start, end), (others, same) in zip(reversed(_splits(name)), reversed(_splits(other)),
                                            strict=False):
        if end != same:
            break
        found.append((start, others))
    return found


def _splits(name: str) -> list[tuple[str, str]]:
    """(module, the name inside it) for each module that holds a tensor, from the outermost."""
    dots = [place for place, letter in enumerate(name) if letter == "."][-DEEPEST:]
    return [(name[:place], name[place + 1:]) for place in dots]


def _without_prefix(found: Pairing) -> None:
    """Names that agree once the same beginning is added or removed, where most of them then do."""
    left, right = found.left()
    wanted, best = _ends(left), ("", "", 0)
    votes: Counter[tuple[str, str]] = Counter()
    for other in right:
        for start, end in _cuts(other):
            for before in wanted.get(end, ()):
                if found.alike(before + end, other):
                    votes[before, start] += 1
    for (before, start), number in votes.items():
        if number > best[2] or (number == best[2] and len(before + start) < len(best[0] + best[1])):
            best = before, start, number
    before, start, number = best
    if number < 2 or number < min(len(left), len(right)) / 2:
        return
    for name in left:
        other = start + name.removeprefix(before)
        if name.startswith(before) and other in found.theirs:
            found.pair(name, other, PREFIX)


def _ends(names: Iterable[str]) -> dict[str, list[str]]:
    """By each end of a name, what stands before it."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        for start, end in _cuts(name):
            found[end].append(start)
    return {end: starts for end, starts in found.items() if len(starts) < 4}


def _cuts(name: str) -> list[tuple[str, str]]:
    """A name in two, with nothing or up to three parts before."""
    parts = name.split(".")
    return [("".join(f"{part}." for part in parts[:cut]), ".".join(parts[cut:]))
            for cut in range(min(len(parts), 4))]


def _by_order(found: Pairing, groups: Callable[[Sequence[str], Tensors], list[Group]]) -> None:
    """Groups of tensors of the same shapes, in the order of both networks."""
    left, right = (groups(names, side)
                   for names, side in zip(found.left(), (found.mine, found.theirs), strict=True))
    if max(len(left), len(right)) > MOST_ALIGNED:
        return
    signatures = [[signature for _, signature in side] for side in (left, right)]
    matcher = SequenceMatcher(None, *signatures, autojunk=False)
    for block in matcher.get_matching_blocks():
        for step in range(block.size):
            names, others = left[block.a + step][0], right[block.b + step][0]
            for name, other in zip(names, others, strict=True):
                found.pair(name, other, SHAPES)


def _modules(names: Sequence[str], side: Tensors, with_names: bool) -> list[Group]:
    """What each module holds. Without the last names only where one of the shapes is more than a
    vector."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[_module(name)].append(name)
    found = [(group, tuple((_last(name) if with_names else "", side[name].shape)
                           for name in group)) for group in groups.values()]
    return [one for one in found
            if with_names or any(len(shape) > 1 for _, shape in one[1])]


def _matrices(names: Sequence[str], side: Tensors) -> list[Group]:
    """What is more than a vector, each alone: the same kernel has a bias of its own where an export
    folded batch normalisation into it."""
    return [([name], (("", side[name].shape),)) for name in names if side[name].ndim > 1]


def _module(name: str) -> str:
    return name.rpartition(".")[0]


def _last(name: str) -> str:
    return name.rpartition(".")[2]
