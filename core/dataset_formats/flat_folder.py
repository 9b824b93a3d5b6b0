"""A folder of pictures without classes, or with a table or list in it that says them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from core.dataset_files.array_roles import SPLITS, split_of
from core.dataset_files.class_labels import label_notes
from core.dataset_files.counts import counted
from core.dataset_files.file_sources import Folder, Source, is_litter, skipped_note
from core.dataset_files.image_files import is_picture, picture_files
from core.dataset_files.masks import is_of_masks, without_masks
from core.dataset_files.name_labels import labels_in_names
from core.dataset_formats import (
    DataSet,
    Format,
    file_list,
    image_folder,
    json_lines,
    text_table,
    web_dataset,
)
from core.errors import UserError
from core.files import content_ids

COLUMNS = text_table.ENDINGS | json_lines.ENDINGS
TABLES = COLUMNS | file_list.ENDINGS
MOST, OF_A_SPLIT = 0.5, 0.05  # of the pictures, that a table names


def matches(path: Path) -> bool:
    """A folder of which most files are pictures, or called as one is, and no sub-folder holds any;
    or of which the sub-folders are parts of one set, or pictures and their masks."""
    if not path.is_dir() or image_folder.matches(path) or web_dataset.matches(path):
        return False
    entries = [entry for entry in image_folder.entries(path) if not is_litter(entry.name)]
    folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    holding = any(image_folder.holds_pictures(Path(entry.path)) for entry in folders)
    if image_folder.not_classes([entry.name for entry in folders]):
        return holding
    files = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    pictures = {name.partition(".")[0] for name in files if is_picture(name)}
    others = [name for name in files if name.partition(".")[0] not in pictures]
    return not holding and len(files) - len(others) >= max(1, len(others))


def load(path: Path) -> DataSet:
    """The pictures, with the labels of a table in the folder where it has one. Raises UserError."""
    source = Folder(path)
    found = described(source) or _of_split(source)
    return replace(found, notes=(*skipped_note(source), *found.notes))


def inside(source: Source) -> DataSet | None:
    """An archive's pictures, where they lie in no class folders; of splits the last that it has."""
    files, _ = without_masks(list(filter(is_picture, source.names())))
    leaves = {leaf for name in files if (leaf := name.rpartition("/")[0].rpartition("/")[2])}
    if not files or _are_classes_above(files) or not (image_folder.are_parts(sorted(leaves)) or all(
            leaf.lower() in image_folder.NO_CLASS or split_of(leaf) for leaf in leaves)):
        return None
    return described(source) or _of_split(source)


def _are_classes_above(files: list[str]) -> bool:
    """As in Tiny ImageNet: train/n01443537/images/…; folders further up tell the pictures apart."""
    above = {parts[-3] if len(parts) > 2 else "" for parts in (name.split("/") for name in files)}
    return len(above) > 1 and not any(
        name == "" or split_of(name) or name.lower() in image_folder.NO_CLASS for name in above
    ) and not image_folder.not_classes(sorted(above))


def _of_split(source: Source) -> DataSet:
    """The pictures of one split, where folders say which they are of."""
    files, masks = without_masks(list(filter(is_picture, source.names())))
    splits = {name: split for name in files if (split := _split(name))}
    if not splits:
        return _plain(source, files, masks, split_of(source.title))
    chosen = min(set(splits.values()), key=SPLITS.index)
    if len(splits) < len(files):
        chosen = min(chosen, "", key=SPLITS.index)
    kept = [name for name in files if splits.get(name, "") == chosen]
    others = {name.rpartition("/")[0] for name in files if splits.get(name, "") != chosen}
    said = (f"{chosen or 'What is of no split'} is shown; not shown: "
            f"{', '.join(sorted(others))}.",) if others else ()
    return _plain(source, kept, (*said, *masks), chosen)


def _split(name: str) -> str:
    """The split that one of a picture's folders names."""
    return next(filter(None, map(split_of, name.split("/")[:-1])), "")


def described(source: Source) -> DataSet | None:
    """By the first table or list that names most of the pictures in the folders of its own, or that
    names those of one split with their labels; one with labels before others."""
    names = source.names()
    if TABLES.isdisjoint(map(_ending, names)) and not any(map(web_dataset.is_class, names)):
        return None
    files, masks = without_masks(list(filter(is_picture, names)))
    pictures, without_labels = Counter(map(_top, files)), None
    for form in (text_table, json_lines, file_list, web_dataset):
        try:
            found = form.inside(source)
        except UserError:  # of something else
            continue
        if found is None or "path" not in found.metadata:
            continue
        tops = set(map(_top, found.metadata["path"]))
        beside = sum(pictures[top] for top in tops)
        of_split = split_of(found.title) or (found.split and not all(map(split_of, tops)))
        part = OF_A_SPLIT if of_split and found.labels is not None else MOST
        if beside and len(found) >= part * beside:
            said = "files of the same name" if form is web_dataset else found.title
            found = replace(found, title=source.title,
                            notes=(f"Labels and columns from {said}.", *masks, *found.notes))
            if found.labels is not None:
                return found
            without_labels = without_labels or found
    return without_labels


def _top(name: str) -> str:
    return name.partition("/")[0] if "/" in name else ""


def _plain(source: Source, files: list[str], notes: tuple[str, ...], split: str) -> DataSet:
    if not files:
        raise UserError(f"{source.title} holds no pictures. PNG, JPEG, WebP, BMP, GIF and TIFF "
                        "files are read.")
    found = picture_files(source, files)
    named = labels_in_names([files[row] for row in found.kept])
    labels, names = (named.labels, named.class_names) if named else (None, ())
    said = named.notes if named else (image_folder.without_classes(len(found.kept)),)
    return DataSet(
        title=source.title, image=found.image, labels=labels, class_names=names,
        metadata=found.paths.to_frame(), split=split, unreadable=found.unreadable,
        notes=(*said, *notes, *_unread(source), *found.notes, *label_notes(labels, names)),
    )


def _unread(source: Source) -> tuple[str, ...]:
    """What lies beside the pictures and may say their labels, but is not read."""
    said = []
    names = [name for name in source.names() if not is_picture(name)]
    outlines = [name for name in names if name.lower().endswith(".coco.json")
                or any(map(is_of_masks, name.split("/")[:-1]))]
    if tables := [name for name in names if _ending(name) in COLUMNS]:
        said.append(f"{', '.join(tables[:4])}: not used, since no column names most of these "
                    "pictures. A column called path with their file names, and one called label, "
                    "would give labels.")
    for ending, kind in ((".mat", "MATLAB"), (".json", "JSON")):
        if found := [name for name in names if _ending(name) == ending and name not in outlines]:
            said.append(f"{', '.join(found[:4])}: {kind} files beside pictures are not "
                        "read. If the labels are in one, save them as a CSV with the columns path "
                        "and label beside the pictures.")
    if outlines:
        said.append(f"{counted(len(outlines), 'file')} of annotations, boxes or outlines, not "
                    f"read, first {outlines[0]}.")
    return tuple(said)


def content_id(path: Path) -> str:
    """Changes with any picture, table or list in the folder."""
    folder = Folder(path)
    tables = [path / name for name in folder.names() if _ending(name) in TABLES]
    pictures = [name for name in folder.names() if is_picture(name)
                or _ending(name) in web_dataset.ENDINGS]
    return content_ids.of_folder(folder, pictures, content_ids.of_files(*tables))


def _ending(name: str) -> str:
    return name[name.rfind("."):].lower()


FORMAT = Format("Folder of pictures", matches, load, content_id, inside,
                tables=frozenset(TABLES))
