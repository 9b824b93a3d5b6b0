"""Digests that change when files do, from names, sizes, times and both ends; little is read."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from core.dataset_files.file_sources import Folder
from core.errors import UserError

END = 1 << 16  # bytes read at the beginning and at the end
STAMPED = 2_000


def of_files(*paths: Path) -> str:
    """32 hexadecimal digits for files; ones that do not exist count as such."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}\0".encode("utf-8", "surrogateescape"))
        if not path.is_file():
            continue
        try:
            stat = path.stat()
            with path.open("rb") as file:
                digest.update(f"{stat.st_size}\0{stat.st_mtime_ns}\0".encode() + file.read(END))
                file.seek(max(0, stat.st_size - END))
                digest.update(file.read(END))
        except OSError as error:
            raise UserError(f"{path.name} could not be read ({error.strerror}). "
                            "Check that this account may read it.") from error
    return digest.hexdigest()[:32]


def of_folder(folder: Folder, names: Sequence[str], *more: str) -> str:
    """32 hexadecimal digits for files of a folder: all names, and sizes and times of change, of
    more than STAMPED files those of an even sample."""
    digest = hashlib.sha256("\n".join([*more, "", *names]).encode("utf-8", "surrogateescape"))
    step = -(-len(names) // STAMPED) or 1
    for name in names[::step]:
        digest.update("{}\0{}\n".format(*folder.stamp(name)).encode())
    return digest.hexdigest()[:32]
