"""Digits: 1,797 handwritten digits of 8 × 8, real, from the file that scikit-learn installs.

https://archive.ics.uci.edu/dataset/80; scikit-learn itself, slow to import, is not imported.
"""

import gzip
import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from core.dataset_formats import DataSet, Format, descriptor
from core.errors import UserError

VERSION = 1  # of the split; raise it when a row moves
SPLITS = ("train", "test", "all")
TRAINING_SHARE = 0.72  # of each class, rounded: 1,293 of 1,797
CLASS_NAMES = tuple("0123456789")


def load(path: Path) -> DataSet:
    """The split that a descriptor names. Raises UserError."""
    said = descriptor.read(path, SPLITS)
    pictures, labels = pictures_and_labels()
    part = split_of_rows(labels, said["seed"])
    rows = np.arange(len(labels))
    if said["split"] != "all":
        rows = np.flatnonzero(part == said["split"])
    return DataSet(
        title=f"Digits, {said['split']}",
        image=lambda row: pictures[rows[row]],
        labels=labels[rows],
        class_names=CLASS_NAMES,
        metadata=pd.DataFrame({"path": [f"digits/{row:04d}.png" for row in rows],
                               "split": part[rows], "row": rows}),
        split=said["split"],
        notes=("Read from scikit-learn's digits; its values 0 to 16 are spread over 0 to 255.",
               f"Split by class with seed {said['seed']}: {(part == 'train').sum():,} to train, "
               f"{(part == 'test').sum():,} to test."),
    )


@lru_cache(maxsize=1)
def pictures_and_labels() -> tuple[np.ndarray, np.ndarray]:
    """uint8 (1797, 8, 8, 1) and int64 (1797,), read-only, in scikit-learn's order."""
    with gzip.open(_installed_file(), "rt", encoding="ascii") as file:
        table = np.fromstring(file.read().replace("\n", ","), sep=",").reshape(-1, 65)
    spread = (table[:, :64].astype(np.uint16) * 255 + 8) // 16
    pictures = spread.astype(np.uint8).reshape(-1, 8, 8, 1)
    labels = table[:, 64].astype(np.int64)
    pictures.setflags(write=False)
    labels.setflags(write=False)
    return pictures, labels


def _installed_file() -> Path:
    package = importlib.util.find_spec("sklearn")
    folders = package.submodule_search_locations if package else ()
    for folder in folders or ():
        if (file := Path(folder, "datasets", "data", "digits.csv.gz")).is_file():
            return file
    raise UserError("The digits come with scikit-learn, which is not installed here. "
                    "Run: pip install scikit-learn")


def split_of_rows(labels: np.ndarray, seed: int) -> np.ndarray:
    """"train" or "test" for each row, the same share of each class, rows drawn by the seed."""
    random = np.random.default_rng([seed, 4])
    part = np.full(len(labels), "test", dtype="<U5")
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        part[rows[: round(TRAINING_SHARE * len(rows))]] = "train"
    return part


def content_id(path: Path) -> str:
    return descriptor.digest(descriptor.read(path, SPLITS), VERSION)


FORMAT = Format("Digits", lambda path: descriptor.names(path, "digits"), load, content_id)
