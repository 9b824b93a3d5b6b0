"""What a value of an event file is that is no number: a histogram, pictures, texts, an array."""

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import UserError
from core.events.framing import HEADER
from core.events.layout import DTYPES, SUMMARY, fields, varint
from core.files.limits import MB
from core.log_files.bytes import LogBytes, cannot_read

LARGEST = 64 * MB  # of one record
HISTOGRAM, PICTURE, AUDIO, TENSOR = 42, 34, 50, 66  # keys of a summary's value
ENCODED = 34  # of a picture's or a sound's message
STRINGS = 7  # DataType


@dataclass(frozen=True)
class Histogram:
    """Counts between left and right edges, (K,) each, float64; K may be 0.

    lowest, highest: of the values that were counted. squares: the sum of their squares, NaN where
    the log does not state it, as TensorFlow 2's do not.
    """

    left: np.ndarray
    right: np.ndarray
    counts: np.ndarray
    lowest: float
    highest: float
    squares: float


def record_at(file: Path, byte: int, size: int) -> bytes:
    """The data of one record. Raises UserError where it is no longer there, or too large."""
    if size > LARGEST:
        raise UserError(f"{file.name}: a value of {size // MB:,} MB is too large to show.")
    try:
        with LogBytes(file) as source:
            source.skip(byte)
            record = source.read(size)
    except OSError as error:
        raise cannot_read(error, file) from error
    if len(record) < size:
        raise UserError(f"{file.name} became shorter while it was open. Choose the logs again.")
    return record[HEADER.size:-4]


def payload(record: bytes, tag: str) -> Histogram | np.ndarray | list[bytes] | None:
    """The value of a tag in a record: a histogram, numbers of any shape, or strings of bytes, as
    texts and encoded pictures and sounds are (of TensorFlow 2 the first two are width and height).

    None where the record has none such. Raises ValueError where it is no event.
    """
    for key, start, stop in fields(record, 0, len(record)):
        if key == SUMMARY:
            for inner, first, last in fields(record, start, stop):
                value = record[first:last]
                if inner == 10 and _tag(value) == tag:
                    return _content(value)
    return None


def _tag(value: bytes) -> str:
    tags = _all(value, 10)
    return tags[-1].decode("utf-8", "replace") if tags else ""


def _all(data: bytes, key: int) -> list[bytes]:
    return [data[start:stop] for found, start, stop in fields(data, 0, len(data)) if found == key]


def _content(value: bytes) -> Histogram | np.ndarray | list[bytes] | None:
    if histogram := _all(value, HISTOGRAM):
        return _old_histogram(histogram[-1])
    for key in (PICTURE, AUDIO):
        if found := _all(value, key):
            return _all(found[-1], ENCODED)
    if tensor := _all(value, TENSOR):
        return _tensor(tensor[-1])
    return None


def _old_histogram(data: bytes) -> Histogram:
    """TensorFlow 1's: right edges, and the lowest value, which is the first left edge."""
    right, counts = (_doubles(data, packed, single) for packed, single in ((50, 49), (58, 57)))
    if len(right) != len(counts):
        raise ValueError("a histogram whose edges and counts differ in number")
    lowest, highest, squares = (_stated(data, key) for key in (9, 17, 41))
    left = np.concatenate([[lowest], right[:-1]])[:len(right)]
    return Histogram(left, right, counts, lowest, highest, squares if squares else math.nan)


def _stated(data: bytes, key: int) -> float:
    """A number of the message; 0 is not written."""
    found = _all(data, key)
    return struct.unpack("<d", found[-1])[0] if found else 0.0


def _doubles(data: bytes, packed: int, single: int) -> np.ndarray:
    found = [data[start:stop] for key, start, stop in fields(data, 0, len(data))
             if key in (packed, single)]
    return np.frombuffer(b"".join(found), "<f8").astype(np.float64)


def _tensor(data: bytes) -> np.ndarray | list[bytes]:
    """Numbers in the tensor's shape, or its strings. Raises ValueError where they do not fit."""
    kind = [varint(data, start, stop)[0] for key, start, stop in fields(data, 0, len(data))
            if key == 8][-1:]
    if kind == [STRINGS]:
        return _all(data, 66)
    dtype, _, packed, single = DTYPES.get(kind[0] if kind else 0, ("", 0, 0, 0))
    if not dtype or dtype == "bfloat16":
        raise ValueError("a tensor of a type that is not shown")
    shape = [_size(size) for part in _all(data, 18) for size in _all(part, 18)]
    content = _all(data, 34)[-1:] or [b""]
    numbers = np.frombuffer(content[0], dtype) if content[0] else _listed(
        data, dtype, packed, single)
    count = int(np.prod(shape, dtype=object))
    if len(numbers) == 1 < count <= LARGEST // 8:  # one value for a whole shape
        numbers = np.full(count, numbers[0])
    return numbers.reshape(shape)


def _size(data: bytes) -> int:
    sizes = [varint(data, start, stop)[0] for key, start, stop in fields(data, 0, len(data))
             if key == 8]
    return sizes[-1] if sizes else 0


def _listed(data: bytes, dtype: str, packed: int, single: int) -> np.ndarray:
    found = b"".join(data[start:stop] for key, start, stop in fields(data, 0, len(data))
                     if key in (packed, single))
    if packed in (42, 50):  # lists of fixed width
        return np.frombuffer(found, dtype)
    numbers, at = [], 0
    while at < len(found):
        number, at = varint(found, at, len(found))
        numbers.append(number)
    bits = np.array(numbers, np.uint64)
    return bits.astype("<u2").view("<f2") if dtype == "<f2" else bits.astype(dtype)


def as_histogram(found: Histogram | np.ndarray) -> Histogram:
    """A histogram of either TensorFlow: the second's is a (K, 3) array. Raises ValueError."""
    if isinstance(found, Histogram):
        return found
    if found.ndim != 2 or found.shape[1] != 3:
        raise ValueError("not a histogram's shape")
    left, right, counts = np.ascontiguousarray(found.T, np.float64)
    ends = (left[0], right[-1]) if len(left) else (0.0, 0.0)
    return Histogram(left, right, counts, float(ends[0]), float(ends[1]), math.nan)
