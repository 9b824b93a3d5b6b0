"""A folder with one sub-folder per class; the sub-folder's name is the class."""

import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from core.dataset_files.array_roles import SPLITS, split_of
from core.dataset_files.class_dictionaries import dictionaries, named_by_any
from core.dataset_files.class_labels import ClassLabels, in_order, label_notes
from core.dataset_files.counts import counted
from core.dataset_files.file_sources import Folder, Source, is_litter, skipped_note
from core.dataset_files.image_files import is_picture, picture_files
from core.dataset_files.masks import PICTURES, are_pictures_and_masks, without_masks
from core.dataset_formats import DataSet, Format, file_list, json_lines, text_table
from core.errors import UserError
from core.files import content_ids
from core.files.text_of_files import as_text
from core.plugins import knows

ENTRIES, CLASSES = 512, 16  # looked at to tell whether a folder is of this kind
NO_CLASS = PICTURES | {"all"}
PART = re.compile(r"(.*(part|parts|images|image|imgs|batch|chunk|shard|subset|folder|train|test|"
                  r"val)[ _.-]?)\d+", re.IGNORECASE)


def matches(path: Path) -> bool:
    """A folder of which most sub-folders hold pictures, or half and no table is beside them; looks
    at a few names."""
    if not path.is_dir():
        return False
    found = entries(path)
    folders = [Path(entry.path) for entry in found if is_folder(entry)]
    if not folders or all(split_of(folder.name) for folder in folders) or (
            len(folders) == 1 and (folders[0].name.lower() in NO_CLASS or _tables(found))):
        return False
    if not_classes([folder.name for folder in folders]):
        return False
    some = folders[:: max(1, len(folders) // CLASSES)][:CLASSES]
    holding = sum(holds_pictures(folder) for folder in some)
    most = 2 * holding > len(some) or (2 * holding == len(some) and not _tables(found))
    return most or (len(some) > 1 and all(map(_holds_one_such, some)))


def not_classes(folders: Sequence[str]) -> bool:
    """Whether folders beside one another are parts of one set, or pictures and their masks."""
    return are_parts(folders) or are_pictures_and_masks(folders)


def are_parts(folders: Sequence[str]) -> bool:
    """Whether folders are numbered parts of one set, as images_part_1 and images_part_2 are."""
    found = [PART.fullmatch(name) for name in folders]
    return len(folders) > 1 and all(found) and len({part[1] for part in found}) == 1


def _tables(found: Sequence[os.DirEntry]) -> bool:
    """Whether a table or list of pictures is there, which says more than the only folder's name."""
    files = [Path(entry.path) for entry in found if entry.is_file(follow_symlinks=False)]
    return any(knows(form, file) for file in files 
               for form in (text_table, json_lines, file_list))


def entries(path: Path) -> list[os.DirEntry]:
    """The first entries of a folder, by name; none where it is closed to this account."""
    return sorted(_some(path), key=lambda entry: entry.name)


def _some(path: Path) -> Iterator[os.DirEntry]:
    try:
        with os.scandir(path) as found:
            yield from islice(found, ENTRIES)
    except OSError:
        return


def is_folder(entry: os.DirEntry) -> bool:
    """Whether an entry is a folder by itself, no link, that a person made."""
    return entry.is_dir(follow_symlinks=False) and not is_litter(entry.name)


def holds_pictures(folder: Path) -> bool:
    """Whether pictures lie in the folder itself; looks at its first entries."""
    return any(is_picture(entry.name) and entry.is_file(follow_symlinks=False)
               and not is_litter(entry.name) for entry in _some(folder))


def _holds_one_such(folder: Path) -> bool:
    """As in Tiny ImageNet: n01443537/images/…; the outer folder is the class."""
    below = [entry for entry in entries(folder) if is_folder(entry)]
    return len(below) == 1 and not split_of(below[0].name) and holds_pictures(Path(below[0].path))


def load(path: Path) -> DataSet:
    """Pictures by class in the order of the classes' names; none is decoded yet."""
    source = Folder(path)
    files, masks = _pictures(source)
    return _of_classes(source, files, "", (*_empty_note(source, files), *skipped_note(source),
                                           *masks))


def _folders(path: Path) -> list[str]:
    return [as_text(entry.name) for entry in entries(path) if is_folder(entry)]


def _empty_note(source: Folder, files: Sequence[str]) -> tuple[str, ...]:
    """What to say of sub-folders that no class comes from, though one may have in training."""
    held = {*source.closed, *(name.partition("/")[0] for name in files)}
    empty = [name for name in _folders(source.path) if name not in held]
    if not empty:
        return ()
    words = "sub-folder holds no picture and is no class" if len(empty) == 1 else \
        "sub-folders hold no picture and are no classes"
    return (f"{len(empty):,} {words}, first {empty[0]}: classes that come after it by name count "
            "one less than where it is one.",)


def inside(source: Source) -> DataSet | None:
    """An archive's class folders; of train, val and test the last that it has."""
    files, masks = _pictures(source)
    split, prefix, notes = _chosen_split(files)
    chosen = [name for name in files if name.startswith(prefix)]
    if not any("/" in name[len(prefix):] for name in chosen):
        return None
    return _of_classes(source, chosen, prefix, (*notes, *masks), split)


def _pictures(source: Source) -> tuple[list[str], tuple[str, ...]]:
    return without_masks(list(filter(is_picture, source.names())))


def _chosen_split(names: Sequence[str]) -> tuple[str, str, tuple[str, ...]]:
    """(split, the folder of the classes with '/', what to say): of train, val and test one, and of
    folders that are the only one what lies inside."""
    split, prefix, said = "", "", ()
    while True:
        names = [name for name in names if name.startswith(prefix)]
        tops = {name[len(prefix):].split("/")[0] for name in names if "/" in name[len(prefix):]}
        splits = sorted(filter(split_of, tops))
        chosen = min(splits or sorted(tops), key=lambda top: SPLITS.index(split_of(top)),
                     default="")
        if splits and (len(splits) == len(tops) or len(set(map(split_of, splits))) > 1):
            if others := ", ".join(sorted(tops - {chosen})):
                said = (*said, f"{chosen} is shown; not shown: {others}.")
            split = split_of(chosen)
        elif len(tops) != 1 or any(name[len(prefix):].count("/") < 2 for name in names):
            return split, prefix, said
        prefix += f"{chosen}/"


def _of_classes(source: Source, files: list[str], prefix: str, notes: tuple[str, ...],
                split: str = "") -> DataSet:
    loose = [name for name in files if "/" not in name[len(prefix):]]
    files = [name for name in files if "/" in name[len(prefix):]]
    if not files:
        raise UserError(f"{source.title} holds no pictures in sub-folders. One sub-folder per "
                        "class is wanted, with PNG, JPEG, WebP, BMP, GIF or TIFF files in it.")
    classes = [name[len(prefix):].partition("/")[0] for name in files]
    class_names = in_order(classes)
    position = {name: index for index, name in enumerate(class_names)}
    found = picture_files(source, files)
    labels = np.array([position[name] for name in classes], dtype=np.int64)[found.kept]
    meant = named_by_any(ClassLabels(labels, class_names), source, prefix)
    if loose:
        notes += (f"{counted(len(loose), 'picture')} outside of class folders left out.",)
    told = len(class_names) > 1
    said = (f"{len(labels):,} pictures in {len(class_names)} sub-folders; the sub-folder's name is "
            "the class.", *notes, *meant.notes) if told else (without_classes(len(labels)), *notes)
    return DataSet(
        title=f"{source.title}, {split}" if split else source.title,
        image=found.image, labels=labels if told else None,
        class_names=meant.class_names if told else (),
        metadata=found.paths.to_frame(), split=split or split_of(source.title),
        unreadable=found.unreadable,
        notes=(*said, *found.notes, *label_notes(labels if told else None, meant.class_names)),
    )


def without_classes(pictures: int) -> str:
    """What to say of pictures that no folders tell apart; one folder alone is no class, since an
    archive of it does not keep its name either."""
    return (f"{counted(pictures, 'picture')}, not in class folders: two classes or more, a folder "
            "each, would give labels.")


def content_id(path: Path) -> str:
    """Changes with the pictures' names, sizes and times of change; no picture is read for it."""
    folder = Folder(path)
    names = (path / name for name in dictionaries(folder))
    return content_ids.of_folder(folder, list(filter(is_picture, folder.names())),
                                 content_ids.of_files(*names), *_folders(path))


FORMAT = Format("Folder with one sub-folder per class", matches, load, content_id, inside,
                tables=frozenset())
