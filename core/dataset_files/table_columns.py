"""Which column of a table is what: the picture, its label, the label's name, pixels, the split."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.dataset_files.class_labels import text_of
from core.dataset_files.image_files import is_picture
from core.table_ids import IsStem, id_column

FEWEST_PIXELS = 16
PATHS = ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "img",
         "image_path", "img_path", "image_file", "image_name", "image_id", "id_code", "picture")
LABELS = ("label", "labels", "class", "class_index", "class_id", "label_id", "label_index",
          "target", "category", "category_id", "y", "emotion", "species", "breed", "diagnosis",
          "level", "ground_truth", "gt", "class_name", "label_name", "fine_label", "digit")
LABEL_NAMES = ("class_name", "label_name", "name", "category_name", "label_text", "classname",
               "text", "species", "target_name")
SPLITS = ("split", "usage", "set", "subset", "partition")
PIXEL = re.compile(r"(.*?)[ _.-]?(\d+)(x\d+)?")
NUMBER = re.compile(r"[+-]?(\d+[.]?\d*|[.]\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Columns:
    """Names of columns; None or () where the table has none such.

    pixel_text: one cell holds all pixels, separated by spaces. one_hot: a column a class.
    """

    path: str | None = None
    pixels: tuple[str, ...] = ()
    pixel_text: str | None = None
    label: str | None = None
    label_name: str | None = None
    one_hot: tuple[str, ...] = ()

    @property
    def used(self) -> set[str | None]:
        """Columns that are no further metadata."""
        return {self.path, self.pixel_text, *self.pixels}


def is_number(text: str) -> bool:
    return NUMBER.fullmatch(text.strip()) is not None


def columns_of(sample: Mapping[str, Sequence[str]],
               is_stem: IsStem | None = None) -> Columns | None:
    """The roles of columns by their names and their first cells; None without pictures.

    is_stem: whether there is a picture of that name, its ending not counted.
    """
    plain = {re.sub(r"[ -]", "_", name.strip().lower()): name for name in sample}
    pixels = _pixels(sample)
    if pixels:
        label = _first(plain, LABELS, set(pixels))
        others = [name for name in sample if name not in pixels]
        if label is None and len(others) == 1:
            label = others[0]
        return Columns(pixels=pixels, label=label, label_name=_label_name(plain, label, sample))
    for name, cells in sample.items():
        if cells and all(_is_pixel_text(cell) for cell in cells):
            return Columns(pixel_text=name, label=_first(plain, LABELS, {name}))
    path = _path(plain, sample)
    if path is None and is_stem is not None:
        path = id_column(sample, is_stem)
    return None if path is None else _labelled(path, plain, sample)


def _labelled(path: str, plain: Mapping[str, str], sample: Mapping[str, Sequence[str]]) -> Columns:
    label = _first(plain, LABELS, {path})
    others = [name for key, name in plain.items() if name != path and key not in SPLITS]
    if label is None and len(others) == 1:
        label = others[0]
    one_hot = [name for name in others if set(sample[name]) <= {"0", "1", "0.0", "1.0"}]
    if label is None and len(one_hot) > 1:
        return Columns(path=path, one_hot=tuple(one_hot))
    return Columns(path=path, label=label, label_name=_label_name(plain, label, sample))


def _first(plain: Mapping[str, str], wanted: Sequence[str], taken: set[str]) -> str | None:
    return next((plain[key] for key in wanted if key in plain and plain[key] not in taken), None)


def _pixels(sample: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The columns that are numbered alike: pixel0, pixel1, … or 1x1, 1x2, …"""
    groups: dict[str, list[str]] = {}
    for name, cells in sample.items():
        if (found := PIXEL.fullmatch(name)) and all(is_number(cell) for cell in cells):
            groups.setdefault(found[1], []).append(name)
    largest = max(groups.values(), key=len, default=[])
    return tuple(largest) if len(largest) >= FEWEST_PIXELS else ()


def _is_pixel_text(cell: str) -> bool:
    start = cell[:60].split()
    return cell.count(" ") >= FEWEST_PIXELS - 1 and all(part.isdigit() for part in start)


def _path(plain: Mapping[str, str], sample: Mapping[str, Sequence[str]]) -> str | None:
    by_cells = [name for name, cells in sample.items()
                if cells and 2 * sum(map(is_picture, cells)) >= len(cells)]
    by_name = [plain[key] for key in PATHS if key in plain]
    for name in by_name:
        if name in by_cells or any(map(is_picture, sample[name])):
            return name
    if by_cells:
        return by_cells[0]
    stems = [name for name in by_name if "image" in name.lower() or name.lower() == "id_code"]
    return stems[0] if stems and _first(plain, LABELS, set(stems)) else None


def _label_name(plain: Mapping[str, str], label: str | None,
                sample: Mapping[str, Sequence[str]]) -> str | None:
    """A column of names beside a column of ids: to each id one name."""
    if label is None or not all(is_number(cell) for cell in sample[label] if text_of(cell)):
        return None
    name = _first(plain, LABEL_NAMES, {label})
    if name is None or all(map(is_number, sample[name])):
        return None
    pairs = dict(zip(sample[label], sample[name], strict=True))
    fits = all(pairs[i] == n for i, n in zip(sample[label], sample[name], strict=True))
    return name if fits else None
