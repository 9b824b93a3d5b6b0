"""Protobuf's wire format, as far as ONNX files use it, over bytes that are not copied.

https://protobuf.dev/programming-guides/encoding. The `onnx` package would parse hostile bytes in
native code, copy every weight and open other files on its own; these lines do none of that.
"""

from collections.abc import Iterator

import numpy as np

MOST_FIELDS = 3_000_000  # of a file; the largest real network that was met has 200,000
FIXED = {1: 8, 5: 4}  # wire type -> bytes

Message = dict[str, list]


class Wire:
    """Reads messages of one file; the number of fields is bounded over all of them."""

    def __init__(self) -> None:
        self.fields_left = MOST_FIELDS

    def message(self, data: memoryview, names: dict[int, str]) -> Message:
        """The values of each named field, in order: whole numbers, or bytes of anything else.

        Raises ValueError where the bytes end early or are no protobuf.
        """
        found: Message = {name: [] for name in names.values()}
        for field, value in self._fields(data):
            if field in names:
                found[names[field]].append(value)
        return found

    def _fields(self, data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        place, end = 0, len(data)
        while place < end:
            self.fields_left -= 1
            if self.fields_left < 0:
                raise ValueError(f"it has more than {MOST_FIELDS:,} fields, the limit")
            tag, place = _varint(data, place)
            kind = tag & 7
            if kind == 0:
                value, place = _varint(data, place)
                yield tag >> 3, value
                continue
            length = FIXED.get(kind)
            if kind == 2:
                length, place = _varint(data, place)
            if length is None or place + length > end:
                raise ValueError("a field reaches outside the file, which is truncated or damaged")
            yield tag >> 3, data[place:place + length]
            place += length


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """A number and where the next field begins."""
    number = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise ValueError("it ends in the middle of a number, it is truncated or damaged")
        byte = data[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & 0xFFFF_FFFF_FFFF_FFFF, place
    raise ValueError("a number has more than 64 bits, the file is damaged")


def signed(number: int) -> int:
    """A varint as int64, which negative numbers are stored as."""
    return number - (1 << 64) if number >= 1 << 63 else number


def text(data: memoryview | int) -> str:
    """A string field; what is no UTF-8 is replaced."""
    return bytes(data).decode("utf-8", "replace") if isinstance(data, memoryview) else str(data)


def numbers(values: list[int | memoryview]) -> np.ndarray:
    """Repeated whole numbers as int64, packed or not."""
    parts = [_packed(value) if isinstance(value, memoryview)
             else np.array([signed(value)], np.int64) for value in values]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _packed(data: memoryview) -> np.ndarray:
    """Varints one after the other, decoded together."""
    octets = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(octets < 0x80)
    if len(octets) and (not len(ends) or ends[-1] != len(octets) - 1):
        raise ValueError("packed numbers end early, the file is damaged")
    starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64)[:len(ends)]
    lengths = ends - starts + 1
    result = np.zeros(len(ends), np.uint64)
    for nth in range(min(int(lengths.max(initial=0)), 10)):
        longer = lengths > nth
        bits = (octets[starts[longer] + nth] & 0x7F).astype(np.uint64)
        result[longer] |= bits << np.uint64(7 * nth)
    return result.view(np.int64)


def floats(values: list[int | memoryview], dtype: str = "<f4") -> np.ndarray:
    """Repeated floating numbers, packed or not."""
    data = b"".join(bytes(value) for value in values if isinstance(value, memoryview))
    if len(data) % np.dtype(dtype).itemsize:
        raise ValueError("packed numbers end early, the file is damaged")
    return np.frombuffer(bytearray(data), dtype)
