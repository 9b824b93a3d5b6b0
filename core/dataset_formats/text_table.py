"""CSV or TSV: a column of paths or columns of pixels, a column of labels, the rest as metadata."""

from pathlib import Path

from core.dataset_files.array_roles import SPLITS, split_of_file
from core.dataset_files.class_dictionaries import FILES
from core.dataset_files.file_sources import Folder, Source
from core.dataset_files.image_files import is_picture
from core.dataset_files.table_examples import read_text
from core.dataset_files.text_tables import HEAD, TextTable, form_of
from core.dataset_formats import DataSet, Format, beside_others
from core.files import content_ids
from core.table_ids import stems_near, stems_of

ENDINGS = {".csv", ".tsv", ".tab"}


def matches(path: Path) -> bool:
    """A text table by its ending, whose first lines name pictures or hold pixels."""
    return path.suffix.lower() in ENDINGS and path.is_file() and _form(path) is not None


def _form(path: Path) -> TextTable | None:
    with path.open("rb") as file:
        return form_of(file.read(HEAD), stems_near(path.parent))


def load(path: Path) -> DataSet:
    """Raises UserError."""
    return read_text(Folder(path.parent), path.name)


def inside(source: Source) -> DataSet | None:
    """The table with labels that is named for test, else the first; no answers to be handed in."""
    tables = [name for name in source.names() if name[name.rfind("."):].lower() in ENDINGS]
    forms = {name: form_of(source.start(name, HEAD), stems_of(source, name.rpartition("/")[0]))
             for name in tables}
    known = {name: form.columns for name, form in forms.items() if form}
    found = sorted(known, key=lambda name: (
        "submission" in name.lower(), not (known[name].label or known[name].one_hot),
        SPLITS.index(split_of_file(name))))
    return beside_others(read_text(source, found[0]), found[0], found[1:]) if found else None


def content_id(path: Path) -> str:
    """Follows the table, names of classes beside it and, where it names pictures, those below its
    folder."""
    form = _form(path)
    table = content_ids.of_files(path, *(path.with_name(name) for name in FILES))
    if form is None or not form.columns.path:
        return table
    folder = Folder(path.parent)
    return content_ids.of_folder(folder, list(filter(is_picture, folder.names())), table)


FORMAT = Format("Table of pictures (CSV, TSV)", matches, load, content_id, inside)
