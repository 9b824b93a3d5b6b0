"""Where labels meet the model's outputs: by name where the names agree, else by index."""

from dataclasses import dataclass

import numpy as np

UNKNOWN = -1


@dataclass(frozen=True)
class Truth:
    """What the outputs mean and which is right.

    class_names: one an output (K). labels: int64 (N,), an output or UNKNOWN; None without labels.
    note: one sentence on how they were brought together.
    """

    class_names: tuple[str, ...]
    labels: np.ndarray | None
    note: str


def match_labels(
    outputs: int,
    model_names: tuple[str, ...] | None,
    data_names: tuple[str, ...],
    labels: np.ndarray | None,
) -> Truth:
    """Brings a data set's labels to a model's K outputs.

    Names agree when each name of the data is one of the model's, whatever their case, spaces and
    underscores. Labels that no output stands for become UNKNOWN, and the note says how many.
    """
    names = _fitting(outputs, model_names) or _fitting(outputs, data_names)
    class_names = unique(names or tuple(f"class {i}" for i in range(outputs)))
    if labels is None:
        return Truth(class_names, None, "The data has no labels.")
    position = {_plain(name): index for index, name in enumerate(model_names or ())}
    if model_names and data_names and all(_plain(name) in position for name in data_names):
        lookup = np.array([position[_plain(name)] for name in data_names])
        how = "Labels meet the model's classes by name"
    else:
        lookup = np.arange(max(len(data_names), int(labels.max(initial=-1)) + 1))
        how = "Labels meet the model's classes by index"
        how += (
            ": the names differ" if model_names and data_names else ": the model has no class names"
        )
    lookup = np.append(np.where(lookup < outputs, lookup, UNKNOWN), UNKNOWN)  # the last serves -1
    matched = lookup[labels]
    lost = int((matched == UNKNOWN).sum())
    if lost:
        how += f"; {lost:,} of {len(labels):,} examples have a label that no output stands for"
    return Truth(class_names, matched.astype(np.int64), f"{how}.")


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


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
