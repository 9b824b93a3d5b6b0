"""Where the files of a data set lie: a folder or a zip, read in place and by name."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from core.errors import UserError, cannot_be_read
from core.files.file_map import FileMap
from core.files.limits import MB
from core.files.text_of_files import as_text

DEEPEST = 10  # folders inside a folder
SCANS_KEPT = 8
SMALL = 64 * MB  # files up to this are read into memory
PICTURES_AN_ARCHIVE = 50  # times the members and bytes that a model's archive may have
JUNK = ("thumbs.db", "desktop.ini")
UNREAD = {  # kinds of pictures that are not read, by their endings
    "heic": "HEIC", "heif": "HEIC", "avif": "AVIF", "jxl": "JPEG XL", "jp2": "JPEG 2000",
    "j2k": "JPEG 2000", "svg": "SVG", "psd": "PSD", "exr": "EXR", "hdr": "HDR", "dcm": "DICOM",
    "dicom": "DICOM", "nii": "NIfTI", "cr2": "camera raw", "cr3": "camera raw",
    "nef": "camera raw", "arw": "camera raw", "dng": "camera raw", "raw": "camera raw",
    "tga": "TGA", "ico": "ICO", "icns": "ICNS", "pcx": "PCX", "dds": "DDS", "qoi": "QOI",
    "pbm": "PBM", "pnm": "PNM", "jfif": "JFIF"}


class Source(Protocol):
    """Named files; names are relative, with '/'. Safe to read from many threads."""

    title: str
    skipped: int  # links and special files, which are never followed
    closed: Sequence[str]  # folders that this account may not read

    def names(self) -> list[str]:
        """All regular files in the order of their names, without hidden ones and litter."""

    def __contains__(self, name: str) -> bool: ...

    def size(self, name: str) -> int:
        """Bytes of a file once unpacked, 0 where it is gone."""

    def read(self, name: str, limit: int) -> bytes:
        """A file's bytes. Raises UserError above `limit` bytes, or where it cannot be read."""

    def start(self, name: str, count: int) -> bytes:
        """The first bytes of a file, fewer where it is shorter."""

    def view(self, name: str) -> memoryview:
        """A file's bytes, which lie on disk rather than in memory where that is possible."""


class Folder:
    """The files of a folder and of those below it; symbolic links are not followed."""

    def __init__(self, path: Path) -> None:
        self.path, self.title = path, as_text(path.name)
        self._odd: dict[str, str] = {}

    def names(self) -> list[str]:
        found = _scan(os.fspath(self.path))
        self._odd = found.odd
        return found.names.split("\0") if found.names else []

    def _place(self, name: str) -> str:
        return os.path.join(self.path, self._odd.get(name, name))

    @property
    def skipped(self) -> int:
        return _scan(os.fspath(self.path)).skipped

    @property
    def closed(self) -> Sequence[str]:
        return _scan(os.fspath(self.path)).closed

    def stamp(self, name: str) -> tuple[int, int]:
        """(bytes, time of change in ns), zeros where the file is gone."""
        try:
            stat = os.stat(self._place(name), follow_symlinks=False)
        except OSError:
            return 0, 0
        return stat.st_size, stat.st_mtime_ns

    def size(self, name: str) -> int:
        return self.stamp(name)[0]

    def __contains__(self, name: str) -> bool:
        place = Path(self._place(name))
        inside = place.resolve().is_relative_to(self.path.resolve())
        return inside and place.is_file() and not place.is_symlink()

    def read(self, name: str, limit: int) -> bytes:
        content = self.start(name, limit + 1)
        if len(content) > limit:
            raise UserError(f"{name} is larger than {limit / MB:,.0f} MB. Save it smaller.")
        return content

    def start(self, name: str, count: int) -> bytes:
        try:
            with open(self._place(name), "rb", buffering=0) as file:
                return file.read(min(count, os.fstat(file.fileno()).st_size))
        except OSError as error:
            raise cannot_be_read(name, error) from error

    def view(self, name: str) -> memoryview:
        if self.size(name) <= SMALL:
            return memoryview(self.read(name, SMALL))
        found = FileMap(Path(self._place(name)))
        return found.view(0, len(found))


@dataclass
class _Scan:
    """What lies below a folder. times: when each folder changed; names: one text, which takes a
    tenth of a list's memory, divided by what no name may hold; odd: the real names of those that
    are no UTF-8."""

    times: dict[str, int] = field(default_factory=dict)
    names: str = ""
    odd: dict[str, str] = field(default_factory=dict)
    skipped: int = 0
    closed: list[str] = field(default_factory=list)


_scanned: dict[str, _Scan] = {}  # by folder


def _scan(folder: str) -> _Scan:
    """What lies below a folder, looked for anew when a folder in it changed."""
    found = _scanned.get(folder)
    if not found or any(_changed(place) != time for place, time in found.times.items()):
        found = _Scan()
        found.names = "\0".join(sorted(_named(name, found)
                                       for name in _walk(folder, "", DEEPEST, found)))
        while len(_scanned) >= SCANS_KEPT:
            _scanned.pop(next(iter(_scanned)), None)
        _scanned[folder] = found
    return found


def _named(name: str, scan: _Scan) -> str:
    if (text := as_text(name)) != name:
        scan.odd[text] = name
    return text


def _changed(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


def _walk(folder: str, prefix: str, depth: int, scan: _Scan) -> Iterator[str]:
    """Names of files; `scan` receives each folder's time of change, read before its entries, how
    many links there are, and which folders are closed to this account."""
    scan.times[folder] = _changed(folder)
    try:
        entries = os.scandir(folder)
    except OSError:
        scan.closed.append(as_text(prefix.rstrip("/") or os.path.basename(folder)))
        return
    with entries:
        for entry in entries:
            name = entry.name
            if is_litter(name):
                continue
            if entry.is_dir(follow_symlinks=False):
                if depth:
                    yield from _walk(entry.path, f"{prefix}{name}/", depth - 1, scan)
            elif entry.is_file(follow_symlinks=False):
                yield prefix + name
            else:
                scan.skipped += 1


def skipped_note(source: Source) -> tuple[str, ...]:
    """What to say of links, special files, closed folders and pictures of other formats."""
    count, closed = source.skipped, source.closed
    words = "link or special file was" if count == 1 else "links or special files were"
    said = (f"{count:,} {words} skipped: links are not followed.",) if count else ()
    if closed:
        words = "folder was" if len(closed) == 1 else "folders were"
        said += (f"{len(closed):,} {words} left out, first {closed[0]}: this account may not read "
                 "it.",)
    others = [name for name in source.names() if name[name.rfind(".") + 1:].lower() in UNREAD]
    if not others:
        return said
    kinds = sorted({UNREAD[name[name.rfind(".") + 1:].lower()] for name in others})
    words = "picture is" if len(others) == 1 else "pictures are"
    return (*said, f"{len(others):,} {words} left out, first {others[0]}: {', '.join(kinds)} is "
                   "not read. Save them as PNG or JPEG.")


def is_litter(name: str) -> bool:
    """Whether an operating system or an editor left this file or folder, not a person."""
    return name.startswith((".", "__MACOSX")) or name.lower() in JUNK


def is_kept(name: str) -> bool:
    """Whether no part of a path is litter."""
    return not any(is_litter(part) for part in name.split("/"))
