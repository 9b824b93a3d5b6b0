"""Pictures that are no examples but masks or annotations of others, told by names alone."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

PICTURES = {"images", "image", "imgs", "img", "pictures", "photos", "jpegimages", "jpg", "jpeg",
            "png", "frames", "data", "inputs", "input"}
WORDS = {"mask", "masks", "annotation", "annotations", "annots", "anns", "label", "labels",
         "segmentation", "segmentations", "segmentationclass", "segmentationobject", "seg",
         "groundtruth", "gt", "trimap", "trimaps", "bboxes", "boxes", "edges", "depth", "matte",
         "mattes", "alpha"}
LISTS = {"imagesets", "lists", "list", "meta", "splits", "metadata", "misc", "docs"}
SUFFIX = re.compile(r"(.+?)[ _.-](mask|masks|seg|segmentation|label|labels|annotation|gt|matte|"
                    r"trimap)([ _.-]?\d+)?", re.IGNORECASE)


def is_of_masks(folder: str) -> bool:
    """Whether a folder's name says that it holds masks or annotations."""
    return folder.lower() in WORDS or SUFFIX.fullmatch(folder) is not None


def are_pictures_and_masks(folders: Sequence[str]) -> bool:
    """Whether folders beside one another are one of pictures and others of their masks, labels and
    lists: no classes."""
    pictures = [name for name in folders if name.lower() in PICTURES]
    masks = [name for name in folders if is_of_masks(name)]
    others = set(folders) - {*pictures, *masks}
    of_others = {found[1] for name in masks if (found := SUFFIX.fullmatch(name))}
    return bool(masks) and (bool(pictures) or (bool(others) and others <= of_others)) and all(
        name in of_others or name.lower() in LISTS for name in others)


def without_masks(names: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Of the names of pictures those that are examples, and what to say of the others.

    A mask lies beside its picture as x_mask.png, or under the same name in a folder of masks beside
    that of the pictures.
    """
    every = "\n".join(names).lower()
    if not any(word in every for word in WORDS):
        return list(names), ()
    stems: dict[str, set[str]] = defaultdict(set)
    for name in names:
        folder, _, last = name.rpartition("/")
        stems[folder].add(last.rpartition(".")[0])
    masks = {folder for folder in stems if _holds_masks(folder, stems)}
    kept, left = [], Counter()
    for name in names:
        folder, _, last = name.rpartition("/")
        found = SUFFIX.fullmatch(last.rpartition(".")[0])
        if folder in masks:
            left[f"{folder}/"] += 1
        elif found and found[1] in stems[folder]:
            left[f"such as {last}"[:60] if not left else next(iter(left))] += 1
        else:
            kept.append(name)
    if not left or not kept:
        return list(names), ()
    some = ", ".join(list(left)[:3]) + (" …" if len(left) > 3 else "")
    return kept, (f"{left.total():,} pictures are masks or annotations of others and are left out "
                  f"({some}).",)


def _holds_masks(folder: str, stems: dict[str, set[str]]) -> bool:
    """Whether most pictures of a folder are called like those in a folder of pictures beside."""
    parts = folder.split("/")
    for place, part in enumerate(parts):
        if not is_of_masks(part):
            continue
        found = SUFFIX.fullmatch(part)
        of_pictures = {stem for other, names in stems.items()
                       if _beside(other.split("/"), parts, place, found[1] if found else "")
                       for stem in names}
        own = {found[1] if (found := SUFFIX.fullmatch(stem)) else stem for stem in stems[folder]}
        if 2 * len(own & of_pictures) >= len(own):
            return True
    return False


def _beside(other: list[str], parts: list[str], place: int, of: str) -> bool:
    """Whether two folders differ in one part, which is called after pictures in the other."""
    return (len(other) == len(parts) and other[:place] == parts[:place]
            and other[place + 1:] == parts[place + 1:]
            and (other[place] == of or other[place].lower() in PICTURES))
