"""Several data sets, one after the other, as one."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from core.dataset_files.flat_rows import FlatRows, Image
from core.dataset_formats import DataSet


def joined(parts: Sequence[DataSet]) -> DataSet:
    """The examples of all parts; classes meet by name. Title and split are the first part's."""
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *map(len, parts)])

    def image(row: int) -> np.ndarray:
        part = int(np.searchsorted(starts, row, side="right")) - 1
        return parts[part].image(row - int(starts[part]))

    names = _names(parts)
    place = {name: index for index, name in enumerate(names)}
    labels = None
    if any(part.labels is not None for part in parts):
        labels = np.concatenate([_placed(part, place) for part in parts])
    return replace(
        parts[0], image=image, flat=_flat(parts), labels=labels, class_names=names,
        metadata=pd.concat([part.metadata for part in parts], ignore_index=True),
        unreadable=tuple(bad for part in parts for bad in part.unreadable),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)))


def _flat(parts: Sequence[DataSet]) -> FlatRows | None:
    """Of parts whose rows are alike one shape is proposed, the first part's."""
    first = parts[0].flat
    if first is None or any(part.flat is None or part.flat.numbers != first.numbers
                            for part in parts):
        return None

    def image_as(shape: tuple[int, int, int]) -> tuple[Image, str]:
        shaped = joined([part.in_shape(shape) for part in parts])
        return shaped.image, shaped.flat.note

    return replace(first, image_as=image_as)


def _names(parts: Sequence[DataSet]) -> tuple[str, ...]:
    """The first part's order where it has them all, else by number and letter."""
    every = {name for part in parts for name in part.class_names}
    first = parts[0].class_names
    return first if every == set(first) else tuple(sorted(every, key=_by_number))


def _by_number(name: str) -> list[tuple[int, str]]:
    return [(int(word), "") if word.isdigit() and word.isascii() else (-1, word)
            for word in re.split(r"(\d{1,18})", name)]


def _placed(part: DataSet, place: dict[str, int]) -> np.ndarray:
    if part.labels is None:
        return np.full(len(part), -1, np.int64)
    places = np.array([*(place[name] for name in part.class_names), -1], np.int64)
    return places[part.labels]  # -1, for unknown, is the last of them
