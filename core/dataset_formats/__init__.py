"""Data sets: one file a format; images are decoded when they are asked for, never before."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from core.dataset_files.file_sources import Source
from core.dataset_files.flat_rows import FlatRows


@dataclass(frozen=True)
class DataSet:
    """N examples of images, read-only and shared by all sessions.

    image: row -> uint8 (H, W, C), C is 1 or 3 (RGB); safe to call from many threads.
    labels: int64 (N,), index into class_names, -1 where unknown; None where there are none.
    metadata: one row an example; `path` names it for people; other columns as the source has them.
    mask: row -> bool (H, W), true where the object is; None where the data has no masks.
    unreadable: (path, reason) of what was skipped. notes: the loading report. flat: of rows of
    numbers whose shape no file says, so that it is only proposed. rows: of a part, each example's
    row in the whole, ascending; None of a whole. in_whole: of a part, the examples of the whole.
    """

    title: str
    image: Callable[[int], np.ndarray]
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    metadata: pd.DataFrame
    split: str = ""
    mask: Callable[[int], np.ndarray] | None = None
    unreadable: tuple[tuple[str, str], ...] = field(default=())
    notes: tuple[str, ...] = field(default=())
    flat: FlatRows | None = None
    rows: np.ndarray | None = None
    in_whole: int | None = None

    def __len__(self) -> int:
        return len(self.metadata)

    @property
    def whole(self) -> int:
        """How many examples there are to take a part of; their numbers are the ones below."""
        return len(self) if self.in_whole is None else self.in_whole

    def numbers(self, examples: Iterable[int]) -> list[int]:
        """What people call these examples: their rows in the whole, the same in every part."""
        return [int(row) if self.rows is None else int(self.rows[row]) for row in examples]

    def example(self, number: int) -> int | None:
        """The example with that number; None where it is not among these."""
        if self.rows is None:
            return number if 0 <= number < len(self) else None
        row = int(np.searchsorted(self.rows, number))
        return row if row < len(self) and self.rows[row] == number else None

    def in_shape(self, shape: tuple[int, int, int]) -> "DataSet":
        """The same pictures in a model's (channels, height, width), where their own shape is only
        proposed and the numbers of a row are as many; else unchanged."""
        if self.flat is None or not self.flat.fits(shape):
            return self
        image, said = self.flat.image_as(shape)
        notes = tuple(said if note == self.flat.note else note for note in self.notes)
        return replace(self, image=image, notes=notes, flat=replace(self.flat, note=said))


def beside_others(data: DataSet, shown: str, others: Sequence[str]) -> DataSet:
    """A data set with a note on the files beside it that hold further examples."""
    if not others:
        return data
    more = f" and {len(others) - 4:,} more" if len(others) > 4 else ""
    note = f"{shown} is what is shown; not shown: {', '.join(others[:4])}{more}."
    return replace(data, notes=(note, *data.notes))


@dataclass(frozen=True)
class Format:
    """One kind of data set.

    matches: from names and first bytes. load: path -> DataSet; decodes no image. Raises UserError.
    content_id: path -> a digest that changes when what `load` gives would change.
    inside: the same from the files of a folder or archive, None where it holds no such data; None
    for kinds that are not looked for there. listed: whether it is found under a folder by itself;
    one picture, say, is opened only when it is named. by_name: whether its files' names tell it
    even where their bytes could be a model's. tables: of a folder of pictures, the endings of
    tables of which one beside them is read with it; what else is there is a data set of its own.
    None for what is no such folder.
    """

    title: str
    matches: Callable[[Path], bool]
    load: Callable[[Path], DataSet]
    content_id: Callable[[Path], str]
    inside: Callable[[Source], DataSet | None] | None = None
    listed: bool = True
    by_name: bool = False
    tables: frozenset[str] | None = None
