"""What torch.save writes: the zip since torch 1.6, and the row of pickles before it.

Layout: https://github.com/pytorch/pytorch/blob/main/torch/serialization.py
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from core.dataset_files.archives import Archive
from core.errors import UserError
from core.files.file_map import FileMap
from core.files.limits import current_limits
from core.files.text_of_files import shown
from core.pickles.machine import RESAVE
from core.pickles.values import STORAGES, Global, Storage
from core.safe_pickle import read_pickle
from core.weight_files.stored_tensors import Storages

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
COUNT_BYTES = 8  # before each storage of a legacy file


@dataclass(frozen=True)
class Checkpoint:
    """The value that was saved, its tensors as places in `storages`.

    classes: names in the pickle that placeholders stand for. forget: see FileMap.forget.
    """

    value: Any
    classes: tuple[str, ...]
    storages: Storages
    forget: Callable[[], None]


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads what torch.save wrote. Raises UserError for code, damage and what exceeds limits."""
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
        file.seek(0)
        return _zip(path) if is_zip else _legacy(file, path)


def _zip(path: Path) -> Checkpoint:
    with Archive(path, path.name) as archive:
        if "byteorder" in archive and archive.read("byteorder", 16).strip() == b"big":
            raise UserError(f"{path.name}: saved on a big-endian machine, not read here. {RESAVE}")
        data = archive.read("data.pkl", current_limits().pickle_bytes)
        pickled = read_pickle(io.BytesIO(data), path.name, persistent_storage)
        views = {name: archive.view(name) for name in archive.names if name.startswith("data/")}
        return Checkpoint(pickled.value, pickled.classes,
                          Storages(lambda key: views[f"data/{key}"]), archive.forget)


def _legacy(file: BinaryIO, path: Path) -> Checkpoint:
    """Five pickles in a row (magic number, version, system, value, keys of storages), then each
    storage as its count of elements and its bytes."""
    dtypes: dict[str, int] = {}

    def persistent(told: Any) -> Any:
        storage = persistent_storage(told)
        if isinstance(storage, Storage):
            dtypes[storage.key] = storage.dtype.itemsize
        return storage

    magic = read_pickle(file, path.name, persistent).value
    if magic != LEGACY_MAGIC:
        raise UserError(f"{path.name}: a pickle that torch.save did not write. {RESAVE}")
    _version, _system, pickled, keys = (read_pickle(file, path.name, persistent) for _ in range(4))
    views = _legacy_views(FileMap(path), file.tell(), keys.value, dtypes, path.name)
    return Checkpoint(pickled.value, pickled.classes, Storages(views.__getitem__), lambda: None)


def _legacy_views(bytes_of: FileMap, start: int, keys: Any, sizes: dict[str, int],
                  name: str) -> dict[str, memoryview]:
    if not isinstance(keys, list):
        raise UserError(f"{name}: the list of storages is damaged. {RESAVE}")
    views = {}
    for key in keys:
        if not isinstance(key, str) or key not in sizes:
            raise UserError(f"{name}: it lists a storage that no tensor uses. {RESAVE}")
        count = int.from_bytes(bytes_of.view(start, COUNT_BYTES), "little")
        start += COUNT_BYTES
        views[key] = bytes_of.view(start, count * sizes[key])
        start += count * sizes[key]
        if start > len(bytes_of):
            raise UserError(f"{name}: the file is incomplete, it ends inside a storage. "
                            "Copy or download it again.")
    return views


def persistent_storage(told: Any) -> Any:
    """What a persistent id of torch's pickles stands for: a storage, or the class of a module."""
    if isinstance(told, tuple) and len(told) == 4 and told[0] == "module":
        return told[1]  # beside its source text, which is not read
    if not isinstance(told, tuple) or len(told) < 5 or told[0] != "storage":
        raise ValueError("a persistent id is not a storage")
    _, kind, key, device, count, *view = told
    if not isinstance(kind, Global) or (dtype := STORAGES.get(kind.name.split(".")[-1])) is None:
        raise ValueError(f"a storage is of an unknown type, {shown(getattr(kind, 'name', kind))}")
    if not isinstance(key, str) or type(count) is not int or count < 0 or any(view):
        raise ValueError("a storage is described wrongly")
    return Storage(key, dtype, count, str(device))
