"""What is looked at in a zip's directory before anything of it is unpacked.

Layout: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

import io
import re
import stat
import struct
import zipfile
from collections.abc import Sequence
from typing import BinaryIO

from core.errors import UserError
from core.files.limits import Limits

END, END64_LOCATOR, END64 = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
LOCAL_HEADER = struct.Struct("<4s5H3I2H")
LONGEST_NAME, DEEPEST_NAME = 300, 24
AGAIN = "It may be cut off or damaged: copy or download it again."
LINK = "is a link or a special file"
TWICE = "appears twice, a duplicate entry"
# Numbers of APPNOTE 4.4.5 that other programs write.
COMPRESSIONS = {9: "Deflate64", 12: "BZIP2", 14: "LZMA", 93: "Zstandard", 95: "XZ", 98: "PPMd",
                99: "AES"}


def directory_end(file: BinaryIO, name: str, limits: Limits) -> int:
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


def attack(member: zipfile.ZipInfo, limits: Limits) -> str | None:
    """What no honest archive has, as the end of a sentence."""
    name = member.orig_filename.replace("\\", "/")
    if name.startswith("/") or ".." in name.split("/") or re.match("[A-Za-z]:", name):
        return "has a path that leads outside the archive"
    if "\0" in name:
        return "has an unsafe path, with a NUL"
    if member.file_size > max(limits.ratio_floor, limits.ratio * member.compress_size):
        return (f"is compressed like a bomb: it would expand from {member.compress_size:,} to "
                f"{member.file_size:,} bytes")
    return None


def obstacle(member: zipfile.ZipInfo) -> str | None:
    """Why one entry is not read, where that says nothing of the others; the end of a sentence."""
    name, kind = member.orig_filename, stat.S_IFMT(member.external_attr >> 16)
    if len(name) > LONGEST_NAME or name.replace("\\", "/").count("/") >= DEEPEST_NAME:
        return "has a path that is too long or too deep"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return LINK
    if member.flag_bits & 1:
        return "is encrypted; save the file without a password"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        known = COMPRESSIONS.get(member.compress_type, f"number {member.compress_type}")
        return f"uses a compression that is not supported ({known})"
    return None


def overlap(members: Sequence[zipfile.ZipInfo], end: int) -> bool:
    """Whether members share bytes with each other or with the directory."""
    starts = sorted((m.header_offset, LOCAL_HEADER.size + m.compress_size) for m in members)
    following = [*(start for start, _ in starts[1:]), end]
    return any(start + size > after
               for (start, size), after in zip(starts, following, strict=False))
