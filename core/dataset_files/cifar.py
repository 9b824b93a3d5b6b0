"""CIFAR-10 and CIFAR-100 in batches of 32 × 32 RGB, channel after channel.

https://www.cs.toronto.edu/~kriz/cifar.html
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from core.dataset_files.class_labels import class_labels, label_notes
from core.dataset_formats import DataSet
from core.errors import UserError

PIXELS = 3 * 32 * 32


def first_batch(name: str, beside: Sequence[str]) -> bool:
    """Whether a batch stands for its split: of data_batch_1 … 5 the first that is there."""
    if not name.startswith("data_batch_"):
        return True
    return name == min(other for other in beside if other.startswith("data_batch_"))


def batches_of(name: str, beside: Sequence[str]) -> list[str]:
    """The batches of the split that one of them belongs to."""
    if not name.startswith("data_batch_"):
        return [name]
    ending = name[name.find("."):] if "." in name else ""
    return sorted(other for other in beside if other.startswith("data_batch_")
                  and (other.endswith(ending) if ending else "." not in other))


def split_of(name: str) -> str:
    """test for test_batch and test, else train."""
    return "test" if name.startswith("test") else "train"


def other_splits(names: Sequence[str]) -> list[str]:
    """Of batches the ones of other splits than the first's."""
    splits = {name: split_of(name.rpartition("/")[2]) for name in names}
    return [name for name in names if splits[name] != splits[names[0]]]


def data_set(title: str, parts: Sequence[np.ndarray], labels: np.ndarray,
             class_names: Sequence[str] | None, metadata: pd.DataFrame,
             notes: tuple[str, ...], split: str) -> DataSet:
    """Batches uint8 (N, 3072) as one data set. Raises UserError where the numbers do not fit."""
    count = sum(map(len, parts))
    if len(labels) != count or any(part.shape[1:] != (PIXELS,) for part in parts):
        raise UserError(f"{title}: {count:,} pictures and {len(labels):,} labels do not match. "
                        "Download CIFAR again.")
    found = class_labels(labels, title, class_names)
    planes = [part.reshape(-1, 3, 32, 32) for part in parts]
    starts = np.cumsum([0, *map(len, parts)])

    def image(row: int) -> np.ndarray:
        part = int(np.searchsorted(starts, row, side="right")) - 1
        return np.ascontiguousarray(planes[part][row - starts[part]].transpose(1, 2, 0))

    if "path" not in metadata:
        metadata.insert(0, "path", pd.Series([f"{title}/{row:05d}" for row in range(count)]))
    return DataSet(title=title, image=image, labels=found.labels, class_names=found.class_names,
                   metadata=metadata, split=split,
                   notes=(*notes, *found.notes, *label_notes(found.labels, found.class_names)))
