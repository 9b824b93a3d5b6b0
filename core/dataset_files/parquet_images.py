"""Pictures in a Parquet column: read by row group when one of its rows is asked for."""

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from core.dataset_files.deep_pictures import common_range
from core.dataset_files.value_ranges import ValueRange
from core.errors import UserError
from core.images import LARGEST_FILE, is_deep, oddities, opened

LOOKED_AT = 1_000  # rows whose picture's header is read at once
LOOKED_AT_BYTES = 64 << 20
KEPT_BYTES = 96 << 20  # of row groups in memory, all together; the last one in any case
LARGEST_GROUP = 1 << 30
AT_A_TIME = 16  # rows; a few values that are repeated a million times must not be laid out at once


Group = list[pa.Array]


class KeptGroups:
    """Row groups that were read last, of all files of a data set."""

    def __init__(self) -> None:
        self._groups: OrderedDict[tuple[str, int], tuple[Group, int]] = OrderedDict()
        self.lock = threading.Lock()

    def get(self, key: tuple[str, int]) -> Group | None:
        if key not in self._groups:
            return None
        self._groups.move_to_end(key)
        return self._groups[key][0]

    def keep(self, key: tuple[str, int], parts: Group, size: int) -> None:
        self._groups[key] = parts, size
        while len(self._groups) > 1 and sum(s for _, s in self._groups.values()) > KEPT_BYTES:
            self._groups.popitem(last=False)


class ParquetBytes:
    """Row -> the encoded picture of a column that is binary, or a struct with `bytes`."""

    def __init__(self, file: parquet.ParquetFile, column: str, name: str,
                 kept: KeptGroups) -> None:
        self._file, self._column, self._name, self._kept = file, column, name, kept
        groups = file.metadata.num_row_groups
        sizes = [file.metadata.row_group(i).num_rows for i in range(groups)]
        self._starts = np.cumsum([0, *sizes])

    def __call__(self, row: int) -> bytes:
        """b'' where the cell is empty."""
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        with self._kept.lock:
            parts = self._group(group)
        at = row - int(self._starts[group])
        return parts[at // AT_A_TIME][at % AT_A_TIME].as_py() or b""

    def _group(self, group: int) -> Group:
        if (found := self._kept.get((self._name, group))) is not None:
            return found
        parts, size = [], 0
        try:
            for batch in self._file.iter_batches(AT_A_TIME, row_groups=[group], use_threads=False,
                                                 columns=[self._column]):
                part = batch.column(0)
                parts.append(part.field("bytes") if pa.types.is_struct(part.type) else part)
                size += part.nbytes
                if size > LARGEST_GROUP:
                    raise UserError(f"{self._name}: a row group holds more than "
                                    f"{LARGEST_GROUP >> 20:,} MB of pictures, which is too large. "
                                    "Save it with a row_group_size of 1,000.")
        except (pa.ArrowException, OSError, ValueError) as error:
            raise UserError(f"{self._name}: rows {self._starts[group]:,} to "
                            f"{self._starts[group + 1]:,} of the Parquet file are damaged "
                            f"({str(error)[:100]}). Copy it again.") from error
        if sum(map(len, parts)) != self._starts[group + 1] - self._starts[group]:
            raise UserError(f"{self._name}: the Parquet file is damaged, its row groups do not "
                            "have the rows that its footer says. Copy it again.")
        self._kept.keep((self._name, group), parts, size)
        return parts


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
