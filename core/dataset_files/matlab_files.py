"""Arrays of numbers in MATLAB's files of version 5 to 7; structs, cells, objects and code are not
read, only skipped by their size.

https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf
"""

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from core.errors import UserError
from core.files.limits import current_limits

START = b"MATLAB 5.0 MAT-file"
HEADER = 128  # bytes
MATRIX, COMPRESSED, INT8, INT32, UINT32 = 14, 15, 1, 5, 6
# What values are stored as, which may be smaller than what they are, and what they are.
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8",
          13: "u8"}
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8",
           15: "u8"}
COMPLEX = 8
MOST_ARRAYS = 1_000
LONGEST_HEAD = 512  # bytes, in which flags, shape and name lie
AGAIN = "Copy or download it again."


class _BadFileError(Exception):
    """The file contradicts itself."""


@dataclass(frozen=True)
class Numbers:
    """An array of real numbers that is not read yet. data: its element, perhaps compressed."""

    name: str
    shape: tuple[int, ...]
    kind: str
    at: int  # of the values in the element
    data: memoryview
    is_compressed: bool


def arrays_in(content: memoryview) -> list[Numbers]:
    """The arrays of numbers of a file, up to where it is damaged; none where it is another kind."""
    if bytes(content[:len(START)]) != START or bytes(content[126:128]) != b"IM":
        return []
    found = []
    try:
        for kind, data in islice(_elements(content), MOST_ARRAYS):
            head = bytes(data[:LONGEST_HEAD])
            if kind == COMPRESSED:
                kind, head = _matrix_in(zlib.decompressobj().decompress(head, LONGEST_HEAD))
            if kind == MATRIX and (array := _numbers(head)):
                packed = bytes(data[:1]) == b"x"
                found.append(Numbers(*array, data, packed))
    except (_BadFileError, zlib.error, struct.error, UnicodeDecodeError):
        return found
    return found


def _elements(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    at = HEADER
    while at + 8 <= len(content):
        kind, size = struct.unpack_from("<II", content, at)
        if kind not in (MATRIX, COMPRESSED) or at + 8 + size > len(content):
            raise _BadFileError
        yield kind, content[at + 8:at + 8 + size]
        at += 8 + size


def _matrix_in(start: bytes) -> tuple[int, bytes]:
    return struct.unpack_from("<I", start)[0], start[8:]


def _numbers(head: bytes) -> tuple[str, tuple[int, ...], str, int] | None:
    """(name, shape, type, where its values' tag is) of a matrix; None for one of no numbers."""
    flags, at = _part(head, 0, UINT32)
    shape, at = _part(head, at, INT32)
    name, at = _part(head, at, INT8)
    if len(flags) != 8:
        raise _BadFileError
    kind = CLASSES.get(flags[0])
    if kind is None or flags[1] & COMPLEX:
        return None
    return name.decode("ascii"), struct.unpack(f"<{len(shape) // 4}i", shape), kind, at


def _part(data: bytes, at: int, wanted: int | None = None) -> tuple[bytes, int]:
    """The bytes of a part, and where the next one begins."""
    kind, start, size = _tag(data, at)
    if kind != wanted or start + size > len(data):
        raise _BadFileError
    return data[start:start + size], start + (4 if start == at + 4 else -(-size // 8) * 8)


def _tag(data: bytes, at: int) -> tuple[int, int, int]:
    """(type, where it begins, bytes) of a part; one of up to 4 bytes lies in its tag."""
    kind, size = struct.unpack_from("<II", data, at)
    return (kind & 0xFFFF, at + 4, kind >> 16) if kind >> 16 else (kind, at + 8, size)


def values_of(array: Numbers, file: str) -> np.ndarray:
    """The array itself. Raises UserError for damage and for sizes beyond the limits."""
    limits, count = current_limits(), math.prod(array.shape)
    most = min(limits.unpacked_bytes, max(limits.ratio_floor, limits.ratio * len(array.data)))
    damaged = UserError(f"{file}: its array {array.name} is damaged or cut off. {AGAIN}")
    if min(array.shape, default=0) < 0:
        raise damaged
    if count * np.dtype(array.kind).itemsize > most:
        raise UserError(f"{file}: its array {array.name} would take {count:,} numbers, which is "
                        "too large for the file or for memory. Save it as .npy.")
    data, at = array.data, array.at
    if array.is_compressed:
        try:
            unpacker = zlib.decompressobj()
            data, at = memoryview(unpacker.decompress(data, most + LONGEST_HEAD)), at + 8
        except zlib.error as error:
            raise damaged from error
    try:
        kind, start, size = _tag(data, at)
    except struct.error as error:
        raise damaged from error
    stored = STORED.get(kind)
    if stored is None or start + size > len(data) or size != count * np.dtype(stored).itemsize:
        raise damaged
    values = np.frombuffer(data[start:start + size], f"<{stored}")
    return values.astype(f"<{array.kind}", copy=False).reshape(array.shape, order="F")
