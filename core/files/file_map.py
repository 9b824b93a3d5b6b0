"""A file's bytes without reading them into memory."""

import mmap
import shutil
import tempfile
from pathlib import Path

from core import store
from core.errors import UserError
from core.files.cache_space import counts


class FileMap:
    """A private map of a copy of a file that has no name: pages are read when touched.

    The copy lies on disk and goes with the map. A file that is overwritten while it is mapped
    takes the whole process with it, and training runs do overwrite their checkpoints.
    """

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file, tempfile.TemporaryFile(dir=store.scratch()) as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
                copy.flush()
                self._map = mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_COPY)
        except OSError as error:
            raise UserError(
                f"{path.name} could not be read ({error.strerror}). Opening it needs as much "
                "room on disk as the file has; NETLENS_CACHE says where."
            ) from error
        counts(self._map, len(self._map))
        self._bytes = memoryview(self._map)

    def __len__(self) -> int:
        return len(self._bytes)

    def view(self, offset: int, length: int) -> memoryview:
        """The bytes from `offset` on, fewer at the end of the file."""
        return self._bytes[offset : offset + length]

    def forget(self) -> None:
        """Gives back the memory of pages that were only read; call before any write."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
