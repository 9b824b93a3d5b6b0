"""Ids that stand for pictures: the names of files without their ending, as Kaggle's tables have."""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from core.dataset_files.file_sources import Source, is_litter
from core.dataset_files.image_files import is_picture

IsStem = Callable[[str], bool]
ID_NAME = re.compile(r"(.*[_ ])?(id|ids|name|index|key|uuid|image|img|file|picture|photo)",
                     re.IGNORECASE)
ENDINGS = (".jpg", ".png", ".jpeg", ".JPG", ".PNG", ".JPEG", ".webp", ".tif", ".tiff", ".bmp")
COMPARED = 5  # cells of a column
COLUMNS = 10  # looked at
PLACES = 64  # folders in which a picture is looked for


def id_column(sample: Mapping[str, Sequence[str]], is_stem: IsStem) -> str | None:
    """The first column whose cells all differ and name pictures; numbers only where it is called
    like an id, since a column of steps or epochs would name 0.png too."""
    for name, cells in islice(sample.items(), COLUMNS):
        named = ID_NAME.fullmatch(name.strip()) or not any(map(str.isdigit, cells))
        if cells and named and len(set(cells)) == len(cells) and all(
                map(is_stem, cells[:COMPARED])):
            return name
    return None


def stems_of(source: Source, folder: str) -> IsStem:
    """Whether a picture of that name lies in a folder of a source or below it; where no picture
    does, in the folder above or below that."""
    found: list[set[str]] = []  # once it was looked for

    def is_stem(stem: str) -> bool:
        if not found:
            found.append(_stems(source, folder) or _stems(source, folder.rpartition("/")[0]))
        return stem.rpartition("/")[2] in found[0]

    return is_stem


def _stems(source: Source, folder: str) -> set[str]:
    below = f"{folder}/" if folder else ""
    return {name.rpartition("/")[2].rpartition(".")[0] for name in source.names()
            if name.startswith(below) and is_picture(name)}


def stems_near(folder: Path) -> IsStem:
    """The same for a folder and two levels below it, without listing the pictures there."""
    places: list[Path] = []

    def is_stem(stem: str) -> bool:
        if not stem or "\0" in stem or Path(stem).is_absolute() or ".." in Path(stem).parts:
            return False
        if not places:
            places.extend(islice(_folders(folder, 2), PLACES))
        return any((place / f"{stem}{ending}").is_file() for place in places for ending in ENDINGS)

    return is_stem


def _folders(folder: Path, depth: int) -> list[Path]:
    found = [folder]
    if depth:
        try:
            below = [place for place in islice(folder.iterdir(), 10 * PLACES)
                     if place.is_dir() and not place.is_symlink() and not is_litter(place.name)]
        except OSError:  # closed to this account
            return found
        for place in sorted(below)[:PLACES]:
            found += _folders(place, depth - 1)
    return found
