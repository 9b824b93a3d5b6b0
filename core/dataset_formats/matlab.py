"""MATLAB's .mat of version 5 to 7: an array of pictures and one of labels, as SVHN has X and y.

http://ufldl.stanford.edu/housenumbers/
"""

from pathlib import Path, PurePosixPath

import numpy as np

from core.dataset_files.array_roles import SPLITS, Roles, roles, split_of
from core.dataset_files.class_labels import class_labels
from core.dataset_files.file_sources import Folder, Source
from core.dataset_files.flat_rows import CHANNELS
from core.dataset_files.matlab_files import START, Numbers, arrays_in, values_of
from core.dataset_formats import DataSet, Format, beside_others
from core.dataset_formats.arrays import data_set
from core.errors import UserError
from core.files import content_ids

SVHN = (32, 32, 3)  # whose label 10 is the digit 0


def matches(path: Path) -> bool:
    """By its first bytes and its arrays' names and shapes."""
    if path.suffix.lower() != ".mat" or not path.is_file():
        return False
    with path.open("rb") as file:
        if file.read(len(START)) != START:
            return False
    return _known(arrays_in(Folder(path.parent).view(path.name))) is not None


def _known(arrays: list[Numbers]) -> tuple[dict[str, Numbers], Roles, bool] | None:
    """Arrays by name, which are the pictures and their labels, and whether examples are the last
    axis, as MATLAB has them; None where there are not both."""
    by_name = {array.name: array for array in arrays}
    counts = {name: max(array.shape) for name, array in by_name.items() if 1 in array.shape[:2]
              and len(array.shape) == 2}
    for axis in (-1, 0):
        shapes = {name: (array.shape[axis], *array.shape) for name, array in by_name.items()
                  if _are_pictures(array.shape, axis)}
        found = roles(shapes | {name: (count,) for name, count in counts.items()})
        if found and found.labels in counts and found.images in shapes and (
                counts[found.labels] == shapes[found.images][0]):
            return by_name, found, axis == -1
    return None


def _are_pictures(shape: tuple[int, ...], axis: int) -> bool:
    rest = shape[:-1] if axis else shape[1:]
    return len(shape) == 3 or (len(shape) == 4 and bool({rest[0], rest[-1]} & {*CHANNELS}))


def load(path: Path) -> DataSet:
    """Raises UserError."""
    return read(Folder(path.parent), path.name)


def inside(source: Source) -> DataSet | None:
    """The file of a test split, else the first."""
    names = [name for name in source.names() if name.lower().endswith(".mat")
             and source.start(name, len(START)) == START and _known(arrays_in(source.view(name)))]
    names.sort(key=lambda name: SPLITS.index(split_of(name.rpartition("/")[2])))
    return beside_others(read(source, names[0]), names[0], names[1:]) if names else None


def read(source: Source, name: str) -> DataSet:
    """The data set in one file of a source."""
    title = PurePosixPath(name).name
    known = _known(arrays_in(source.view(name)))
    if known is None:
        raise UserError(f"{title} holds no array of pictures with one of labels. Save it as "
                        ".npz with x and y.")
    arrays, found, is_last = known
    values = values_of(arrays[found.images], title)
    notes = (f"Images from {found.images!r}, labels from {found.labels!r}.",)
    if is_last:
        values = np.moveaxis(values, -1, 0)
        notes += ("The examples are the last axis in the file.",)
    ids = values_of(arrays[found.labels], title).reshape(-1)
    if values.shape[1:] == SVHN and set(np.unique(ids)) == {*range(1, 11)}:
        ids = ids % 10
        notes += ("The label 10 stands for the digit 0, as SVHN has it.",)
    labels = class_labels(ids, f"{found.labels} of {title}")
    return data_set(title, values, labels, {}, split_of(title), notes)


FORMAT = Format("MATLAB arrays", matches, load, content_ids.of_files, inside)
