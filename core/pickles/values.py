"""What a pickle's values become: tensors as places in a storage, names, and inert placeholders."""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

STORAGES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool, "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128, "UntypedStorage": torch.uint8,
}


@dataclass(frozen=True)
class Global:
    """A name in a pickle, which is never looked up."""

    name: str


@dataclass(eq=False)
class Placeholder:
    """Stands for an object whose class is never imported: keeps what it was given, runs nothing."""

    name: str
    arguments: tuple = ()
    state: Any = None
    items: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Storage:
    """Bytes that tensors share. count: of elements of dtype, as the pickle says."""

    key: str
    dtype: torch.dtype
    count: int
    device: str


@dataclass(eq=False)
class StoredTensor:
    """A tensor as a place in a storage; offset and stride count elements. trainable: where it was
    saved as a parameter, whether it was trained."""

    storage: Storage
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    trainable: bool | None = None

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def reach(self) -> int:
        """One past the last element of the storage that is used."""
        if 0 in self.shape:
            return 0
        last = sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        return self.offset + last + 1


def array(value: Any) -> np.ndarray | None:
    """The numbers of a pickled numpy array, or None where the value is something else."""
    if not (isinstance(value, Placeholder) and value.name == "numpy.ndarray" and value.state):
        return None
    _, shape, kind, by_columns, data = value.state
    if isinstance(data, list) or (dtype := plain_dtype(kind)) is None:
        return None  # an array of objects
    data = data.encode("latin-1") if isinstance(data, str) else data
    numbers = np.frombuffer(data, dtype)
    return numbers.reshape(shape, order="F" if by_columns else "C").astype(dtype.newbyteorder("="))


def plain_dtype(kind: Any) -> np.dtype | None:
    """The plain numeric dtype that a pickled numpy.dtype stands for."""
    code = kind.arguments[0] if isinstance(kind, Placeholder) and kind.arguments else None
    if not isinstance(code, str) or not re.fullmatch("[?]|[biuf][1248]|c(8|16)", code):
        return None
    order = kind.state[1] if isinstance(kind.state, tuple) and len(kind.state) > 1 else "="
    return np.dtype(code).newbyteorder(order if order in ("<", ">") else "=")
