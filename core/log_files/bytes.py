"""The bytes of a log file, unpacked where it is gzip, whatever its name; bounded, cut files too."""

import gzip
import os
import time
import zlib
from pathlib import Path
from typing import Self

from core.errors import UserError
from core.files.limits import current_limits

GZIP = b"\x1f\x8b"
PIECE = 1 << 20  # bytes unpacked at a time
FRESH = 60.0  # seconds after its last change that a file counts as being written


class LogBytes:
    """A log file read from its start to its end.

    left: bytes that are still to come; of a packed file no more than this. fault: why the bytes
    ended early, "" where they did not. fresh: whether it was written to in the last minute.
    Raises OSError where the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._name, self._file = path.name, path.open("rb", buffering=0)
        stat = os.fstat(self._file.fileno())
        self.size, self.fault, self.fresh = stat.st_size, "", is_fresh(stat)
        self._packed = None
        self.left = self.size
        if self._file.read(len(GZIP)) == GZIP:
            self._packed = gzip.GzipFile(fileobj=self._file)
            self.left = current_limits().unpacked_bytes
        self._file.seek(0)
        self._given = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def packed(self) -> bool:
        """Whether it is unpacked while it is read."""
        return self._packed is not None

    def read(self, count: int) -> bytes:
        """The next `count` bytes; fewer only at the end. Raises UserError on a gzip bomb."""
        if self._packed is None:
            got = self._file.read(min(count, self.left))  # a file that grows is read up to here
            self.left = self.left - len(got) if got else 0
            return got
        return self._unpacked(min(count, self.left))

    def skip(self, count: int) -> None:
        """Goes on so many bytes; of a packed file by unpacking them."""
        if self._packed is None:
            self._file.seek(count, os.SEEK_CUR)
            self.left -= count
            return
        while count and (got := len(self.read(min(count, PIECE)))):
            count -= got

    def _unpacked(self, count: int) -> bytes:
        parts, wanted = [], count
        while wanted:
            try:
                got = self._packed.read1(min(wanted, PIECE))  # read() loses what precedes a fault
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                cut = isinstance(error, EOFError)
                self.fault = f"the gzip is {'cut off' if cut else 'damaged'}, so reading stopped"
                got = b""
            if not got:
                self.left = 0
                break
            parts.append(got)
            wanted -= len(got)
            self._count(len(got))
        return b"".join(parts)

    def _count(self, more: int) -> None:
        limits = current_limits()
        self._given += more
        self.left -= more
        if self._given > max(limits.ratio_floor, limits.ratio * self.size):
            raise UserError(f"{self._name} unpacks to more than {limits.ratio} times its size, "
                            "which no log does. Unpack it yourself if you trust it.")
        if not self.left:
            self.fault = f"it unpacks to more than {limits.unpacked_bytes:,} bytes; the rest " \
                         "was not read"


def is_fresh(stat: os.stat_result) -> bool:
    """Whether a file was written to a moment ago, so that more may come."""
    return abs(time.time() - stat.st_mtime) < FRESH


def cannot_read(error: OSError, path: Path) -> UserError:
    """What to tell of a file that the system does not give."""
    return UserError(f"{error.filename or path.name} cannot be read ({error.strerror}). "
                     "Check that it is still there and that you may read it.")
