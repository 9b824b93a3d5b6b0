"""Which array of a file is what, by its name and shape: images, labels, class names, and of which
split."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

SPLITS = ("test", "", "validation", "train")  # the first that a file has is opened
SPLIT_WORDS = {"test": "test", "testing": "test", "train": "train", "training": "train",
               "val": "validation", "valid": "validation", "validation": "validation",
               "dev": "validation", "publictest": "validation", "privatetest": "test"}
IMAGE_WORDS = {"x", "images", "image", "imgs", "img", "data", "features", "pixels", "inputs",
               "input", "pictures", "samples"}
LABEL_WORDS = {"y", "labels", "label", "targets", "target", "lbl", "class", "annotations"}
NAMES = {"class_names", "classnames", "classes", "label_names", "names", "categories",
         "target_names"}


@dataclass(frozen=True)
class Roles:
    """Keys of one split's arrays; others: (split, key of images) of the file's further splits."""

    split: str
    images: str
    labels: str | None
    class_names: str | None
    others: tuple[tuple[str, str], ...]


def split_of(name: str) -> str:
    """test, train, validation, or '' for a file's or folder's name."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), "")


def split_of_file(path: str) -> str:
    """The split that a file's name says, or else its folder's."""
    folder, _, name = path.rpartition("/")
    return split_of(name) or split_of(folder.rpartition("/")[2])


def roles(shapes: Mapping[str, tuple[int, ...]]) -> Roles | None:
    """What the arrays of a file are, by key and shape; None where none can be images."""
    named = {key: _role(key) for key in shapes}
    images = {split: key for key, (split, role) in named.items() if role == "images"}
    if not images:
        unnamed = [key for key, (_, role) in named.items() if not role and len(shapes[key]) >= 2]
        unnamed.sort(key=lambda key: len(shapes[key]) < 3)  # stable: pictures before flat rows
        images = {split_of(key): key for key in reversed(unnamed)}
    if not images:
        return None
    split = next(split for split in SPLITS if split in images)
    chosen = images.pop(split)
    return Roles(split, chosen, _labels_for(chosen, split, shapes, named), _names_in(shapes),
                 tuple(sorted(images.items())))


def _role(key: str) -> tuple[str, str]:
    """(split, images or labels or '') of a key such as x_test, testX, train_labels, images."""
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", key).lower())
    if len(words) == 1 and (found := re.fullmatch("(x|y)(train|test|val|valid)", words[0])):
        words = list(found.groups())
    split = next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), "")
    rest = [word for word in words if word not in SPLIT_WORDS]
    if key.lower() in NAMES:
        return split, "names"
    if any(word in LABEL_WORDS for word in rest):
        return split, "labels"
    return split, "images" if any(word in IMAGE_WORDS for word in rest) else ""


def _labels_for(chosen: str, split: str, shapes: Mapping[str, tuple[int, ...]],
                named: Mapping[str, tuple[str, str]]) -> str | None:
    for key, role in named.items():
        if role == (split, "labels"):
            return key
    fitting = [key for key, (_, role) in named.items() if key != chosen and not role
               and shapes[key][:1] == shapes[chosen][:1] and len(shapes[key]) <= 2]
    following = [key for key in fitting if list(shapes).index(key) > list(shapes).index(chosen)]
    unnamed = [key for key in (following or fitting) if re.fullmatch(r"arr_\d+", key)]
    return unnamed[0] if unnamed else fitting[0] if len(fitting) == 1 else None


def _names_in(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    return next((key for key in shapes if key.lower() in NAMES and len(shapes[key]) == 1), None)
