"""Numpy's .npz (images, labels and more in one file) and .npy (images, with labels beside them)."""

import io
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from core.dataset_files.archives import Archive, member_names
from core.dataset_files.array_files import MAGIC, array_in, header_of
from core.dataset_files.array_roles import Roles, roles, split_of
from core.dataset_files.class_labels import ClassLabels, class_labels, label_notes
from core.dataset_files.file_sources import Folder, Source
from core.dataset_files.image_arrays import SMALLEST_TABLE, array_images
from core.dataset_files.single_pictures import with_examples
from core.dataset_formats import DataSet, Format, beside_others
from core.errors import UserError
from core.files import content_ids
from core.files.limits import MB, current_limits

FOR_ALL = "labels.npy"  # beside arrays of the same examples, as CIFAR-10-C has
REPEATING = 64 * MB  # up to which an array may be pressed as hard as one-hot labels are

# What the file of labels is called beside one of images.
COUNTERPARTS = (("images", "labels"), ("imgs", "labels"), ("image", "label"), ("data", "labels"),
                ("data", "targets"), ("inputs", "targets"), ("features", "labels"), ("x", "y"),
                ("X", "y"), ("X", "Y"))


def matches(path: Path) -> bool:
    """A .npz, by its members or name, or a .npy whose shape can be that of pictures."""
    if not path.is_file():
        return False
    if path.suffix.lower() == ".npz":
        return True
    with path.open("rb") as file:
        start = file.read(16_384)
    if start.startswith(MAGIC):
        return _can_be_images(start)
    members = member_names(path)
    return bool(members) and all(name.endswith(".npy") for name in members)


def _can_be_images(start: bytes) -> bool:
    """False for labels and scores; true too for a damaged header, so that it is answered."""
    try:
        shape, _, dtype, _ = header_of(memoryview(start), "")
    except UserError:
        return True
    if dtype.kind not in "buif":
        return dtype.kind not in "US"
    return len(shape) in (3, 4) or (len(shape) == 2 and shape[1] >= SMALLEST_TABLE)


def load(path: Path) -> DataSet:
    """The test split of a file, else the images it has. Raises UserError."""
    return read(Folder(path.parent), path.name)


def inside(source: Source) -> DataSet | None:
    """The file of arrays that is named for test, else the first, such with labels before others."""
    names = source.names()
    found = [name for name in names if name.endswith(".npz")]
    found = found or [name for name in names if name.endswith(".npy")
                      and _can_be_images(source.start(name, 16_384))]
    found.sort(key=lambda name: (split_of(PurePosixPath(name).name) != "test",
                                 name.endswith(".npy") and _labels_beside(source, name) is None))
    return beside_others(read(source, found[0]), found[0], found[1:]) if found else None


def read(source: Source, name: str) -> DataSet:
    """The data set in one file of a source."""
    if source.start(name, 6) == MAGIC:
        return _from_array(source, name)
    with _archive(source, name) as archive:
        return _from_members(archive, source, name)


def _archive(source: Source, name: str) -> Archive:
    place = source.path / name if isinstance(source, Folder) else io.BytesIO(source.view(name))
    limits = replace(current_limits(), ratio_floor=REPEATING)
    return Archive(place, PurePosixPath(name).name, limits)


def _from_array(source: Source, name: str) -> DataSet:
    values = array_in(source.view(name), name)
    labels, notes = _labels_of_beside(source, name, len(values) if values.ndim else 0)
    return data_set(PurePosixPath(name).name, values, labels, {}, split_of(name), notes)


def _labels_beside(source: Source, name: str) -> str | None:
    """The file that is called as this one with labels for images, or merely labels.npy."""
    file = PurePosixPath(name)
    for images, labels in COUNTERPARTS:
        stem = re.sub(rf"(?<![A-Za-z]){images}(?![a-z])", labels, file.stem)
        if stem != file.stem and (beside := str(file.with_name(stem + file.suffix))) in source:
            return beside
    beside = str(file.with_name(FOR_ALL))
    return beside if file.suffix == ".npy" and file.name != FOR_ALL and beside in source else None


def _labels_of_beside(source: Source, name: str,
                      examples: int) -> tuple[ClassLabels | None, tuple[str, ...]]:
    """The labels in a file beside the images, and what to say."""
    if not (beside := _labels_beside(source, name)):
        return None, ()
    if source.start(beside, len(MAGIC)) == MAGIC:
        values = array_in(source.view(beside), beside)
    else:
        with _archive(source, beside) as archive:
            if len(archive.names) != 1:
                return None, ()
            values = array_in(archive.view(archive.names[0]), beside)
    if beside.endswith(FOR_ALL) and values.shape[:1] != (examples,):
        return None, ()  # of something else
    return class_labels(values, beside), (f"Labels from {beside}.",)


def _from_members(archive: Archive, source: Source, name: str) -> DataSet:
    keys = [name.removesuffix(".npy") for name in archive.names if name.endswith(".npy")]
    headers = {key: header_of(archive.view(f"{key}.npy"), f"{key} of {archive.name}")
               for key in keys}
    shapes = {key: header[0] for key, header in headers.items()}
    found = roles(shapes)
    if found is None:
        raise UserError(f"{archive.name} holds no images: its arrays are "
                        f"{', '.join(keys[:8]) or 'none'}. Save them as x and y, or images and "
                        "labels.")
    objects = [key for key, header in headers.items() if header[2].hasobject]
    beside = (None, ()) if found.labels else _labels_of_beside(source, name, 0)
    return _of_roles(archive, found, shapes, objects, beside)


def _of_roles(archive: Archive, found: Roles, shapes: dict[str, tuple[int, ...]],
              objects: list[str],
              beside: tuple[ClassLabels | None, tuple[str, ...]]) -> DataSet:
    def member(key: str) -> np.ndarray:
        return array_in(archive.view(f"{key}.npy"), f"{key} of {archive.name}")

    values, names, (labels, said) = member(found.images), None, beside
    if found.class_names:
        names = [str(name) for name in np.char.strip(member(found.class_names).astype(str))]
    if found.labels:
        labels = class_labels(np.atleast_1d(member(found.labels)),
                              f"{found.labels} of {archive.name}", names)
    notes = [f"Images from {found.images!r}"
             + (f", labels from {found.labels!r}." if found.labels else "."), *said]
    if found.others:
        told = ", ".join(f"{split or key} ({shapes[key][0]:,})" for split, key in found.others)
        notes.append(f"The file also holds {told}; {found.split or 'this'} is what is shown.")
    if objects:
        told = ", ".join(objects[:8])
        notes.append(f"Skipped, since they are Python objects (pickle): {told}.")
    used = {*objects, found.images, found.labels, found.class_names,
            *(key for _, key in found.others)}
    columns = {key: member(key) for key, shape in shapes.items()
               if key not in used and shape == values.shape[:1]}
    return data_set(archive.name, values, labels, columns, found.split, tuple(notes))


def data_set(title: str, values: np.ndarray, labels: ClassLabels | None,
             columns: dict[str, np.ndarray], split: str, notes: tuple[str, ...]) -> DataSet:
    """A data set of images in one array; columns (N,) are its further metadata."""
    values, alone = with_examples(values, len(labels.labels) if labels else None)
    found = array_images(values, title)
    if labels and len(labels.labels) != len(values):
        raise UserError(f"{title} has {len(values):,} images but {len(labels.labels):,} labels; "
                        "they must match. Save both anew, one label an image.")
    names = labels.class_names if labels else ()
    indices = labels.labels if labels else None
    paths = [f"{title}/{row:05d}" for row in range(len(values))]
    metadata = pd.DataFrame({"path": pd.Series(paths, dtype="str")})
    for key, column in columns.items():
        native = column.astype(column.dtype.newbyteorder("="))
        metadata[key if key != "path" else "path in the file"] = native
    return DataSet(
        title=f"{title}, {split}" if split and split not in title else title,
        image=found.image, labels=indices, class_names=names, metadata=metadata, split=split,
        flat=found.flat,
        notes=(*notes, *alone, *found.notes, *(labels.notes if labels else ()),
               *label_notes(indices, names)),
    )


def content_id(path: Path) -> str:
    """Follows the file and the labels beside it."""
    beside = _labels_beside(Folder(path.parent), path.name)
    return content_ids.of_files(path, *([path.parent / beside] if beside else []))


FORMAT = Format("NumPy arrays", matches, load, content_id, inside)
