"""A folder that only holds a data set: its splits, its arrays, its batches, a table, one folder."""

from pathlib import Path

from core.dataset_files.array_roles import split_of
from core.dataset_files.file_sources import Folder
from core.dataset_files.image_files import is_picture
from core.dataset_files.masks import LISTS, is_of_masks
from core.dataset_formats import DataSet, Format, image_folder
from core.dataset_formats.found_inside import data_inside
from core.errors import UserError
from core.files import content_ids
from core.plugins import discover, knows

LOOKED_AT = 64  # files
DEEPEST = 3  # folders in one another, each the only one
FOLDERS = 16  # looked into
STAMPED = 20_000


def matches(path: Path) -> bool:
    """A folder of no other kind in which there is one data set, or the splits of one."""
    return path.is_dir() and not _is_known(path) and _holds_one(path, DEEPEST)


def _is_known(path: Path) -> bool:
    return any(knows(form, path) for form in _forms())


def _forms() -> list[Format]:
    return [form for form in discover("core.dataset_formats", "FORMAT").values() if form.listed]


def _holds_one(path: Path, depth: int) -> bool:
    entries = image_folder.entries(path)
    folders = [Path(entry.path) for entry in entries if image_folder.is_folder(entry)]
    alone = sum(not _lies_beside(folder) for folder in folders) == 1
    sets = [folder for folder in folders[:FOLDERS] if _is_known(folder) or (
        depth and (alone or split_of(folder.name)) and _holds_one(folder, depth - 1))]
    others = [folder for folder in sets if not split_of(folder.name)]
    files = [path / entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    forms = [form for form in _forms() if form.inside]
    if any(knows(form, file) for file in files[:LOOKED_AT] for form in forms):
        return len(others) < 2
    if not others:
        return bool(sets)
    return len(others) == 1 and (len(folders) == 1 or all(
        folder in sets or _lies_beside(folder) for folder in folders))


def _lies_beside(folder: Path) -> bool:
    """Whether a folder's name says that it only describes the pictures of another."""
    return folder.name.lower() in LISTS or is_of_masks(folder.name)


def load(path: Path) -> DataSet:
    """Raises UserError."""
    found = data_inside(Folder(path))
    if found is None:
        raise UserError(f"{path.name} holds no data set. Put one folder per class in it, or "
                        "arrays, or a table that names pictures.")
    return found


def content_id(path: Path) -> str:
    """Changes with the names of all files below, and with the sizes and times of a sample and of
    all that are no pictures."""
    folder = Folder(path)
    names = folder.names()
    others = [name for name in names if not is_picture(name)][:STAMPED]
    stamps = ("{}\0{}\0{}".format(name, *folder.stamp(name)) for name in others)
    return content_ids.of_folder(folder, names, *stamps)


FORMAT = Format("Folder that holds a data set", matches, load, content_id, listed=False)
