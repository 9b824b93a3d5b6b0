"""The rows of one split, where a column says of each row to which it belongs."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.dataset_files.array_roles import split_of
from core.dataset_files.class_labels import UNKNOWN, ClassLabels
from core.dataset_files.table_columns import SPLIT_FLAGS

ORDER = ("test", "validation", "train", "")
YES, NO = {"true", "1", "1.0"}, {"false", "0", "0.0"}


def one_split(table: pa.Table, column: str | None, labels: ClassLabels | None
              ) -> tuple[np.ndarray | None, str, tuple[str, ...]]:
    """(its rows, its name, what to say): test before validation before train, of those with labels
    where any has some. None for all rows."""
    if column is None:
        return None, "", ()
    cells = table[column].cast(pa.string()).combine_chunks()
    coded = pc.dictionary_encode(cells, null_encoding="encode")
    said = [_split(text or "", column) for text in coded.dictionary.to_pylist()]
    if not any(said):
        return None, "", ()
    splits = np.array(said, dtype=object)[coded.indices.to_numpy()]
    rows = {split: np.flatnonzero(splits == split) for split in ORDER if split in said}
    labelled = [split for split, places in rows.items()
                if labels is not None and (labels.labels[places] != UNKNOWN).any()]
    chosen = (labelled or list(rows))[0]
    others = [f"{split or 'other'} ({len(places):,} rows)" for split, places in rows.items()
              if split != chosen]
    if not others:
        return None, chosen, ()
    return rows[chosen], chosen, (
        f"The column {column!r} divides the rows; {chosen} ({len(rows[chosen]):,} rows) is shown; "
        f"not shown: {', '.join(others)}.",)


def _split(text: str, column: str) -> str:
    flag = SPLIT_FLAGS.get(column.strip().lower())
    if flag is None:
        return split_of(text)
    return flag[0] if text.lower() in YES else flag[1] if text.lower() in NO else ""
