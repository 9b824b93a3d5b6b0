"""Zip archives that nobody vouches for: measured by their directory before any is unpacked."""

import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Self

from core.dataset_files.zip_checks import (
    AGAIN,
    LOCAL_HEADER,
    TWICE,
    attack,
    directory_end,
    obstacle,
    overlap,
)
from core.errors import UserError
from core.files.file_map import FileMap
from core.files.limits import MB, OWN, Limits, current_limits
from core.files.text_of_files import shown

UNTOUCHED = "It was not unpacked. Save the file again with the program that made it."
DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError,
          OSError)


def member_names(path: Path) -> frozenset[str]:
    """The names in a zip without its one top folder, to tell what kind of file it is; none where
    the file is no zip or a damaged one. Checks nothing: what is opened goes through Archive."""
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return frozenset()
        try:
            directory_end(file, path.name, OWN)  # Archive says what is too much
            names = [member.filename for member in zipfile.ZipFile(file).infolist()]
        except (*DAMAGE, UserError):
            return frozenset()
    top = _top_folder(names)
    return frozenset(name.removeprefix(top) for name in names)


class Archive:
    """A zip whose members are read with limits; the one top folder of torch files is taken off.

    Raises UserError for what an honest archive does not have: names that lead outside, overlapping
    members, sizes far above the bytes that are stored; and for a member that cannot be read as it
    is (links, encryption, repeated names), unless `partly`: then `unreadable` says which were left
    out and why, and backslashes are taken for the slashes that they stand for.
    """

    def __init__(self, path_or_file: Path | BinaryIO, name: str, limits: Limits | None = None,
                 partly: bool = False) -> None:
        self.name = name
        self.limits = limits or current_limits()
        self._file = path_or_file.open("rb") if isinstance(path_or_file, Path) else path_or_file
        self._path = path_or_file if isinstance(path_or_file, Path) else None
        self._map: FileMap | None = None
        self._end = directory_end(self._file, name, self.limits)
        try:
            self._zip = zipfile.ZipFile(self._file)
        except DAMAGE as error:
            raise self._refusal(f"the zip's directory cannot be read ({error})", AGAIN) from error
        self._check(members := self._zip.infolist())
        named, left_out = self._told_apart(members, partly)
        top = _top_folder([*named])
        self._members = {name.removeprefix(top): member for name, member in named.items()
                         if not name.endswith("/")}
        self.unreadable = [(name.removeprefix(top), reason) for name, reason in left_out]

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

    def _check(self, members: list[zipfile.ZipInfo]) -> None:
        for member in members:
            if problem := attack(member, self.limits):
                raise self._refusal(f"its member {shown(member.filename)} {problem}", UNTOUCHED)
        total = sum(member.file_size for member in members)
        if total > self.limits.unpacked_bytes:
            raise self._refusal(f"it would expand to {total / MB:,.0f} MB, the limit is "
                                f"{self.limits.unpacked_bytes / MB:,.0f} MB", UNTOUCHED)
        if overlap(members, self._end):
            raise self._refusal("its members overlap, a known way to build compression bombs",
                                UNTOUCHED)

    def _told_apart(self, members: list[zipfile.ZipInfo], partly: bool
                    ) -> tuple[dict[str, zipfile.ZipInfo], list[tuple[str, str]]]:
        """What can be read, by name, and (name, reason) of the rest, which is refused unless
        `partly`; of one name twice the last is read, as programs that unpack leave it."""
        named: dict[str, zipfile.ZipInfo] = {}
        left_out: list[tuple[str, str]] = []
        for member in members:
            name, problem = member.orig_filename, obstacle(member)
            if partly:
                name = name.replace("\\", "/")
            elif "\\" in name:
                problem = "has an unsafe path, with a backslash"
            if not problem and name in named:
                problem = TWICE
            if problem and not partly:
                raise self._refusal(f"its member {shown(name)} {problem}", UNTOUCHED)
            if problem:
                left_out.append((name, problem))
            if problem in (None, TWICE):
                named[name] = member
        return named, left_out


def _top_folder(names: list[str]) -> str:
    tops = {name.split("/")[0] if "/" in name else "" for name in names}
    return f"{tops.pop()}/" if len(tops) == 1 and "" not in tops else ""
