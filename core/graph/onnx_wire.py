"""Protobuf's wire format, as far as ONNX files use it, over bytes that are not copied.

https://protobuf.dev/programming-guides/encoding. The `onnx` package would parse hostile bytes in
native code, copy every weight and open other files on its own; these lines do none of that.
"""

from collections.abc import Callable, Iterator
from itertools import groupby

import numpy as np

from core.errors import UserError
from core.files.file_span import Data, read_of
from core.files.limits import current_limits

STATE_DICT = "Save the network's state dict."
MOST_FIELDS = 1_000_000  # of a file; the largest real network that was met has 200,000
FIXED = {1: 8, 5: 4}  # wire type -> bytes
PIECE = 1 << 18  # bytes that are decoded together
# Which fields hold one whole number, and which hold many, each by itself or packed.
WHOLE = frozenset(["ir", "version", "i", "type", "element", "size", "location"])
SEVERAL = frozenset(["dims", "ints", "int32s", "int64s", "uint64s"])

Message = dict[str, list]


class Wire:
    """Reads messages of one file; fields and text are bounded over all of them."""

    def __init__(self) -> None:
        self.fields_left = MOST_FIELDS
        self.text_left = current_limits().header_bytes

    def message(self, data: Data, names: dict[int, str]) -> Message:
        """The values of each named field, in order: whole numbers, or bytes of anything else.

        Raises ValueError where the bytes end early or are no protobuf.
        """
        found: Message = {name: [] for name in names.values()}
        for field, value in self._fields(data):
            if (name := names.get(field)) is None:
                continue
            if name not in SEVERAL and isinstance(value, int) != (name in WHOLE):
                raise ValueError("a field is of another kind than it should be, it is damaged")
            found[name].append(value)
        return found

    def text(self, data: Data) -> str:
        """A string field; what is no UTF-8 is replaced."""
        self.text_left -= len(data)
        if self.text_left < 0:
            limit = current_limits().header_bytes
            raise UserError(f"its names and texts are too large, the limit is {limit:,} bytes. "
                            f"{STATE_DICT}")
        return bytes(data).decode("utf-8", "replace")

    def _fields(self, data: Data) -> Iterator[tuple[int, int | Data]]:
        place, end = 0, len(data)
        while place < end:
            self.fields_left -= 1
            if self.fields_left < 0:
                raise UserError(f"it has more than {MOST_FIELDS:,} fields, the limit. {STATE_DICT}")
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


def _varint(data: Data, place: int) -> tuple[int, int]:
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


def numbers(values: list[int | Data], most: int, dtype: type = np.int64) -> np.ndarray:
    """Repeated whole numbers, packed or not. Raises ValueError where they are more than `most`."""
    most = min(most, sum(1 if isinstance(value, int) else len(value) for value in values))
    found, count = np.empty(most, dtype), 0
    for piece in _pieces(values):
        if count + len(piece) > most:
            raise ValueError(f"a list has more than {most:,} numbers, too large for its place")
        found[count:count + len(piece)] = piece.astype(dtype)
        count += len(piece)
    return found[:count]


def _pieces(values: list[int | Data]) -> Iterator[np.ndarray]:
    for kind, group in groupby(values, type):
        if kind is int:
            yield np.array([signed(number) for number in group], np.int64)
            continue
        for data in group:
            octets, place = np.frombuffer(read_of(data), np.uint8), 0
            while place < len(octets):
                ends = np.flatnonzero(octets[place:place + PIECE] < 0x80)
                if not len(ends):
                    raise ValueError("packed numbers end early, it is damaged")
                end = place + int(ends[-1]) + 1
                yield _unpacked(octets[place:end], ends)
                place = end


def _unpacked(octets: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Varints one after the other, decoded together. ends: where each one's last byte is."""
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    found = np.zeros(len(ends), np.uint64)
    for nth in range(min(int(lengths.max()), 10)):
        longer = lengths > nth
        bits = (octets[starts[longer] + nth] & 0x7F).astype(np.uint64)
        found[longer] |= bits << np.uint64(7 * nth)
    return found.view(np.int64)


def single(values: list[Data]) -> float:
    """The last of a field's floating numbers, 0 where there is none."""
    if not values:
        return 0.0
    if len(values[-1]) != 4:
        raise ValueError("a floating number has not four bytes, it is damaged")
    return float(np.frombuffer(values[-1], "<f4")[0])


def floats(values: list[Data], most: int, dtype: str = "<f4",
           read: Callable[[Data], memoryview] = read_of) -> np.ndarray:
    """Repeated floating numbers, packed or not; not copied where they are one piece."""
    size = np.dtype(dtype).itemsize
    if any(len(value) % size for value in values):
        raise ValueError("packed numbers end early, it is damaged")
    if sum(map(len, values)) > most * size:
        raise ValueError(f"a list has more than {most:,} numbers, too large for its place")
    data = read(values[0]) if len(values) == 1 else bytearray().join(map(read, values))
    return np.require(np.frombuffer(data, dtype), requirements="A")
