"""A file's bytes without reading them."""

import mmap
from pathlib import Path


class FileMap:
    """A private map of a file: pages are read when touched, and a write stays in this memory."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self._bytes = memoryview(self._map)

    def __len__(self) -> int:
        return len(self._bytes)

    def view(self, offset: int, length: int) -> memoryview:
        """The bytes from `offset` on, fewer at the end of the file."""
        return self._bytes[offset:offset + length]

    def forget(self) -> None:
        """Gives back the memory of pages that were only read; call before any write."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
