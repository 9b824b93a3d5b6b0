"""MNIST's IDX: a file of images and one of labels beside it, plain or as .gz.

https://yann.lecun.org/exdb/mnist/ : two zero bytes, type, number of dimensions, sizes, values.
"""

import gzip
import io
import math
import re
import struct
import zlib
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from core.dataset_files.class_labels import class_labels, label_notes
from core.dataset_files.file_sources import Folder, Source
from core.dataset_files.image_arrays import array_images
from core.dataset_formats import DataSet, Format, beside_others
from core.errors import UserError
from core.files import content_ids
from core.files.limits import current_limits

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
IMAGES_NAME = re.compile(r"images?[-._]?idx[34]|idx[34]-u?byte", re.IGNORECASE)
MOST_FILES_LOOKED_AT = 32
AGAIN = "Copy or download it again."


def matches(path: Path) -> bool:
    """A file of images by its name or first bytes, or a folder with one such file."""
    if path.is_dir():
        return len(_images_files(Folder(path), _few_names(path))) == 1
    if not path.is_file():
        return False
    unpacked_beside = path.suffix == ".gz" and path.with_suffix("").is_file()
    return not unpacked_beside and _is_images(Folder(path.parent), path.name)


def _few_names(folder: Path) -> list[str]:
    names = [file.name for file in islice(folder.iterdir(), MOST_FILES_LOOKED_AT)]
    return sorted(names) if len(names) < MOST_FILES_LOOKED_AT else []


def _images_files(source: Source, names: list[str]) -> list[str]:
    """Files of images, one of a file and its packed copy."""
    found = [name for name in names if name in source and _is_images(source, name)]
    return [name for name in found if name.removesuffix(".gz") == name
            or name.removesuffix(".gz") not in found]


def _is_images(source: Source, name: str) -> bool:
    if IMAGES_NAME.search(name):
        return True
    if "." in PurePosixPath(name.removesuffix(".gz")).suffix:
        return False  # IDX files have no ending
    start = source.start(name, 64)
    if start.startswith(b"\x1f\x8b"):
        start = _first_bytes(start)
    return len(start) >= 4 and start[:2] == b"\0\0" and start[2] in TYPES and start[3] in (3, 4)


def _first_bytes(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(packed, 16)
    except zlib.error:
        return b""


def load(path: Path) -> DataSet:
    """The images of a file, with the labels beside it. Raises UserError."""
    if path.is_dir():
        source = Folder(path)
        return read(source, _images_files(source, _few_names(path))[0])
    return read(Folder(path.parent), path.name)


def inside(source: Source) -> DataSet | None:
    """The test images among the files, else the first; None where there are none."""
    names = [name for name in source.names() if IMAGES_NAME.search(name)]
    found = _images_files(source, names)
    found.sort(key=lambda name: split_of(name) != "test")
    return beside_others(read(source, found[0]), found[0], found[1:]) if found else None


def read(source: Source, name: str) -> DataSet:
    """The images of one file of a source, with the labels beside it."""
    values = values_of(source, name)
    if values.ndim not in (3, 4):
        raise UserError(f"{name} has {values.ndim} dimensions; a file of images has 3 or 4. "
                        "Choose the file of images; labels are found beside it.")
    images = array_images(values, name)
    notes, labels, class_names = images.notes, None, ()
    if beside := _labels_beside(source, name):
        found = class_labels(values_of(source, beside), beside)
        labels, class_names = found.labels, found.class_names
        notes += (f"Labels from {beside}.", *found.notes)
        if len(labels) != len(values):
            raise UserError(f"{name} holds {len(values):,} images, but {beside} holds "
                            f"{len(labels):,} labels; they must match. Use files of one set.")
    return DataSet(
        title=f"{source.title}, {split_of(name)}" if split_of(name) else PurePosixPath(name).name,
        image=images.image,
        labels=labels,
        class_names=class_names,
        metadata=pd.DataFrame({"path": pd.Series(_row_names(name, len(values)), dtype="str")}),
        split=split_of(name),
        notes=(*notes, *label_notes(labels, class_names)),
    )


def _row_names(name: str, count: int) -> list[str]:
    return [f"{PurePosixPath(name).name.removesuffix('.gz')}/{row:05d}" for row in range(count)]


def split_of(name: str) -> str:
    """train or test, by the names of MNIST and EMNIST; else ''."""
    last = PurePosixPath(name).name.lower()
    return "test" if re.search("t10k|test", last) else "train" if "train" in last else ""


def _labels_beside(source: Source, name: str) -> str | None:
    plain = name.removesuffix(".gz")
    folder, _, last = plain.rpartition("/")
    last = re.sub("idx[34]", "idx1", re.sub("images", "labels", last))
    wanted = f"{folder}/{last}" if folder else last
    if wanted == plain:
        return None
    return next((beside for beside in (wanted, f"{wanted}.gz") if beside in source), None)


def values_of(source: Source, name: str) -> np.ndarray:
    """The array of an IDX file, read-only; mapped where the file is not packed.

    Raises UserError where header and size contradict each other.
    """
    data = source.view(name)
    packed = bytes(data[:2]) == b"\x1f\x8b"
    head = _first_bytes(bytes(data[:4096])) if packed else bytes(data[:20])
    if len(head) < 8 or head[:2] != b"\0\0" or head[2] not in TYPES or not 1 <= head[3] <= 4:
        raise UserError(f"{name} is not an IDX file: its first bytes, the magic number, are not "
                        f"those of IDX. {AGAIN}")
    dtype, dimensions = np.dtype(TYPES[head[2]]), head[3]
    start = 4 + 4 * dimensions
    head = _unpacked(data, start, name) if packed else bytes(data[:start])
    if len(head) < start:
        raise UserError(f"{name} ends inside its header; it is truncated. {AGAIN}")
    shape = struct.unpack(f">{dimensions}I", head[4:])
    needed = start + math.prod(shape) * dtype.itemsize
    if needed > current_limits().unpacked_bytes:
        raise UserError(f"{name}: its header says {needed:,} bytes, which is too large. {AGAIN}")
    if packed:
        if needed > 1100 * len(data) + 4096:  # gzip cannot compress further
            raise UserError(f"{name}: its header says {needed:,} bytes, more than {len(data):,} "
                            f"packed bytes can expand to. {AGAIN}")
        data = memoryview(_unpacked(data, needed + 1, name))
    if len(data) != needed:
        present = "more" if packed and len(data) > needed else f"{len(data):,}"
        raise UserError(f"{name}: its header says {needed:,} bytes, but it has {present}: the "
                        f"sizes do not match. It may be truncated. {AGAIN}")
    values = np.frombuffer(data, dtype, offset=start).reshape(shape)
    values.setflags(write=False)
    return values


def _unpacked(data: memoryview, most: int, name: str) -> bytes:
    """At most `most` bytes of what a gzip file expands to."""
    try:
        with gzip.open(io.BytesIO(data)) as file:
            return file.read(most)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{name}: the gzip file is damaged or truncated ({error}). "
                        f"{AGAIN}") from error


def content_id(path: Path) -> str:
    """Follows the images and labels beside them."""
    if path.is_dir():
        return content_ids.of_files(*(path / name for name in _few_names(path)))
    beside = _labels_beside(Folder(path.parent), path.name)
    return content_ids.of_files(path, *([path.parent / beside] if beside else []))


FORMAT = Format("MNIST's IDX", matches, load, content_id, inside)
