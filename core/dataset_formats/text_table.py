"""CSV or TSV: a column of paths or columns of pixels, a column of labels, the rest as metadata."""

from pathlib import Path

from core import content_ids
from core.dataset_formats import DataSet, Format
from core.file_sources import Folder, Source
from core.image_files import is_picture
from core.table_examples import read_text
from core.text_tables import HEAD, form_of

ENDINGS = {".csv", ".tsv", ".tab"}


def matches(path: Path) -> bool:
    """A text table by its ending, whose first lines name pictures or hold pixels."""
    if path.suffix.lower() not in ENDINGS or not path.is_file():
        return False
    with path.open("rb") as file:
        return form_of(file.read(HEAD)) is not None


def load(path: Path) -> DataSet:
    """Raises UserError."""
    return read_text(Folder(path.parent), path.name)


def inside(source: Source) -> DataSet | None:
    """An archive's first table of pictures."""
    for name in source.names():
        ending = name[name.rfind("."):].lower()
        if ending in ENDINGS and form_of(source.start(name, HEAD)):
            return read_text(source, name)
    return None


def content_id(path: Path) -> str:
    """Follows the table and, where it names pictures, those below its folder."""
    with path.open("rb") as file:
        form = form_of(file.read(HEAD))
    table = content_ids.of_files(path)
    if form is None or not form.columns.path:
        return table
    folder = Folder(path.parent)
    return content_ids.of_folder(folder, list(filter(is_picture, folder.names())), table)


FORMAT = Format("Table of pictures (CSV, TSV)", matches, load, content_id, inside)
