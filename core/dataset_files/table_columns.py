"""Which column of a table is what: the picture, its label, the label's name, pixels, the split."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.dataset_files.array_roles import split_of
from core.dataset_files.class_labels import text_of
from core.dataset_files.image_files import is_picture
from core.dataset_files.picture_paths import path_in
from core.table_ids import IsStem, id_column

FEWEST_PIXELS = 16
PATHS = ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "img",
         "image_path", "img_path", "image_file", "image_name", "image_id", "id_code", "picture")
LABELS = ("label", "labels", "class", "class_index", "class_id", "label_id", "label_index",
          "target", "category", "category_id", "y", "emotion", "species", "breed", "diagnosis",
          "level", "ground_truth", "gt", "class_name", "label_name", "fine_label", "digit",
          "classid", "labelid", "class_label", "dx", "cell_type", "disease", "class_idx",
          "label_idx", "cls")
LAST_WORDS = {"label", "labels", "class", "category", "target", "species", "breed", "diagnosis",
              "disease"}  # of a column such as true_label
LABEL_NAMES = ("class_name", "label_name", "name", "category_name", "label_text", "classname",
               "text", "species", "target_name")
SPLITS = ("split", "usage", "set", "subset", "partition", "phase", "dataset", "data_set", "fold",
          "split_name")
SPLIT_FLAGS = {  # the split of rows where it is true, and where it is not
    "is_valid": ("validation", "train"), "is_val": ("validation", "train"),
    "is_test": ("test", "train"), "is_train": ("train", "test"),
    "is_training_img": ("train", "test"), "is_training": ("train", "test")}
MEASURES = {"width", "height", "size", "age", "x", "y", "depth", "channels", "area", "score",
            "weight", "fold", "rotation", "angle", "confidence"}
FEWEST_TO_COUNT = 3
WORDS_OF_A_CAPTION = 4  # on average, at least
PIXEL = re.compile(r"(.*?)[ _.-]?(\d+)(x\d+)?")
NUMBER = re.compile(r"[+-]?(\d+[.]?\d*|[.]\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Columns:
    """Names of columns; None or () where the table has none such.

    pixel_text: one cell holds all pixels, separated by spaces. one_hot: a column a class.
    split: says of each row to which split it belongs.
    """

    path: str | None = None
    pixels: tuple[str, ...] = ()
    pixel_text: str | None = None
    label: str | None = None
    label_name: str | None = None
    one_hot: tuple[str, ...] = ()
    split: str | None = None

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
    found = _roles(sample, is_stem)
    return found and replace(found, split=split_column(sample))


def _roles(sample: Mapping[str, Sequence[str]], is_stem: IsStem | None) -> Columns | None:
    plain = _plain(sample)
    pixels = _pixels(sample)
    if pixels:
        label = label_column(sample, set(pixels))
        one_hot = () if label else _one_hot(sample, set(pixels))
        return Columns(pixels=pixels, label=label, one_hot=one_hot,
                       label_name=_label_name(plain, label, sample))
    for name, cells in sample.items():
        if cells and all(_is_pixel_text(cell) for cell in cells):
            return Columns(pixel_text=name, label=label_column(sample, {name}))
    path = _path(plain, sample)
    if path is None and is_stem is not None:
        path = id_column(sample, is_stem)
    return None if path is None else _labelled(path, plain, sample)


def _plain(names: Iterable[str]) -> dict[str, str]:
    return {re.sub(r"[ -]", "_", name.strip().lower()): name for name in names}


def _labelled(path: str, plain: Mapping[str, str], sample: Mapping[str, Sequence[str]]) -> Columns:
    label = _first(plain, LABELS, {path})
    one_hot = () if label else _one_hot(sample, {path})
    if one_hot:
        return Columns(path=path, one_hot=one_hot)
    label = label or label_column(sample, {path})
    return Columns(path=path, label=label, label_name=_label_name(plain, label, sample))


def _one_hot(sample: Mapping[str, Sequence[str]], taken: set[str]) -> tuple[str, ...]:
    found = [name for name in _others(sample, taken)
             if set(sample[name]) <= {"0", "1", "0.0", "1.0"}]
    return tuple(found) if len(found) > 1 else ()


def label_column(sample: Mapping[str, Sequence[str]], taken: set[str]) -> str | None:
    """The column that is called a label, else the only other one, else the only one whose values
    repeat as classes do, or of these the only one whose last word is a label's."""
    if known := _first(_plain(sample), LABELS, taken):
        return known
    others = _others(sample, taken)
    if len(others) == 1:
        return None if _are_captions(sample[others[0]]) else others[0]
    others = [name for name in others if name.strip().lower() not in MEASURES
              and 1 < len(set(sample[name])) <= max(2, len(sample[name]) // 2)]
    called = [name for name in others if not any("|" in cell for cell in sample[name])
              and re.split(r"[\W_]+", name.strip().lower())[-1] in LAST_WORDS]
    return next((few[0] for few in (others, called) if len(few) == 1), None)


def _are_captions(cells: Sequence[str]) -> bool:
    """Whether each picture has a sentence of its own, which is no class."""
    words = sum(len(cell.split()) for cell in cells)
    return (len(set(cells)) == len(cells) >= FEWEST_TO_COUNT
            and words >= WORDS_OF_A_CAPTION * len(cells))


def is_called_label(name: str) -> bool:
    """Whether a column's name says that it holds labels."""
    return not _plain([name]).keys().isdisjoint(LABELS)


def split_column(sample: Mapping[str, Sequence[str]]) -> str | None:
    """The column that says of each row to which split it belongs."""
    return next((name for key, name in _plain(sample).items() if key in SPLIT_FLAGS
                 or (key in SPLITS and any(map(split_of, sample[name])))), None)


def _others(sample: Mapping[str, Sequence[str]], taken: set[str]) -> list[str]:
    """Columns that are neither taken nor of splits, nor merely count the rows."""
    return [name for key, name in _plain(sample).items() if name not in taken
            and key not in {*SPLITS, *SPLIT_FLAGS} and not _counts(name, sample[name])]


def _counts(name: str, cells: Sequence[str]) -> bool:
    """Whether a column is the index that pandas writes first, without a name."""
    numbers = [int(cell) for cell in cells if cell.isdigit() and cell.isascii() and len(cell) < 10]
    return (name.strip().lower().startswith(("unnamed", "index", "__index_level"))
            and len(numbers) == len(cells) >= FEWEST_TO_COUNT
            and numbers == list(range(numbers[0], numbers[0] + len(numbers))))


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
                if cells and 2 * sum(is_picture(path_in(cell)) for cell in cells) >= len(cells)]
    by_name = [plain[key] for key in PATHS if key in plain]
    for name in by_name:
        if name in by_cells or any(is_picture(path_in(cell)) for cell in sample[name]):
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
