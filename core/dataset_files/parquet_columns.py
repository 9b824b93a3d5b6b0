"""Which columns of a Parquet file hold pictures, which are plain, and which are not read."""

from collections.abc import Sequence

import pyarrow as pa
from pyarrow.parquet import ParquetFile

from core.dataset_files.counts import counted
from core.dataset_files.table_columns import is_called_label
from core.files.text_of_files import shown

SAMPLED = 50  # rows by which columns are told


def sample_cells(file: ParquetFile) -> dict[str, list[str]]:
    """The first cells of the columns that are no records and no bytes, as text."""
    few = next(file.iter_batches(SAMPLED, columns=plain_columns(file.schema_arrow)), None)
    return {} if few is None else {
        column: ["" if cell is None else str(cell) for cell in few[column].to_pylist()]
        for column in few.schema.names}


def unread_columns(file: ParquetFile, shown_column: str) -> tuple[str, ...]:
    """What to say of columns that no table can show: lists, records, further pictures."""
    plain = {shown_column, *plain_columns(file.schema_arrow)}
    names = [field.name for field in file.schema_arrow if field.name not in plain]
    if not names:
        return ()
    listed = ", ".join(map(shown, names[:4])) + (" …" if len(names) > 4 else "")
    return (f"{counted(len(names), 'column')} of lists, records or bytes left out: {listed}. "
            "A label is one number or name a row.",)


def has_unread_label(file: ParquetFile) -> bool:
    """Whether the column that is called a label is one of lists, so that no other may be taken."""
    plain = plain_columns(file.schema_arrow)
    called = list(filter(is_called_label, file.schema_arrow.names))
    return bool(called) and not any(name in plain for name in called)


def has_only_paths(file: ParquetFile, column: str) -> bool:
    """Whether a column of records has paths and, in its first rows, no bytes."""
    kind = file.schema_arrow.field(column).type
    if not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
        return False
    if kind.get_field_index("bytes") < 0:
        return True
    few = next(file.iter_batches(SAMPLED, columns=[f"{column}.bytes"]), None)
    cells = few.column(0).field("bytes")
    return cells.null_count == len(cells)


def is_picture_type(kind: pa.DataType) -> bool:
    """Bytes, or a record of bytes and a path, of which either may be lacking."""
    if not pa.types.is_struct(kind):
        return _is_bytes(kind)
    fields = {kind.field(i).name: kind.field(i).type for i in range(kind.num_fields)}
    return _is_bytes(fields.get("bytes", pa.null())) or (
        _is_text(fields.get("path", pa.null())) and fields.keys() <= {"bytes", "path"})


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def named_first(pictures: Sequence[str]) -> str:
    """Of several columns of bytes, the one that is called so."""
    wanted = [name for name in pictures if name.lower() in ("image", "img", "picture", "bytes")]
    return (wanted or list(pictures))[0]


def plain_columns(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if not pa.types.is_nested(field.type)
            and not _is_bytes(field.type)]
