"""Tensors over the bytes of a file: nothing is copied where the file stores them as they are."""

from collections.abc import Callable

import torch

from core.pickles.values import Storage, StoredTensor

EXPANDED = 1 << 20  # elements that a tensor may have beyond those of its storage


class Storages:
    """Gives tensors their bytes. find: the bytes of a storage's key.

    A storage is looked up once, so that tensors which share one in the file share it in memory.
    """

    def __init__(self, find: Callable[[str], memoryview]) -> None:
        self._find = find
        self._found: dict[str, memoryview] = {}
        self._flat: dict[tuple[str, torch.dtype], torch.Tensor] = {}

    def check(self, stored: StoredTensor) -> None:
        """Raises ValueError where a tensor reaches outside its storage, or the storage is cut."""
        size = stored.dtype.itemsize
        present = len(self._bytes(stored.storage))
        declared = stored.storage.count * stored.storage.dtype.itemsize
        if declared > present:
            raise ValueError(f"its storage says {declared:,} bytes, the file holds {present:,}")
        if stored.reach * size > present:
            raise ValueError("it is out of bounds: its shape and stride reach outside its storage")
        if stored.elements * size > max(present, EXPANDED * size):
            raise ValueError(f"it has {stored.elements:,} elements, too large for a storage of "
                             f"{present:,} bytes")

    def tensor(self, stored: StoredTensor) -> torch.Tensor:
        """The tensor over its storage's bytes; it keeps what was said of training as
        `said_trainable`. Raises ValueError as `check` does."""
        self.check(stored)
        place = stored.storage.key, stored.dtype
        if place not in self._flat:
            self._flat[place] = tensor_over(self._bytes(stored.storage), stored.dtype)
        flat = self._flat[place]
        tensor = flat.as_strided(stored.shape, stored.stride,
                                 stored.offset if stored.elements else 0)
        if stored.trainable is not None:
            tensor.said_trainable = stored.trainable
        return tensor

    def _bytes(self, storage: Storage) -> memoryview:
        if storage.key not in self._found:
            self._found[storage.key] = self._find(storage.key)
        return self._found[storage.key]


def tensor_over(data: memoryview, dtype: torch.dtype) -> torch.Tensor:
    """A flat tensor over writable bytes, as many elements as fit; copied only if misaligned."""
    count = len(data) // dtype.itemsize
    if count == 0:
        return torch.empty(0, dtype=dtype)
    tensor = torch.frombuffer(data, dtype=dtype, count=count)
    if tensor.data_ptr() % dtype.itemsize:
        tensor = torch.frombuffer(bytearray(data[:count * dtype.itemsize]), dtype=dtype)
    return tensor

