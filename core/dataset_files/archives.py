"""Zip archives that nobody vouches for: measured from their directory before anything is unpacked.

Layout: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

import io
import re
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Self

from core.errors import UserError
from core.files.file_map import FileMap
from core.files.limits import MB, OWN, Limits, current_limits
from core.files.text_of_files import shown

END, END64_LOCATOR, END64 = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
LOCAL_HEADER = struct.Struct("<4s5H3I2H")
LONGEST_NAME, DEEPEST_NAME = 300, 24
UNTOUCHED = "It was not unpacked. Save the file again with the program that made it."
AGAIN = "It may be cut off or damaged: copy or download it again."
DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError,
          OSError)


def member_names(path: Path) -> frozenset[str]:
    """The names in a zip without its one top folder, to tell what kind of file it is; none where
    the file is no zip or a damaged one. Checks nothing: what is opened goes through Archive."""
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return frozenset()
        try:
            _check_end(file, path.name, OWN)  # Archive says what is too much
            names = [member.filename for member in zipfile.ZipFile(file).infolist()]
        except (*DAMAGE, UserError):
            return frozenset()
    top = _top_folder(names)
    return frozenset(name.removeprefix(top) for name in names)


class Archive:
    """A zip whose members are read with limits; the one top folder of torch files is taken off.

    Raises UserError for what an honest archive does not have: names that lead outside, links,
    encryption, repeated names, overlapping members, sizes far above the bytes that are stored.
    """

    def __init__(self, path_or_file: Path | BinaryIO, name: str,
                 limits: Limits | None = None) -> None:
        self.name = name
        self.limits = limits or current_limits()
        self._file = path_or_file.open("rb") if isinstance(path_or_file, Path) else path_or_file
        self._path = path_or_file if isinstance(path_or_file, Path) else None
        self._map: FileMap | None = None
        self._end = _check_end(self._file, name, self.limits)
        try:
            self._zip = zipfile.ZipFile(self._file)
        except DAMAGE as error:
            raise self._refusal(f"the zip's directory cannot be read ({error})", AGAIN) from error
        members = self._zip.infolist()
        self._check_members(members)
        top = _top_folder([member.filename for member in members])
        self._members = {m.filename.removeprefix(top): m for m in members if not m.is_dir()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()  # what `view` gave keeps its own map

    def __contains__(self, name: str) -> bool:
        return name in self._members

    @property
    def names(self) -> list[str]:
        """The files, in the order of the directory, without the one top folder."""
        return list(self._members)

    def size(self, name: str) -> int:
        """Bytes of a member once unpacked."""
        return self._member(name).file_size

    def read(self, name: str, limit: int | None = None) -> bytes:
        """A member's bytes, its checksum checked. Raises UserError above `limit` bytes."""
        member = self._member(name)
        if limit is not None and member.file_size > limit:
            raise self._refusal(f"its member {shown(name)} has {member.file_size:,} bytes, "
                                f"the limit is {limit:,}", "Save less into one file.")
        try:
            with self._zip.open(member) as stream:
                data = stream.read(member.file_size + 1)  # a size in the directory can lie
        except (*DAMAGE, RuntimeError) as error:
            raise self._refusal(f"its member {shown(name)} is damaged ({error})", AGAIN) from error
        if len(data) != member.file_size:
            raise self._refusal(f"the size of its member {shown(name)} is not what the directory "
                                "says", AGAIN)
        return data

    def start(self, name: str, count: int) -> bytes:
        """The first bytes of a member, and no more of it unpacked; its checksum is not checked."""
        member = self._member(name)
        try:
            with self._zip.open(member) as stream:
                return stream.read(count)
        except (*DAMAGE, RuntimeError) as error:
            raise self._refusal(f"its member {shown(name)} is damaged ({error})", AGAIN) from error

    def span(self, name: str) -> tuple[int, int]:
        """(offset, length) in the file of a member that is stored as it is; its checksum is not
        checked. Raises UserError for a compressed member."""
        member = self._member(name)
        if member.compress_type != zipfile.ZIP_STORED:
            raise self._refusal(f"its member {shown(name)} is compressed",
                                "Save the file again uncompressed.")
        self._file.seek(member.header_offset)
        header = self._file.read(LOCAL_HEADER.size)
        if len(header) < LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
            raise self._refusal(f"its member {shown(name)} is not where the directory says", AGAIN)
        *_, name_length, extra_length = LOCAL_HEADER.unpack(header)
        offset = member.header_offset + LOCAL_HEADER.size + name_length + extra_length
        if member.file_size != member.compress_size or offset + member.file_size > self._end:
            raise self._refusal(f"the sizes of its member {shown(name)} do not agree", AGAIN)
        return offset, member.file_size

    def view(self, name: str) -> memoryview:
        """A member's bytes without reading them: a private map of the file (a write stays in
        memory) where the member is stored, else a copy."""
        if self._path is None or self._member(name).compress_type != zipfile.ZIP_STORED:
            return memoryview(bytearray(self.read(name)))
        self._map = self._map or FileMap(self._path)
        return self._map.view(*self.span(name))

    def forget(self) -> None:
        """Gives back the memory of what was only read through `view`; see FileMap.forget."""
        if self._map:
            self._map.forget()

    def _member(self, name: str) -> zipfile.ZipInfo:
        if name not in self._members:
            raise self._refusal(f"it has no member {shown(name)}", AGAIN)
        return self._members[name]

    def _refusal(self, reason: str, next_step: str) -> UserError:
        return UserError(f"{self.name}: {reason}. {next_step}")

    def _check_members(self, members: list[zipfile.ZipInfo]) -> None:
        seen: set[str] = set()
        for member in members:
            problem = _problem(member, self.limits)
            if member.filename in seen:
                problem = "appears twice, a duplicate entry"
            if problem:
                raise self._refusal(f"its member {shown(member.filename)} {problem}", UNTOUCHED)
            seen.add(member.filename)
        total = sum(member.file_size for member in members)
        if total > self.limits.unpacked_bytes:
            raise self._refusal(f"it would expand to {total / MB:,.0f} MB, the limit is "
                                f"{self.limits.unpacked_bytes / MB:,.0f} MB", UNTOUCHED)
        starts = sorted((m.header_offset, LOCAL_HEADER.size + m.compress_size) for m in members)
        following = [*(start for start, _ in starts[1:]), self._end]
        ends = (start + size for start, size in starts)
        if any(end > after for end, after in zip(ends, following, strict=False)):
            raise self._refusal("its members overlap, a known way to build compression bombs",
                                UNTOUCHED)


def _check_end(file: BinaryIO, name: str, limits: Limits) -> int:
    """Where the directory's end record lies, after checking how many members it announces."""
    start = max(0, file.seek(0, io.SEEK_END) - (1 << 16) - 128)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(END)
    if at < 0 or len(tail) - at < 22:
        raise UserError(f"{name}: the directory at the end of the zip is missing, the file is "
                        f"incomplete. {AGAIN}")
    count, size = struct.unpack_from("<HI", tail, at + 10)
    locator = tail[at - 20:at] if at >= 20 else b""
    if locator.startswith(END64_LOCATOR) and (count == 0xFFFF or size == 0xFFFFFFFF):
        file.seek(min(struct.unpack_from("<Q", locator, 8)[0], start + at))
        record = file.read(56)
        if len(record) < 56 or not record.startswith(END64):
            raise UserError(f"{name}: the zip's end record is damaged. {AGAIN}")
        count, size = struct.unpack_from("<QQ", record, 32)
    if count > limits.members or size > limits.members * 1024:
        raise UserError(f"{name}: the zip holds too many files ({count:,}, the limit is "
                        f"{limits.members:,}). Save fewer into one file.")
    return start + at


def _problem(member: zipfile.ZipInfo, limits: Limits) -> str | None:
    """What is wrong with one entry of the directory, as the end of a sentence."""
    name, mode = member.orig_filename, member.external_attr >> 16
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or re.match("[A-Za-z]:", name):
        return "has a path that leads outside the archive"
    if "\\" in name or "\0" in name:
        return "has an unsafe path, with a backslash or a NUL"
    if len(name) > LONGEST_NAME or len(parts) > DEEPEST_NAME:
        return "has a path that is too long or too deep"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a special file"
    if member.flag_bits & 1:
        return "is encrypted; save the file without a password"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"uses a compression that is not supported (number {member.compress_type})"
    if member.file_size > max(limits.ratio_floor, limits.ratio * member.compress_size):
        return (f"is compressed like a bomb: it would expand from {member.compress_size:,} to "
                f"{member.file_size:,} bytes")
    return None


def _top_folder(names: list[str]) -> str:
    tops = {name.split("/")[0] if "/" in name else "" for name in names}
    return f"{tops.pop()}/" if len(tops) == 1 and "" not in tops else ""
