"""CIFAR-10 and CIFAR-100, binary version: records of one or two labels and 3,072 pixels."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from core.dataset_files import cifar
from core.dataset_files.file_sources import Folder, Source
from core.dataset_formats import DataSet, Format, beside_others
from core.errors import UserError
from core.files import content_ids

NAME = re.compile(r"(data_batch_\d|test_batch|train|test)\.bin")
CLASS_NAMES = {1: "batches.meta.txt", 2: "fine_label_names.txt"}  # by labels a record
LARGEST_NAMES = 1 << 16  # bytes


def matches(path: Path) -> bool:
    """By name and size; of several batches of training images only the first."""
    if not NAME.fullmatch(path.name) or not path.is_file():
        return False
    beside = [file.name for file in path.parent.glob("data_batch_*.bin")]
    return cifar.first_batch(path.name, beside) and _labels_a_record(path.stat().st_size) > 0


def _labels_a_record(size: int) -> int:
    """1 for CIFAR-10, 2 for CIFAR-100, 0 where the size fits neither."""
    return next((n for n in (1, 2) if size and size % (cifar.PIXELS + n) == 0), 0)


def load(path: Path) -> DataSet:
    """Raises UserError."""
    return read(Folder(path.parent), path.name)


def inside(source: Source) -> DataSet | None:
    """The test batch, else the training batches."""
    names = [name for name in source.names() if NAME.fullmatch(name.rpartition("/")[2])
             and _labels_a_record(source.size(name))]
    names.sort(key=lambda name: "test" not in name.rpartition("/")[2])
    return beside_others(read(source, names[0]), names[0], cifar.other_splits(names)) if (
        names) else None


def read(source: Source, name: str) -> DataSet:
    """The split that a batch belongs to."""
    folder, slash, last = name.rpartition("/")
    beside = [other[len(folder + slash):] for other in source.names()
              if other.startswith(folder + slash)]
    batches = cifar.batches_of(last, [other for other in beside if "/" not in other])
    parts = [_records(source, folder + slash + batch) for batch in batches]
    labels = len(parts[0][0]) - cifar.PIXELS
    if any(part.shape[1] != parts[0].shape[1] for part in parts):
        raise UserError(f"{name}: its batches are not all of one kind. Download CIFAR again.")
    metadata = pd.DataFrame()
    if labels == 2:
        metadata["coarse_label"] = np.concatenate([part[:, 0] for part in parts])
    place, names = folder + slash + CLASS_NAMES[labels], None
    if place in source:
        text = source.read(place, LARGEST_NAMES).decode("utf-8", "replace")
        names = [line.strip() for line in text.splitlines() if line.strip()]
    return cifar.data_set(last, [part[:, labels:] for part in parts],
                          np.concatenate([part[:, labels - 1] for part in parts]).astype(np.int64),
                          names, metadata, (f"Read from {', '.join(batches)}.",),
                          cifar.split_of(last))


def _records(source: Source, name: str) -> np.ndarray:
    data = source.view(name)
    labels = _labels_a_record(len(data))
    if not labels:
        raise UserError(f"{name} has {len(data):,} bytes, which is no whole number of CIFAR's "
                        "records; it is truncated. Download it again.")
    records = np.frombuffer(data, np.uint8).reshape(-1, cifar.PIXELS + labels)
    records.setflags(write=False)
    return records


def content_id(path: Path) -> str:
    """Follows all batches of the folder."""
    beside = [file for ending in ("*.bin", "*.txt") for file in path.parent.glob(ending)]
    return content_ids.of_files(*sorted(beside))


FORMAT = Format("CIFAR, binary", matches, load, content_id, inside)
