"""A file's bytes without reading them into memory."""

import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO

from core import store
from core.errors import UserError
from core.files.cache_space import counts
from core.files.file_span import FileSpan

FEW = 1 << 20  # bytes that are read even where only an outline is wanted
HEAD = 8  # bytes before a header, which is read whatever its length
LONGEST_HEAD = 32 << 20
WIDEST = 8  # bytes of one number, which its place in memory is a multiple of
_outlined: ContextVar[list["FileMap"] | None] = ContextVar("outlined", default=None)


class FileMap:
    """A private map of a copy of a file that has no name: pages are read when touched.

    The copy lies on disk and goes with the map. A file that is overwritten while it is mapped
    takes the whole process with it, and training runs do overwrite their checkpoints.
    """

    def __init__(self, path: Path) -> None:
        self._name, self._file = path.name, None
        try:
            with path.open("rb") as file:
                if (outlined := _outlined.get()) is None:
                    self._map = _of_copy(file)
                else:
                    self._file = os.fdopen(os.dup(file.fileno()), "rb", buffering=0)
                    self._map = mmap.mmap(-1, path.stat().st_size, access=mmap.ACCESS_COPY)
                    outlined.append(self)
        except OSError as error:
            raise UserError(
                f"{path.name} could not be read ({error.strerror}). Opening it needs as much "
                "room on disk as the file has; NETLENS_CACHE says where."
            ) from error
        if self._file is None:
            counts(self._map, len(self._map))
        self._bytes = memoryview(self._map)

    def __len__(self) -> int:
        return len(self._bytes)

    def view(self, offset: int, length: int) -> memoryview:
        """The bytes from `offset` on, fewer at the end of the file; of an outline zeros, where they
        are many and not at its head."""
        found = self._bytes[offset : offset + length]
        if self._file is not None and (len(found) <= FEW or offset <= HEAD):
            self._read(offset, found)
        return found

    def numbers(self, offset: int, length: int) -> memoryview:
        """The bytes of a tensor from `offset` on; of an outline zeros, where they are many."""
        if self._file is None or length <= FEW:
            return self.view(offset, length)
        return self._bytes[offset - offset % WIDEST:][:length]

    def _read(self, offset: int, into: memoryview) -> None:
        if len(into) > LONGEST_HEAD:
            raise UserError(f"{self._name} has no outline: it has to be read as a whole.")
        self._file.seek(offset)
        done = 0
        while done < len(into) and (count := self._file.readinto(into[done:])):
            done += count

    def forget(self) -> None:
        """Gives back the memory of pages that were only read; call before any write."""
        if hasattr(mmap, "MADV_DONTNEED") and self._file is None:
            self._map.madvise(mmap.MADV_DONTNEED)

    def span(self) -> FileSpan:
        """All bytes of an outline, to be looked through."""
        return FileSpan(self._file, 0, len(self), self.numbers)


@contextmanager
def looked_through(path: Path) -> Iterator[FileSpan]:
    """A file whose parts may lie anywhere, as protobuf has them: read as they are looked at. A map
    would not spare a copy of them, as tensors need a place in memory that suits their type."""
    if outlined():
        yield FileMap(path).span()
        return
    try:
        with path.open("rb", buffering=0) as file:
            yield FileSpan(file, 0, path.stat().st_size)
    except OSError as error:
        raise UserError(f"{path.name} could not be read ({error.strerror}).") from error


@contextmanager
def outlines() -> Iterator[list[FileMap]]:
    """Inside it a map of a file has its header and what is small, and zeros for the rest, whose
    pages cost neither time nor memory. Gives the maps that were made so."""
    made: list[FileMap] = []
    token = _outlined.set(made)
    try:
        yield made
    finally:
        _outlined.reset(token)


def outlined() -> bool:
    """Whether this runs inside `outlines`, so that large tensors are zeros."""
    return _outlined.get() is not None


def _of_copy(file: BinaryIO) -> mmap.mmap:
    with tempfile.TemporaryFile(dir=store.scratch()) as copy:
        if not _copied_by_the_system(file, copy):
            shutil.copyfileobj(file, copy, 1 << 20)
            copy.flush()
        return mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_COPY)


def _copied_by_the_system(file: BinaryIO, copy: BinaryIO) -> bool:
    """Whether it could: some file systems then only note that both have the same blocks."""
    if not hasattr(os, "copy_file_range"):
        return False
    try:
        at, size = 0, os.fstat(file.fileno()).st_size
        while at < size and (count := os.copy_file_range(
                file.fileno(), copy.fileno(), size - at, at, at)):
            at += count
    except OSError:  # of two disks, or of a system that has no such thing: copied by hand
        copy.truncate(0)
        return False
    return at == size > 0
