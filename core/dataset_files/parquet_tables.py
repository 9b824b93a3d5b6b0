"""Parquet files under limits: the footer first, then columns that are known to fit."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from core.dataset_files.file_sources import Folder, Source
from core.errors import UserError
from core.files.limits import current_limits
from core.files.text_of_files import shown

MOST_ROWS, MOST_COLUMNS = 20_000_000, 20_000
AGAIN = "Copy or download it again."


def opened_parquet(source: Source, name: str,
                   dictionaries: Sequence[str] = ()) -> parquet.ParquetFile:
    """The file, its footer checked; texts of `dictionaries` are read as such.

    Raises UserError for damage and for too many rows or columns.
    """
    if source.size(name) == 0:
        raise UserError(f"{name} is empty (0 bytes). {AGAIN}")
    header = current_limits().header_bytes
    try:
        file = parquet.ParquetFile(
            _readable(source, name), thrift_string_size_limit=header,
            thrift_container_size_limit=1_000_000, arrow_extensions_enabled=False,
            read_dictionary=list(dictionaries))
        file.schema_arrow  # noqa: B018 - read here, so that damage is told here
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{name}: the Parquet file is damaged or truncated "
                        f"({shown(error, 120)}). {AGAIN}") from error
    rows, columns = file.metadata.num_rows, file.metadata.num_columns
    if rows > MOST_ROWS or columns > MOST_COLUMNS:
        raise UserError(f"{name} has {rows:,} rows and {columns:,} columns, which is too many; the "
                        f"limit is {MOST_ROWS:,} rows and {MOST_COLUMNS:,} columns. Split it.")
    groups = file.metadata.num_row_groups
    if rows != sum(file.metadata.row_group(i).num_rows for i in range(groups)):
        raise UserError(f"{name}: the Parquet file is damaged, its row groups do not add up. "
                        f"{AGAIN}")
    if rows == 0:
        raise UserError(f"{name} has no rows, so it holds no images. {AGAIN}")
    return file


def _readable(source: Source, name: str) -> pa.NativeFile:
    if isinstance(source, Folder):
        return pa.OSFile(str(source.path / name))  # read in parts, as they are needed
    return pa.BufferReader(pa.py_buffer(source.view(name)))


def parquet_columns(source: Source, name: str, columns: list[str]) -> pa.Table | None:
    """Some columns of all rows, texts as dictionaries, so that repeated ones take no more memory.

    Raises UserError where they would fill the memory, and for damage.
    """
    if not columns:
        return None
    most = current_limits().unpacked_bytes // 2
    too_large = UserError(f"{name}: its columns expand to more than {most >> 20:,} MB, which is "
                          "too large. Keep fewer columns or rows.")
    file = opened_parquet(source, name)
    schema = file.schema_arrow
    texts = [column for column in columns if _is_text(schema.field(column).type)]
    widths = [schema.field(c).type.bit_width // 8 for c in columns if c not in texts
              and not pa.types.is_null(schema.field(c).type)]
    if file.metadata.num_rows * (sum(widths) + 4 * len(texts)) > most:
        raise too_large
    try:
        table = opened_parquet(source, name, texts).read(columns, use_threads=False)
        table.validate(full=True)  # places in a dictionary that it does not have
        length = sum(_length(table[column]) for column in texts)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{name}: the Parquet file is damaged ({shown(error, 120)}). "
                        f"{AGAIN}") from error
    if len(table) != file.metadata.num_rows:
        raise UserError(f"{name}: the Parquet file is damaged, columns differ in length. "
                        f"{AGAIN}")
    if length > most:
        raise too_large
    return table


def texts_in_records(source: Source, name: str, column: str, field: str) -> pa.ChunkedArray:
    """The texts of one field of a column of records, {bytes, path} say. Raises UserError."""
    most, parts, size = current_limits().unpacked_bytes // 2, [], 0
    file = opened_parquet(source, name)
    try:
        for batch in file.iter_batches(10_000, columns=[f"{column}.{field}"], use_threads=False):
            batch.validate(full=True)
            parts.append(batch.column(0).field(field).cast(pa.large_string()))
            size += parts[-1].nbytes
            if size > most:
                raise UserError(f"{name}: its column {shown(column)} expands to more than "
                                f"{most >> 20:,} MB, which is too large. Keep fewer rows.")
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{name}: the Parquet file is damaged ({shown(error, 120)}). "
                        f"{AGAIN}") from error
    return pa.chunked_array(parts, pa.large_string())


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _length(column: pa.ChunkedArray) -> int:
    """Bytes of all texts of a column if each were written out."""
    total = 0
    for chunk in column.chunks:
        texts = chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk
        lengths = pc.binary_length(texts)
        if texts is not chunk:
            lengths = lengths.take(chunk.indices)
        total += pc.sum(lengths).as_py() or 0
    return total
