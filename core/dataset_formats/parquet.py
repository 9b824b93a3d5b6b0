"""Parquet: Hugging Face's layout (an image column of {bytes, path}), bytes, paths or pixels.

A split in several files, test-00000-of-00003.parquet and so on, is opened by its first.
https://huggingface.co/docs/hub/datasets-image#parquet-format
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from core.dataset_files.class_dictionaries import FILES, named
from core.dataset_files.file_sources import Folder, Source
from core.dataset_files.image_files import is_picture
from core.dataset_files.joined_data import joined
from core.dataset_files.parquet_columns import (
    SAMPLED,
    has_only_paths,
    has_unread_label,
    is_picture_type,
    named_first,
    plain_columns,
    sample_cells,
    unread_columns,
)
from core.dataset_files.parquet_images import KeptGroups, ParquetBytes, readable
from core.dataset_files.parquet_tables import opened_parquet, parquet_columns, texts_in_records
from core.dataset_files.table_columns import Columns, columns_of, label_column, split_column
from core.dataset_files.table_examples import (
    data_set,
    examples,
    labels_of,
    metadata_of,
)
from core.dataset_files.table_notes import label_column_note
from core.dataset_files.table_splits import one_split
from core.dataset_formats import DataSet, Format, beside_others
from core.errors import UserError
from core.files import content_ids
from core.files.json_depth import json_depth
from core.files.limits import current_limits
from core.files.text_of_files import shown
from core.images import decode

MAGIC = b"PAR1"
SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})((?:-[0-9a-f]+)?\.parquet)", re.IGNORECASE)
OF_LOGS = {"epoch", "step", "global_step", "loss", "tag", "prediction"}


def matches(path: Path) -> bool:
    """By its ending or first bytes; a table of a training run, without pictures, is not one."""
    if not path.is_file() or path.name not in _shards(path.name, _beside(path))[:1]:
        return False
    if path.stat().st_size == 0:
        return path.suffix.lower() == ".parquet"
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            return path.suffix.lower() == ".parquet"
    try:
        names = opened_parquet(Folder(path.parent), path.name).schema_arrow.names
    except UserError:
        return True  # to be answered
    return not OF_LOGS & {name.lower() for name in names}


def load(path: Path) -> DataSet:
    """Raises UserError."""
    return read(Folder(path.parent), _shards(path.name, _beside(path)))


def _beside(path: Path) -> list[str]:
    """Names of a folder's Parquet files, if the path is one of several that belong together."""
    found = SHARD.fullmatch(path.name)
    several = found and found[3] != "00001"
    return [file.name for file in path.parent.glob("*.parquet")] if several else [path.name]


def _shards(name: str, names: Sequence[str]) -> list[str]:
    """Of these names, the files of the split that one of them belongs to, in order."""
    found = SHARD.fullmatch(PurePosixPath(name).name)
    if found is None:
        return [name]
    folder = PurePosixPath(name).parent
    return sorted(other for other in names if PurePosixPath(other).parent == folder
                  and (part := SHARD.fullmatch(PurePosixPath(other).name))
                  and (part[1], part[3]) == (found[1], found[3]))


def _content_id(path: Path) -> str:
    """Follows the files, names of classes beside them, and the pictures that they may name."""
    folder, shards = Folder(path.parent), _shards(path.name, _beside(path))
    table = content_ids.of_files(*(path.with_name(name) for name in (*shards, *FILES)))
    return content_ids.of_folder(folder, list(filter(is_picture, folder.names())), table)


def inside(source: Source) -> DataSet | None:
    """The first Parquet file, a test split before others."""
    names = [name for name in source.names() if name.lower().endswith(".parquet")]
    names.sort(key=lambda name: "test" not in name.lower())
    if not names:
        return None
    shown = _shards(names[0], names)
    return beside_others(read(source, shown), names[0], [n for n in names if n not in shown])


def read(source: Source, names: Sequence[str]) -> DataSet:
    """The data set in the Parquet files of a split; those that are not there are told."""
    kept = KeptGroups()
    data = joined([_read_one(source, name, kept) for name in names])
    found = SHARD.fullmatch(PurePosixPath(names[0]).name)
    said = int(found[3]) if found else 1
    if said == 1:
        return data
    lacking = f"; {said - len(names):,} are not here" if said > len(names) else ""
    return replace(data, notes=(f"Read from {len(names):,} of {said:,} files{lacking}.",
                                *data.notes))


def _read_one(source: Source, name: str, kept: KeptGroups) -> DataSet:
    file = opened_parquet(source, name)
    pictures = [field.name for field in file.schema_arrow if is_picture_type(field.type)]
    if pictures and (column := named_first(pictures)) and not has_only_paths(file, column):
        return _of_bytes(source, file, name, column, kept)
    sample = sample_cells(file)
    paths = texts_in_records(source, name, column, "path") if pictures else None
    if paths is not None:
        first = [text or "" for text in paths.slice(0, SAMPLED).to_pylist()]
        sample = {column: first} | sample
    columns = columns_of(sample)
    if columns is None:
        raise UserError(f"{name} has no column of images: "
                        f"{', '.join(map(shown, file.schema_arrow.names[:8]))}. An image column "
                        "with bytes, a column of paths, or columns of pixels are read.")
    table = parquet_columns(source, name, [key for key in sample if key not in pictures])
    if paths is not None:
        table = (table or pa.table({})).append_column(column, paths)
    return examples(source, name, table, columns, unread_columns(file, column if paths else ""),
                    _class_names(file, columns.label))


def _of_bytes(source: Source, file: parquet.ParquetFile, name: str, column: str,
              kept: KeptGroups) -> DataSet:
    # an archive would unpack all of the file for each row group
    again = partial(opened_parquet, source, name) if isinstance(source, Folder) else lambda: file
    content = ParquetBytes(again, column, name, kept)
    sample, plain = sample_cells(file), plain_columns(file.schema_arrow)
    label = None if has_unread_label(file) else label_column(sample, set())
    columns = Columns(label=label, split=split_column(sample))
    table, labels, chosen = parquet_columns(source, name, plain), None, (None, "", ())
    if table is not None:
        labels = labels_of(table, columns, name, _class_names(file, columns.label))
        labels = labels and named(labels, source, name.rpartition("/")[0])
        chosen = one_split(table, columns.split, labels)
    rows, split, said = chosen
    every = np.arange(file.metadata.num_rows) if rows is None else rows
    found = readable(content, every, name)
    rows = every[found.kept]
    metadata, left_out = pd.DataFrame(index=range(len(rows))), ()
    if table is not None:
        metadata, left_out = metadata_of(table.take(pa.array(rows)), columns)
    paths = pd.Series([f"{name}/{row:05d}" for row in rows], dtype="str")
    metadata = metadata.drop(columns="path", errors="ignore")
    metadata.insert(0, "path", paths)
    data = data_set(
        name, lambda row: decode(content(int(rows[row])), paths[row], found.span),
        labels and labels.of(rows), metadata,
        (*said, *unread_columns(file, column), *label_column_note(columns), *found.notes,
         *left_out))
    return replace(data, split=split or data.split, unreadable=found.unreadable)


def _class_names(file: parquet.ParquetFile, label: str | None) -> list[str] | None:
    """The names that Hugging Face keeps in the schema for a column of class ids."""
    said = (file.schema_arrow.metadata or {}).get(b"huggingface", b"")
    if label is None or not said or json_depth(said) > current_limits().json_depth:
        return None
    try:
        names = json.loads(said)["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError):
        return None
    return [str(name) for name in names] if isinstance(names, list) and names else None


FORMAT = Format("Parquet", matches, load, _content_id, inside)
