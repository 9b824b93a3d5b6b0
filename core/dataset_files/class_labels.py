"""Labels as sources have them (names, ids, one-hot) to class indices and class names."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.dataset_files.counts import counted
from core.errors import UserError
from core.files.text_of_files import shown

UNKNOWN = -1
MOST_CLASSES = 100_000
ARE_MISSING = "labels are missing (blank)"
BLANK = {"", "nan", "null", "<na>"}


@dataclass(frozen=True)
class ClassLabels:
    """labels: int64 (N,), index into class_names, -1 where unknown."""

    labels: np.ndarray
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def of(self, rows: np.ndarray) -> "ClassLabels":
        """Those of some rows; the classes stay."""
        labels = self.labels[rows]
        notes = (note for note in self.notes if ARE_MISSING not in note)
        return replace(self, labels=labels, notes=(*notes, *_missing(labels == UNKNOWN)))


def class_labels(values: np.ndarray | pd.Series, source: str,
                 names: Sequence[str] | None = None) -> ClassLabels:
    """Labels from N values, or (N, 1), or (N, K) one-hot.

    `names` are the class names in order, where the source has them. `source` names the file or
    column in messages. Raises UserError for several labels an example.
    """
    array = np.asarray(values)
    if array.ndim > 1 and array.size == len(array):
        array = array.reshape(len(array))
    if array.ndim > 1:
        indices, notes = _from_one_hot(array, source)
        return _of_ids(indices, names or tuple(map(str, range(array.shape[1]))), notes)
    if array.dtype.kind in "iub":
        return _of_ids(array.astype(np.int64), names, ())
    if array.dtype.kind == "f":
        known = np.isfinite(array)
        if (array[known] == np.floor(array[known])).all():
            ids = np.where(known, array, UNKNOWN).astype(np.int64)
            return _of_ids(ids, names, _missing(~known))
    return _of_texts(_texts(array, source), names)


def _texts(array: np.ndarray, source: str) -> np.ndarray:
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8", "replace")
    if array.dtype.kind not in "UOTf":
        raise UserError(f"{source}: labels of the type {array.dtype} are not read. "
                        "Save them as numbers or as text.")
    return np.array([text_of(value) for value in array.tolist()], dtype=object)


def text_of(value: object) -> str:
    """A cell as text, '' where it is blank."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = "" if value is None else str(value).strip()
    return "" if text.lower() in BLANK else text


def _from_one_hot(array: np.ndarray, source: str) -> tuple[np.ndarray, tuple[str, ...]]:
    if array.ndim != 2 or array.dtype.kind not in "iubf":
        raise UserError(f"{source}: labels have the shape {array.shape}; one an example is read, "
                        "as a name, a number, or one-hot. Save them so.")
    numbers = array.astype(np.float64)
    filled = (numbers > 0).sum(1)
    one_hot = np.isin(numbers, (0, 1)).all()
    if one_hot and (filled > 1).any():
        several = counted(int((filled > 1).sum()), "example has", "examples have")
        raise UserError(f"{source}: {several} several labels at once; one an example is read. "
                        "Keep one label each.")
    indices = np.where(filled == 0, UNKNOWN, numbers.argmax(1))
    soft = () if one_hot else ("Labels are shares of classes; the largest counts.",)
    return indices.astype(np.int64), (*soft, *_missing(filled == 0))


def _of_ids(ids: np.ndarray, names: Sequence[str] | None, notes: tuple[str, ...]) -> ClassLabels:
    known = ids[ids >= 0]
    if names is None and not notes and set(np.unique(ids)) == {-1, 1}:  # as attributes are written
        return ClassLabels((ids > 0).astype(np.int64), ("-1", "1"))
    highest = int(known.max(initial=-1))
    if names is not None:
        given = tuple(map(str, names))
        if highest < len(given):
            return ClassLabels(_clipped(ids), given, notes)
        notes = (*notes, f"Labels go up to {highest}, but there are only {len(given)} class names; "
                         "the labels' numbers are shown.")
    distinct = np.unique(known)
    if highest >= max(1000, 20 * len(distinct)) or highest >= MOST_CLASSES:
        labels = np.where(ids >= 0, np.searchsorted(distinct, ids), UNKNOWN)
        return ClassLabels(labels.astype(np.int64), tuple(map(str, distinct.tolist())),
                           (*notes, f"Labels are {len(distinct):,} numbers up to {highest:,}; "
                                    "each number is a class, in their order."))
    return ClassLabels(_clipped(ids), tuple(map(str, range(highest + 1))), notes)


def _clipped(ids: np.ndarray) -> np.ndarray:
    return np.where(ids >= 0, ids, UNKNOWN).astype(np.int64)


def _of_texts(texts: np.ndarray, names: Sequence[str] | None) -> ClassLabels:
    blank = texts == ""
    given = texts[~blank].tolist()
    missing = _missing(blank)
    if given and all(re.fullmatch(r"[+-]?\d{1,9}([.]0+)?", text) for text in given):
        ids = np.full(len(texts), UNKNOWN, np.int64)
        ids[~blank] = [int(text.split(".")[0]) for text in given]
        return _of_ids(ids, names, missing)
    class_names = tuple(map(str, names)) if names and set(given) <= set(names) else in_order(given)
    position = {name: index for index, name in enumerate(class_names)}
    labels = [position.get(text, UNKNOWN) for text in texts.tolist()]
    return ClassLabels(np.array(labels, dtype=np.int64), class_names, missing)


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Distinct class names in the order that torchvision and Keras give them."""
    return tuple(sorted(set(names)))


def _missing(blank: np.ndarray) -> tuple[str, ...]:
    if not blank.any():
        return ()
    return (f"{int(blank.sum()):,} of {len(blank):,} {ARE_MISSING}; those examples are "
            "shown without one.",)


def label_notes(labels: np.ndarray | None, class_names: Sequence[str]) -> tuple[str, ...]:
    """What to say of labels that are missing or of one class only."""
    if labels is None:
        return ("No labels: predictions can be seen, but not whether they are right.",)
    found = np.unique(labels[labels >= 0])
    if len(found) == 1:
        only = shown(class_names[found[0]])
        of = f" of {len(class_names):,} classes has examples" if len(class_names) > 1 else " class"
        return (f"Only one{of}, {only}: there is nothing to tell it from.",)
    return (*_order_note(class_names), *(
        (f"{len(found):,} of {len(class_names):,} classes have an example.",)
        if len(found) < len(class_names) else ()))


def _order_note(class_names: Sequence[str]) -> tuple[str, ...]:
    """That numbers stand in the order of text, which a network's outputs may not do."""
    numbers = [name for name in class_names if name.isascii() and name.isdecimal()]
    if len(numbers) < len(class_names) or list(class_names) != sorted(class_names) or (
            numbers == sorted(numbers, key=_size)):
        return ()
    first = ", ".join(number[:20] for number in numbers[:4])
    return (f"Class names are numbers in the order of text ({first} …), as torchvision and Keras "
            "number folders. If the network was trained with another order, state its class names "
            "in the model card.",)


def _size(digits: str) -> tuple[int, str]:
    """What orders numbers as they count, however many digits they have."""
    digits = digits.lstrip("0")
    return len(digits), digits
