"""Bytes of a file that are looked at like a memoryview, and read only where they are looked at."""

from collections.abc import Callable
from typing import BinaryIO

BLOCK = 1 << 12  # bytes that are read at once; slices of no more are plain memoryviews


class FileSpan:
    """Of gigabytes of weights only the few bytes around them are read. What is cut from the file
    meanwhile reads as damage.

    numbers: gives `content`, from the place of the first byte and their count.
    """

    def __init__(self, file: BinaryIO, start: int, stop: int,
                 numbers: Callable[[int, int], memoryview] | None = None) -> None:
        self._file, self._start, self._stop = file, start, stop
        self._numbers = numbers or self._read
        self._block, self._place = memoryview(b""), start

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, which: int | slice) -> "int | memoryview | FileSpan":
        if not isinstance(which, slice):
            return self._looked_at(self._start + which, 1)[0]
        start, stop, _ = which.indices(len(self))
        length = max(0, stop - start)
        if length <= BLOCK:
            return self._looked_at(self._start + start, length)
        return FileSpan(self._file, self._start + start, self._start + stop, self._numbers)

    def __bytes__(self) -> bytes:
        return bytes(self.read())

    def read(self) -> memoryview:
        """The bytes as they are in the file, however many."""
        return self._read(self._start, len(self))

    def content(self) -> memoryview:
        """The bytes as those of a tensor, aligned: of an outline zeros, where they are many."""
        return self._numbers(self._start, len(self))

    def _looked_at(self, place: int, length: int) -> memoryview:
        begin = place - self._place
        if not 0 <= begin <= begin + length <= len(self._block):
            self._block, self._place, begin = self._read(place, BLOCK), place, 0
            if len(self._block) < length:
                raise ValueError("the file ends early, it was cut")
        return self._block[begin:begin + length]

    def _read(self, place: int, most: int) -> memoryview:
        into = memoryview(bytearray(most))
        self._file.seek(place)
        done = 0
        while done < most and (count := self._file.readinto(into[done:])):
            done += count
        return into[:done]


Data = memoryview | FileSpan


def content_of(data: Data) -> memoryview:
    """The bytes of a tensor, see FileSpan.content."""
    return data.content() if isinstance(data, FileSpan) else data


def read_of(data: Data) -> memoryview:
    """The bytes as they are in the file, however many."""
    return data.read() if isinstance(data, FileSpan) else data
