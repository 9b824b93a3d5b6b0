"""A folder of pictures without classes, or with a table or list in it that says them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from core.dataset_files.array_roles import SPLITS, split_of
from core.dataset_files.class_labels import label_notes
from core.dataset_files.file_sources import Folder, Source, is_litter, skipped_note
from core.dataset_files.image_files import is_picture, picture_files
from core.dataset_formats import DataSet, Format, file_list, image_folder, text_table
from core.errors import UserError
from core.files import content_ids

ENTRIES = 512  # looked at


def matches(path: Path) -> bool:
    """A folder of which most files are pictures, and no sub-folder holds any."""
    if not path.is_dir() or image_folder.matches(path):
        return False
    entries = [entry for entry in image_folder.entries(path) if not is_litter(entry.name)]
    files = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    if 2 * sum(map(is_picture, files)) < max(1, len(files)):
        return False
    return not any(image_folder.holds_pictures(Path(entry.path)) for entry in entries
                   if entry.is_dir(follow_symlinks=False))


def load(path: Path) -> DataSet:
    """The pictures, with the labels of a table in the folder where it has one. Raises UserError."""
    source = Folder(path)
    found = described(source) or _plain(source)
    return replace(found, notes=(*skipped_note(source), *found.notes))


def inside(source: Source) -> DataSet | None:
    """An archive's pictures, where they lie in no class folders; of splits the last that it has."""
    folders = {name.rpartition("/")[0] for name in source.names() if is_picture(name)}
    leaves = {folder.rpartition("/")[2] for folder in folders}
    if not folders or not all(leaf == "" or leaf.lower() in image_folder.NO_CLASS or split_of(leaf)
                              for leaf in leaves):
        return None
    if found := described(source):
        return found
    chosen = min(sorted(folders), key=lambda folder: SPLITS.index(split_of(folder)))
    others = ", ".join(sorted(folders - {chosen}))
    found = _plain(source, f"{chosen}/" if chosen else "")
    said = (f"{chosen} is shown; not shown: {others}.",) if others else ()
    return replace(found, split=split_of(chosen), notes=(*said, *found.notes))


def described(source: Source) -> DataSet | None:
    """By the first table or list that names most of the pictures in the folders of its own."""
    names = source.names()
    if not any(map(_is_table, names)):
        return None
    pictures = Counter(map(_top, filter(is_picture, names)))
    for form in (text_table, file_list):
        try:
            found = form.inside(source)
        except UserError:  # of something else
            continue
        if found is None or "path" not in found.metadata:
            continue
        tops = set(map(_top, found.metadata["path"]))
        if 2 * len(found) >= sum(pictures[top] for top in tops) > 0:
            return replace(found, title=source.title,
                           notes=(f"Labels and columns from {found.title}.", *found.notes))
    return None


def _top(name: str) -> str:
    return name.partition("/")[0] if "/" in name else ""


def _plain(source: Source, below: str = "") -> DataSet:
    files = [name for name in source.names() if is_picture(name) and name.startswith(below)]
    if not files:
        raise UserError(f"{source.title} holds no pictures. PNG, JPEG, WebP, BMP, GIF and TIFF "
                        "files are read.")
    found = picture_files(source, files)
    return DataSet(
        title=source.title, image=found.image, labels=None, class_names=(),
        metadata=found.paths.to_frame(), split=split_of(source.title), unreadable=found.unreadable,
        notes=(f"{len(found.kept):,} pictures, not in class folders.", *found.notes,
               *label_notes(None, ())),
    )


def content_id(path: Path) -> str:
    """Changes with any picture, table or list in the folder."""
    folder = Folder(path)
    tables = [path / name for name in folder.names() if _is_table(name)]
    pictures = list(filter(is_picture, folder.names()))
    return content_ids.of_folder(folder, pictures, content_ids.of_files(*tables))


def _is_table(name: str) -> bool:
    return name[name.rfind("."):].lower() in text_table.ENDINGS | file_list.ENDINGS


FORMAT = Format("Folder of pictures", matches, load, content_id, inside)
