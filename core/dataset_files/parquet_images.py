"""Pictures in a Parquet column: a row group is unpacked to disk when a row of it is asked for."""

import os
import tempfile
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from core import store
from core.dataset_files.deep_pictures import common_range
from core.dataset_files.value_ranges import ValueRange
from core.errors import UserError
from core.images import LARGEST_FILE, is_deep, oddities, opened

LOOKED_AT = 1_000  # rows whose picture's header is read at once
LOOKED_AT_BYTES = 64 << 20
KEPT_BYTES = 256 << 20  # on disk, of all row groups together; the last two in any case
FEWEST_KEPT = 2  # threads that decode ahead stand on both sides of a border
MOST_KEPT = 32  # each is an open file, of which a process may have 256 on some systems
LARGEST_GROUP = 1 << 30
AT_A_TIME = 16  # rows; a few values that are repeated a million times must not be laid out at once


class Group:
    """One row group's pictures, one after another in a file without a name: they are read back from
    there, so that none stays in memory. pyarrow unpacks no less than a page, which often is all of
    the group."""

    def __init__(self, place: str) -> None:
        """Raises UserError where there is no room."""
        self._place, self._ends = place, [0]
        try:
            self._file = tempfile.TemporaryFile(dir=store.scratch())  # noqa: SIM115 - gone with this
        except OSError as error:
            raise self._no_room(error) from error

    def __len__(self) -> int:
        return len(self._ends) - 1

    @property
    def size(self) -> int:
        return self._ends[-1]

    def picture(self, row: int) -> bytes:
        start, end = self._ends[row:row + 2]
        return os.pread(self._file.fileno(), end - start, start)

    def add(self, batch: pa.RecordBatch) -> None:
        """Raises UserError where there is no room."""
        part = batch.column(0)
        pictures = [cell.as_buffer()
                    for cell in (part.field("bytes") if pa.types.is_struct(part.type) else part)]
        sizes = [0 if picture is None else picture.size for picture in pictures]
        self._ends += (self.size + np.cumsum(sizes)).tolist()
        if self.size > LARGEST_GROUP:
            raise UserError(f"{self._place}: a row group holds more than {LARGEST_GROUP >> 20:,} "
                            "MB of pictures, which is too large. Save it with a row_group_size of "
                            "1,000.")
        try:
            self._file.writelines(picture for picture in pictures if picture is not None)
            self._file.flush()
        except OSError as error:
            raise self._no_room(error) from error

    def _no_room(self, error: OSError) -> UserError:
        return UserError(f"{self._place}: its pictures do not fit on the disk of the cache folder "
                         f"({error.strerror}). Make room there.")


class KeptGroups:
    """Row groups that were read last, of all files of a data set."""

    def __init__(self) -> None:
        self._groups: OrderedDict[tuple[str, int], Group] = OrderedDict()
        self.lock = threading.Lock()

    def get(self, key: tuple[str, int]) -> Group | None:
        if key in self._groups:
            self._groups.move_to_end(key)
        return self._groups.get(key)

    def keep(self, key: tuple[str, int], group: Group) -> None:
        self._groups[key] = group
        while len(self._groups) > MOST_KEPT or (len(self._groups) > FEWEST_KEPT and sum(
                kept.size for kept in self._groups.values()) > KEPT_BYTES):
            self._groups.popitem(last=False)


class ParquetBytes:
    """Row -> the encoded picture of a column that is binary, or a struct with `bytes`.

    open_file: gives the file anew, since one that is kept keeps the last page it unpacked.
    """

    def __init__(self, open_file: Callable[[], parquet.ParquetFile], column: str, name: str,
                 kept: KeptGroups) -> None:
        self._open, self._column, self._name, self._kept = open_file, column, name, kept
        said = open_file().metadata
        sizes = [said.row_group(i).num_rows for i in range(said.num_row_groups)]
        self._starts = np.cumsum([0, *sizes])

    def __call__(self, row: int) -> bytes:
        """b'' where the cell is empty."""
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        with self._kept.lock:
            found = self._kept.get((self._name, group)) or self._unpacked(group)
        return found.picture(row - int(self._starts[group]))

    def _unpacked(self, group: int) -> Group:
        found, rows = Group(self._name), self._starts[group:group + 2]
        try:
            for batch in self._open().iter_batches(
                    AT_A_TIME, row_groups=[group], use_threads=False, columns=[self._column]):
                found.add(batch)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise UserError(f"{self._name}: rows {rows[0]:,} to {rows[1]:,} of the Parquet "
                            f"file are damaged ({str(error)[:100]}). Copy it again.") from error
        if len(found) != rows[1] - rows[0]:
            raise UserError(f"{self._name}: the Parquet file is damaged, its row groups do not "
                            "have the rows that its footer says. Copy it again.")
        pa.default_memory_pool().release_unused()
        self._kept.keep((self._name, group), found)
        return found


@dataclass(frozen=True)
class Readable:
    """Of some rows those that seem readable. kept: their places among the rows."""

    kept: np.ndarray
    unreadable: tuple[tuple[str, str], ...]
    span: ValueRange | None
    notes: tuple[str, ...]


def readable(content: Callable[[int], bytes], rows: np.ndarray, name: str) -> Readable:
    """Looks at the first rows' headers."""
    bad, odd, deep = {}, Counter(), []
    left, count = LOOKED_AT_BYTES, len(rows)
    for place, row in enumerate(rows[:LOOKED_AT].tolist()):
        try:
            data = content(row)
            left -= len(data)
            if len(data) > LARGEST_FILE:
                raise UserError(f"row {row} is larger than {LARGEST_FILE >> 20} MB.")
            picture = opened(data, f"row {row}")
            odd.update(oddities(picture))
            deep += [row] if is_deep(picture) else []
        except UserError as error:
            bad[place] = str(error)
        if left < 0:
            break
    if len(bad) == count:
        raise UserError(f"{name}: none of its {count:,} images can be read: {bad[0]}")
    span, how = common_range(deep, content)
    notes = [f"At least {n:,} pictures {words}." for words, n in odd.items()]
    if bad:
        notes.append(f"{len(bad):,} of {count:,} pictures could not be read and were skipped: "
                     f"{next(iter(bad.values()))}")
    unreadable = tuple((f"{name}/{rows[place]:05d}", reason) for place, reason in bad.items())
    return Readable(np.delete(np.arange(count), list(bad)), unreadable, span, (*notes, *how))
