"""Digests that change when files do, from names, sizes, times and both ends; little is read."""

import hashlib
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from core.dataset_files.file_sources import Folder
from core.errors import cannot_be_read

END = 1 << 16  # bytes read at the beginning and at the end
AT_ONCE = 2_000  # files of which sizes and times are looked at each time, at 5 µs a file
REMEMBERED = 20  # times as long as it took to look at more than that, it counts as current
FOLDERS_KEPT = 16
_stamped: dict[tuple[str, str], tuple[float, str]] = {}  # until when it counts, and the digest
_keeping = threading.Lock()


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
            raise cannot_be_read(path.name, error) from error
    return digest.hexdigest()[:32]


def of_folder(folder: Folder, names: Sequence[str], *more: str) -> str:
    """32 hexadecimal digits for files of a folder: their names, sizes and times of change.

    Of very many, looking takes at most a twentieth of the time: a file that is written anew in
    its place is seen some seconds later, one that comes or goes at once.
    """
    said = hashlib.sha256("\n".join([*more, "", *names]).encode("utf-8", "surrogateescape"))
    if len(names) <= AT_ONCE:
        return _with_stamps(folder, names, said.hexdigest())
    begin, asked = time.monotonic(), (os.fspath(folder.path), said.hexdigest())
    until, found = _stamped.get(asked, (0.0, ""))
    if begin >= until:
        found, end = _with_stamps(folder, names, asked[1]), time.monotonic()
        with _keeping:
            _stamped.pop(asked, None)
            while len(_stamped) >= FOLDERS_KEPT:
                del _stamped[next(iter(_stamped))]
            _stamped[asked] = end + REMEMBERED * (end - begin), found
    return found


def _with_stamps(folder: Folder, names: Sequence[str], said: str) -> str:
    digest = hashlib.sha256(said.encode())
    for name in names:
        digest.update("{}\0{}\n".format(*folder.stamp(name)).encode())
    return digest.hexdigest()[:32]
