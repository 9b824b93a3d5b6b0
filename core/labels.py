"""Where labels meet the model's outputs: by name where the names agree, else by index."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

UNKNOWN = -1
NAMED = 3  # names that a sentence lists


@dataclass(frozen=True)
class Truth:
    """What the outputs mean and which is right.

    class_names: one an output (K). labels: int64 (N,), an output or UNKNOWN; None without labels.
    note: one sentence on how they were brought together. output_of: int64, the output that stands
    for each class of the data, or UNKNOWN; None without labels.
    """

    class_names: tuple[str, ...]
    labels: np.ndarray | None
    note: str
    output_of: np.ndarray | None = None


@dataclass(frozen=True)
class Proposal:
    """Another way to bring labels and outputs together: class names that a card may state."""

    title: str
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Mismatch:
    """How the model's and the data's classes differ, and what may be meant instead."""

    reason: str
    proposals: tuple[Proposal, ...]


def match_labels(
    outputs: int,
    model_names: tuple[str, ...] | None,
    data_names: tuple[str, ...],
    labels: np.ndarray | None,
) -> Truth:
    """Brings a data set's labels to a model's K outputs.

    Names are the same whatever their case, spaces and underscores. Where at least half of the
    data's names, of classes that occur, are the model's, labels meet outputs by name, else by
    index. Labels that no output stands for become UNKNOWN, and the note says how many.
    """
    mine = _fitting(outputs, model_names)
    names = mine or _fitting(outputs, data_names)
    class_names = unique(names or tuple(f"class {i}" for i in range(outputs)))
    if labels is None:
        return Truth(class_names, None, "The data has no labels.")
    found = positions(mine or (), data_names)
    if by_name := _meet_by_name(found, _occurring(data_names, labels)):
        output_of = found
        how = "Labels meet the model's classes by name"
    else:
        output_of = np.arange(max(len(data_names), int(labels.max(initial=-1)) + 1))
        output_of = np.where(output_of < outputs, output_of, UNKNOWN)
        differ = (
            _counted_as(mine, data_names, output_of, labels) if mine and data_names
            else "the data has no class names" if mine
            else "the model has no class names" if not model_names
            else f"its {len(model_names):,} class names do not fit its {outputs:,} outputs")
        how = f"Labels meet the model's classes by index: {differ}"
    if by_name and sorted(found) == list(range(outputs)) and (np.diff(found) < 0).any():
        how += "; their order differs"
    matched = np.append(output_of, UNKNOWN)[labels]  # the last serves -1
    lost = int((matched == UNKNOWN).sum())
    if lost:
        how += f"; {lost:,} of {len(labels):,} examples have a label that no output stands for"
    return Truth(class_names, matched.astype(np.int64), f"{how}.", output_of)


def _counted_as(model_names: tuple[str, ...], data_names: tuple[str, ...], output_of: np.ndarray,
                labels: np.ndarray) -> str:
    """That names differ, and whose examples are therefore called what."""
    pairs = [(data_names[i], model_names[output_of[i]])
             for i in _occurring(data_names, labels).tolist() if output_of[i] != UNKNOWN]
    said = [f"{name} counts as {other}" for name, other in pairs]
    return f"the names differ, so {_some(said)}" if said else "the names differ"


def class_mismatch(
    outputs: int, model_names: tuple[str, ...] | None, data_names: tuple[str, ...],
    labels: np.ndarray | None = None,
) -> Mismatch | None:
    """Whether the classes differ in count, names or order; None where nothing is in doubt.

    How labels and outputs meet meanwhile is what `match_labels` says. With labels (N,), the names
    of classes that do not occur are in no doubt.
    """
    mine = _fitting(outputs, model_names)
    found, occurring = positions(mine or (), data_names), _occurring(data_names, labels)
    missing = [data_names[i] for i in occurring.tolist() if found[i] == UNKNOWN]
    reasons = []
    if model_names and not mine:
        reasons.append(f"The model's card names {len(model_names):,} classes, and the network has "
                       f"{outputs:,} outputs")
    if len(data_names) > outputs or (missing and len(data_names) != outputs):
        held = f", {len(occurring):,} of them with examples," * (len(occurring) < len(data_names))
        reasons.append(f"The data has {len(data_names):,} classes{held or ','} and the network "
                       f"has {outputs:,} outputs")
    if mine and missing:
        which = " with examples" * (len(occurring) < len(data_names))
        verb = "is" if len(missing) == 1 else "are"
        reasons.append(f"{len(missing):,} of the data's {len(occurring):,} class names{which} "
                       f"{verb} none of the model's: {_some(missing)}")
    if not missing and len(data_names) == outputs and (np.diff(found[occurring]) < 0).any():
        reasons.append("The model and the data have the same class names in another order")
    if not reasons:
        return None
    by_name = _meet_by_name(found, occurring)
    return Mismatch(". ".join(reasons) + ".", _proposals(outputs, mine, data_names, by_name))


def _occurring(data_names: tuple[str, ...], labels: np.ndarray | None) -> np.ndarray:
    """Positions of the names of which there are examples; all where no example has a name."""
    times = np.bincount(labels[labels >= 0], minlength=1) if labels is not None else np.array([0])
    found = np.flatnonzero(times[: len(data_names)])
    return found if len(found) else np.arange(len(data_names))


def _meet_by_name(found: np.ndarray, occurring: np.ndarray) -> bool:
    return 2 * int((found[occurring] != UNKNOWN).sum()) >= max(1, len(occurring))


def _proposals(outputs: int, mine: tuple[str, ...] | None, data_names: tuple[str, ...],
               by_name: bool) -> tuple[Proposal, ...]:
    """By index, counting from 0 or from 1; what is as it is now needs no more question then."""
    classes = np.arange(len(data_names))
    ways = []
    if by_name:
        ways.append(("By index", np.where(classes < outputs, classes, UNKNOWN)))
    elif len(data_names) <= outputs:
        ways.append(("By index, as now", classes))
    if len(data_names) == outputs + 1:
        ways.append(("By index, counting from 1", classes - 1))
    if len(data_names) + 1 == outputs:
        ways.append(("By index, the first output a background", classes + 1))
    return tuple(
        Proposal(title, named(output_of, data_names, mine or (), outputs))
        for title, output_of in ways
    )


def named(output_of: np.ndarray, data_names: tuple[str, ...], model_names: tuple[str, ...],
          outputs: int) -> tuple[str, ...]:
    """Class names (K) by which each class of the data meets the output given for it.

    Outputs without a class keep the model's name, unless a class of the data has it.
    """
    taken = {plain(name) for name in data_names}
    kept = model_names if len(model_names) == outputs else ("",) * outputs
    names = [
        name if name and plain(name) not in taken else f"output {output} (no class)"
        for output, name in enumerate(kept)
    ]
    for name, output in zip(data_names, output_of, strict=False):
        if output != UNKNOWN:
            names[output] = name
    return tuple(names)


def positions(model_names: tuple[str, ...], data_names: tuple[str, ...]) -> np.ndarray:
    """Where each of the data's names stands among the model's, or UNKNOWN: int64 (D,)."""
    exact = {name: index for index, name in reversed(list(enumerate(model_names)))}
    times = Counter(map(plain, model_names))
    alike = {plain(name): i for i, name in enumerate(model_names) if times[plain(name)] == 1}
    return np.array(
        [exact.get(name, alike.get(plain(name), UNKNOWN)) for name in data_names], dtype=np.int64
    )


def unique(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, a repeated one numbered: two outputs may share a name (crane, crane)."""
    taken, found = set(names), []
    for name in names:
        number, said = 1, name
        while said in found:
            number += 1
            said = f"{name} ({number})" if f"{name} ({number})" not in taken else said
        found.append(said)
    return tuple(found)


def _fitting(outputs: int, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return tuple(names) if names and len(names) == outputs else None


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def plain(name: str) -> str:
    """A name without case, spaces and signs, unless it has nothing else."""
    folded = name.casefold()
    return "".join(character for character in folded if character.isalnum()) or folded
