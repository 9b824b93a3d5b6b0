"""A table's rows as examples: pictures by path or in pixels, labels, and the rest as metadata."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa

from core.dataset_files.array_roles import split_of_file
from core.dataset_files.class_dictionaries import named
from core.dataset_files.class_labels import UNKNOWN, ClassLabels, class_labels, label_notes, text_of
from core.dataset_files.counts import counted
from core.dataset_files.file_sources import Source
from core.dataset_files.image_arrays import array_images
from core.dataset_files.image_files import is_picture, picture_files
from core.dataset_files.picture_paths import OUTSIDE, Finder, path_in
from core.dataset_files.table_columns import Columns
from core.dataset_files.table_notes import label_column_note, no_label_note, several_note
from core.dataset_files.table_splits import one_split
from core.dataset_files.text_tables import HEAD, form_of, read_text_table
from core.dataset_formats import DataSet
from core.errors import UserError
from core.files.text_of_files import shown
from core.table_ids import stems_of

MOST_METADATA = 200  # columns


def read_text(source: Source, name: str) -> DataSet:
    """The data set that a CSV or TSV describes. Raises UserError."""
    form = form_of(source.start(name, HEAD), stems_of(source, name.rpartition("/")[0]))
    if form is None:
        raise UserError(f"{name} is no table of pictures: no column names pictures or holds "
                        "pixels. Name the columns, as in: path,label")
    table, notes = read_text_table(source.view(name), form, name)
    return examples(source, name, table, form.columns, notes)


def examples(source: Source, name: str, table: pa.Table, columns: Columns,
             notes: tuple[str, ...], names: Sequence[str] | None = None) -> DataSet:
    """A data set from a table with paths or pixels, by the roles of its columns; names: of
    its classes, where the source has them."""
    if len(table) == 0:
        raise UserError(f"{name} has no rows, so it holds no images. Save it again.")
    folder = name.rpartition("/")[0]
    labels = labels_of(table, columns, name, names)
    if labels and columns.label_name is None:
        labels = named(labels, source, folder)
    rows, split, said = one_split(table, columns.split, labels)
    if rows is not None:
        table, labels = table.take(pa.array(rows)), labels and labels.of(rows)
    notes += (*said, *label_column_note(columns), *several_note(columns, labels))
    metadata, left_out = metadata_of(table, columns)
    notes += (*no_label_note(columns, [*metadata]), *left_out)
    if columns.path:
        paths = [path_in(text_of(cell)) for cell in table[columns.path].to_pylist()]
        found = of_paths(source, name, paths, labels, metadata, notes, split)
    else:
        found = _of_pixels(name, table, columns, labels, metadata, notes)
    return replace(found, split=split or found.split)


def _of_pixels(name: str, table: pa.Table, columns: Columns, labels: ClassLabels | None,
               metadata: pd.DataFrame, notes: tuple[str, ...]) -> DataSet:
    images = array_images(_pixel_rows(table, columns, name), name)
    paths = pd.Series([f"{PurePosixPath(name).name}/{row:05d}" for row in range(len(table))])
    metadata = metadata.drop(columns="path", errors="ignore")
    metadata.insert(0, "path", paths)
    found = data_set(name, images.image, labels, metadata, (*notes, *images.notes))
    return replace(found, flat=images.flat)


def of_paths(source: Source, name: str, said: Sequence[str], labels: ClassLabels | None,
             metadata: pd.DataFrame, notes: tuple[str, ...], split: str = "") -> DataSet:
    """A data set of the pictures whose paths are said, beside the table `name` or below it, or else
    below the folder that the table's own is in."""
    below, files = _pictures_below(source, name)
    finder = Finder([path.removeprefix(below) for path in files],
                    split or split_of_file(name))
    found = [finder.find(path) for path in said]
    missing = [(path, row) for path, row in zip(said, found, strict=True) if isinstance(row, str)]
    rows = np.array([i for i, row in enumerate(found) if not isinstance(row, str)], dtype=np.int64)
    if not len(rows):
        raise UserError(f"{name}: none of its {counted(len(said), 'picture')} is there; "
                        f"{shown(said[0])} {missing[0][1]}. Put the pictures beside the table, or "
                        "below it.")
    pictures = picture_files(source, [files[found[i]] for i in rows])
    rows = rows[pictures.kept]
    metadata = metadata.iloc[rows].reset_index(drop=True).drop(columns="path", errors="ignore")
    metadata.insert(0, "path", pictures.paths)
    if missing:
        outside = sum(reason == OUTSIDE for _, reason in missing)
        lost = len(missing) - outside
        reasons = [f"{counted(lost, 'picture is', 'pictures are')} missing"] if lost else []
        reasons += [f"{counted(outside, 'path leads', 'paths lead')} outside"] if outside else []
        notes += (f"{len(missing):,} of {counted(len(said), 'row')} skipped: "
                  f"{', '.join(reasons)}.",)
    data = data_set(name, pictures.image, labels and labels.of(rows), metadata,
                    (*notes, *pictures.notes))
    return replace(data, unreadable=(*missing, *pictures.unreadable))


def _pictures_below(source: Source, name: str) -> tuple[str, list[str]]:
    """The folder of a table, with '/', and the pictures below it; where there are none, the folder
    above."""
    folder = name.rpartition("/")[0]
    for place in dict.fromkeys((folder, folder.rpartition("/")[0])):
        below = f"{place}/" if place else ""
        if files := [path for path in source.names()
                     if path.startswith(below) and is_picture(path)]:
            return below, files
    return below, []


def data_set(name: str, image: object, labels: ClassLabels | None, metadata: pd.DataFrame,
             notes: tuple[str, ...]) -> DataSet:
    """A data set named by its file."""
    indices, names = (labels.labels, labels.class_names) if labels else (None, ())
    said = labels.notes if labels else ()
    return DataSet(title=PurePosixPath(name).name, image=image, labels=indices, class_names=names,
                   metadata=metadata, split=split_of_file(name),
                   notes=(*notes, *said, *label_notes(indices, names)))


def _pixel_rows(table: pa.Table, columns: Columns, name: str) -> np.ndarray:
    if columns.pixel_text:
        return _from_texts(table[columns.pixel_text].to_pylist(), name)
    types = {table.schema.field(column).type for column in columns.pixels}
    kind = np.dtype(types.pop().to_pandas_dtype() if len(types) == 1 else np.float32)
    values = np.empty((len(table), len(columns.pixels)), kind if kind.kind in "bui" else np.float32)
    for place, column in enumerate(columns.pixels):
        cells = table[column]
        if cells.null_count:
            raise UserError(f"{name}: {cells.null_count:,} pixels in the column {shown(column)} "
                            "are blank. Fill them in.")
        values[:, place] = cells.to_numpy()
    return values


def _from_texts(cells: list[str], name: str) -> np.ndarray:
    """Pixels that are written in one cell, separated by spaces: uint8 (N, pixels)."""
    first = len(cells[0].split())
    values = np.empty((len(cells), first), np.uint8)
    for row, cell in enumerate(cells):
        try:
            values[row] = np.array(cell.split(), dtype=np.uint8)
        except (ValueError, OverflowError, AttributeError) as error:
            raise UserError(f"{name}: row {row + 1} does not hold {first:,} pixels from 0 to 255. "
                            "Correct that row.") from error
    return values


def labels_of(table: pa.Table, columns: Columns, name: str,
              names: Sequence[str] | None = None) -> ClassLabels | None:
    """The labels of all rows, with names from the column of names where there is one."""
    if columns.one_hot:
        try:
            cells = np.stack([table[c].to_numpy().astype(np.float64) for c in columns.one_hot], 1)
        except ValueError:  # words further down
            return None
        if ((cells > 0).sum(1) > 1).any():
            return None
        return class_labels(cells, f"{name}, columns {', '.join(columns.one_hot)[:80]}",
                            columns.one_hot)
    if columns.label is None:
        return None
    cells = table[columns.label].to_pandas().to_numpy()
    source = f"{name}, column {shown(columns.label)}"
    found = class_labels(cells, source, names)
    if columns.label_name is None:
        return found
    class_names = list(found.class_names)
    for label, text in zip(found.labels, table[columns.label_name].to_pylist(), strict=True):
        if label != UNKNOWN and text_of(text):
            class_names[label] = text_of(text)
    return replace(found, class_names=tuple(class_names))


def metadata_of(table: pa.Table, columns: Columns) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The other columns, kept in Arrow, and what was left out."""
    used = columns.used
    plain = [field.name for field in table.schema if field.name not in used
             and not pa.types.is_nested(field.type) and not pa.types.is_binary(field.type)
             and not pa.types.is_large_binary(field.type)]
    kept = plain[:MOST_METADATA]
    told = {*kept, *used}
    lost = [name for name in table.column_names if name not in told]
    said = (f"{counted(len(lost), 'column')} left out, first {shown(lost[0])}.",) if lost else ()
    frame = table.select(kept).to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
    return frame.rename(columns={"path": "path in the table"}), said
