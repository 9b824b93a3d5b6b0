"""The files of a tar, read in place; nothing of it is written under a name of its own."""

import bz2
import gzip
import lzma
import os
import tarfile
import tempfile
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from core import store
from core.dataset_files.file_sources import PICTURES_AN_ARCHIVE, is_kept
from core.dataset_files.zip_checks import LINK
from core.errors import UserError
from core.files.cache_space import counts
from core.files.limits import MB, current_limits
from core.files.text_of_files import as_text, shown

PACKED = GZIP, BZIP2, XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
EXTRA = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME,
         tarfile.GNUTYPE_LONGLINK)
MOST_FILES = 5_000_000
MOST_MEMORY = 256 * MB  # to unpack xz, whose header says how much; `xz -9` needs 65 MB
DAMAGE = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)


class _Member(tarfile.TarInfo):
    """An entry whose long names and other extra headers are read into memory, so bounded."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:  # tarfile's hook for this
        if self.type in EXTRA and self.size > MB:
            raise tarfile.ReadError(f"an extra header of {self.size:,} bytes")
        return super()._proc_member(tar)


class Tarred:
    """The regular files of a tar, plain or packed by one of PACKED; `unreadable` lists the rest.

    A packed one is unpacked, as a whole, into a nameless file of the cache folder.
    """

    def __init__(self, path: Path) -> None:
        self.title = path.name
        self.unreadable: list[tuple[str, str]] = []
        self._file = _plain_tar(path)
        self._length = os.fstat(self._file.fileno()).st_size
        self._reading = threading.Lock()
        self._places: dict[str, tuple[int, int]] = {}
        try:
            with tarfile.open(fileobj=self._file, mode="r:", tarinfo=_Member) as tar:
                while (member := tar.next()) is not None:
                    self._add(member)
                    tar.members.clear()  # which tarfile keeps, a kilobyte each
        except (tarfile.TarError, OSError, ValueError, OverflowError, EOFError) as error:
            raise UserError(f"{self.title}: the tar is damaged or cut off ({shown(error, 100)}). "
                            "Copy or download it again.") from error
        self._names = sorted(self._places)
        self.skipped, self.closed = sum(reason == LINK for _, reason in self.unreadable), ()

    def _add(self, member: tarfile.TarInfo) -> None:
        name = _plain_name(member.name)
        if name.startswith("/") or ".." in name.split("/") or "\0" in name or name[1:2] == ":":
            raise UserError(f"{self.title}: the tar has a path that leads outside of it, "
                            f"{shown(name)}. Nothing was unpacked. Pack the data again.")
        if member.isdir() or not is_kept(name):
            return
        if len(self._places) + len(self.unreadable) >= MOST_FILES:
            raise UserError(f"{self.title} holds more than {MOST_FILES:,} files. Pack fewer.")
        if member.islnk() and (place := self._places.get(_plain_name(member.linkname))):
            self._places[name] = place  # another name of a file before it
            return
        if not member.isreg() or member.sparse is not None:
            self.unreadable.append((name, "is a file with holes" if member.sparse else LINK))
            return
        if member.offset_data + member.size > self._length:
            raise UserError(f"{self.title}: the tar ends inside {shown(name)}; it is truncated. "
                            "Copy or download it again.")
        self._places[name] = (member.offset_data, member.size)

    def names(self) -> list[str]:
        return list(self._names)

    def size(self, name: str) -> int:
        return self._places[name][1]

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def read(self, name: str, limit: int) -> bytes:
        if self._places[name][1] > limit:
            raise UserError(f"{name} is larger than {limit / MB:,.0f} MB. Save it smaller.")
        return self.start(name, limit)

    def start(self, name: str, count: int) -> bytes:
        offset, size = self._places[name]
        try:
            with self._reading:
                self._file.seek(offset)
                return self._file.read(min(size, count))
        except OSError as error:
            raise UserError(f"{name} could not be read ({error.strerror}). "
                            "Choose the data set again if files were moved.") from error

    def view(self, name: str) -> memoryview:
        return memoryview(self.start(name, self.size(name)))


def _plain_name(name: str) -> str:
    return as_text(name.replace("\\", "/").removeprefix("./"))


def _plain_tar(path: Path) -> BinaryIO:
    """The tar itself, or what a packed one expands to; gone when nobody reads it any more."""
    try:
        tar = path.open("rb")
        if tar.read(6).startswith(PACKED):
            tar.close()
            tar = tempfile.TemporaryFile(dir=store.scratch())  # noqa: SIM115 - it outlives this call
            for part in _unpacked(path):
                tar.write(part)
            counts(tar, tar.tell())
        tar.seek(0)
    except OSError as error:
        raise UserError(f"{path.name} could not be unpacked ({error.strerror}). It needs room in "
                        "the cache folder; NETLENS_CACHE says where that is.") from error
    return tar


def _unpacked(path: Path) -> Iterator[bytes]:
    """The contents of a packed file in parts, under the limits of archives."""
    limits, packed, size = current_limits(), path.stat().st_size, 0
    most = min(limits.unpacked_bytes * PICTURES_AN_ARCHIVE,
               max(limits.ratio_floor, limits.ratio * packed))
    try:
        for part in _parts(path):
            size += len(part)
            if size > most:
                raise UserError(f"{path.name} is compressed like a bomb: {packed:,} bytes would "
                                f"expand beyond the limit of {most:,}.")
            yield part
    except DAMAGE as error:
        raise UserError(f"{path.name}: the packed file is damaged or cut off ({error}). "
                        "Copy or download it again.") from error


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        start = file.read(6)
        file.seek(0)
        if start.startswith(XZ):
            yield from _of_xz(file)
            return
        with (gzip if start.startswith(GZIP) else bz2).open(file) as stream:
            yield from iter(lambda: stream.read(MB), b"")


def _of_xz(file: BinaryIO) -> Iterator[bytes]:
    """What lzma.open gives, which would take as much memory as the file says."""
    given = file.read(MB)
    while given:  # one stream after another
        stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, MOST_MEMORY)
        while not stream.eof:
            yield stream.decompress(given, MB)
            given = file.read(MB) if stream.needs_input else b""
            if stream.needs_input and not given:
                raise EOFError("it ends before its end mark")
        given = stream.unused_data.lstrip(b"\0") or file.read(MB).lstrip(b"\0")
