"""CIFAR-10 and CIFAR-100, Python version: pickles, read by opcodes; nothing in them is run."""

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.dataset_files import cifar
from core.dataset_files.file_sources import Folder, Source
from core.dataset_formats import DataSet, Format, beside_others
from core.errors import UserError
from core.files import content_ids
from core.files.limits import MB, current_limits, limited_to

NAME = re.compile(r"data_batch_\d|test_batch|train|test")
META = ("batches.meta", "meta")
LARGEST_PICKLE = 256 * MB  # CIFAR-100's train is 155 MB
AGAIN = "Download CIFAR again."
SAVE_ARRAYS = f"{AGAIN} Arrays of your own: numpy.savez('set.npz', images=x, labels=y)."


def matches(path: Path) -> bool:
    """By name and first byte; of several batches of training images only the first."""
    if not NAME.fullmatch(path.name) or not path.is_file():
        return False
    if not any((path.parent / meta).is_file() for meta in META) and "batch" not in path.name:
        return False  # any file may be called train
    with path.open("rb") as file:
        if file.read(1) != b"\x80":
            return False
    return cifar.first_batch(path.name, [file.name for file in path.parent.glob("data_batch_?")])


def load(path: Path) -> DataSet:
    """Raises UserError."""
    return read(Folder(path.parent), path.name)


def inside(source: Source) -> DataSet | None:
    """The test batch, else the training batches."""
    names = [name for name in source.names() if NAME.fullmatch(name.rpartition("/")[2])
             and source.start(name, 1) == b"\x80"]
    names.sort(key=lambda name: "test" not in name.rpartition("/")[2])
    return beside_others(read(source, names[0]), names[0], cifar.other_splits(names)) if (
        names) else None


def read(source: Source, name: str) -> DataSet:
    """The split that a batch belongs to."""
    folder, slash, last = name.rpartition("/")
    beside = [other[len(folder + slash):] for other in source.names()
              if other.startswith(folder + slash)]
    batches = cifar.batches_of(last, [other for other in beside if "/" not in other])
    parts, labels, files, coarse = [], [], [], []
    for batch in batches:
        said = _unpickled(source, folder + slash + batch)
        parts.append(_pixels(said.get("data"), batch))
        labels += _numbers(said.get("labels", said.get("fine_labels")), batch)
        files += [_text(file) for file in said.get("filenames") or ()]
        coarse += _numbers(said.get("coarse_labels", []), batch)
    count = sum(map(len, parts))
    columns = {"path": files, "coarse_label": coarse}
    metadata = pd.DataFrame({key: cells for key, cells in columns.items() if len(cells) == count})
    return cifar.data_set(last, parts, np.array(labels, np.int64), _names(source, folder + slash),
                          metadata, (f"Read from {', '.join(batches)}.",), cifar.split_of(last))


def _unpickled(source: Source, name: str) -> dict[str, Any]:
    from core.safe_pickle import read_pickle

    stream = io.BytesIO(source.read(name, LARGEST_PICKLE))
    with limited_to(replace(current_limits(), pickle_bytes=LARGEST_PICKLE)):
        said = read_pickle(stream, name, _no_storage, SAVE_ARRAYS).value
    if not isinstance(said, dict):
        raise UserError(f"{name} is a pickle, but no batch of CIFAR. Choose another file.")
    return {_text(key): value for key, value in said.items()}


def _no_storage(key: Any) -> None:
    raise ValueError("it refers to another file")


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _pixels(value: Any, name: str) -> np.ndarray:
    from core.pickles.values import array

    try:
        found = array(value)
    except (ValueError, TypeError) as error:
        raise UserError(f"{name}: its array of pixels is damaged ({error}). {AGAIN}") from error
    if found is None or found.dtype != np.uint8 or found.ndim != 2:
        raise UserError(f"{name} holds no array of pixels; it is no batch of CIFAR. {AGAIN}")
    return found


def _numbers(values: Any, name: str) -> list[int]:
    from core.pickles.values import array

    if not isinstance(values, list):
        try:
            found = array(values)
        except (ValueError, TypeError) as error:
            raise UserError(f"{name}: its labels are damaged ({error}). {AGAIN}") from error
        if found is not None and found.ndim == 1 and found.dtype.kind in "iu":
            values = found.tolist()
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise UserError(f"{name}: its labels are no list of numbers. {AGAIN}")
    return values


def _names(source: Source, folder: str) -> list[str] | None:
    for meta in META:
        if folder + meta in source:
            said = _unpickled(source, folder + meta)
            names = said.get("label_names", said.get("fine_label_names"))
            return [_text(name) for name in names] if isinstance(names, list) else None
    return None


def content_id(path: Path) -> str:
    """Follows all batches of the folder and the class names."""
    batches = [file for file in sorted(path.parent.iterdir()) if NAME.fullmatch(file.name)]
    return content_ids.of_files(*batches, *(path.parent / meta for meta in META))


FORMAT = Format("CIFAR, Python", matches, load, content_id, inside, by_name=True)
