"""Labels in the names of pictures: cat.0.jpg, dog.0.jpg, Abyssinian_12.jpg."""

import re
from collections import Counter
from collections.abc import Sequence

from core.dataset_files.array_roles import split_of
from core.dataset_files.class_labels import ClassLabels, class_labels

NUMBER = re.compile(r"[)]?\d+[(]?[ _.-]*")  # of a name read backwards, which never tries twice
LETTER = re.compile(r"[^\W\d_]")
OF_DEVICES = {"img", "image", "images", "imgs", "picture", "pic", "photo", "frame", "file", "page",
              "scan", "dsc", "dscn", "dscf", "pxl", "gopr", "mvi", "vid", "wp", "screenshot",
              "screen", "shot", "sample", "example", "patch", "tile", "crop", "id", "no", "nr", "p",
              "patient", "case", "subject", "slice", "im", "i", "x", "imgp", "sam", "isic", "copy"}
FEWEST = 2  # pictures of each name, at least, and as many names
ON_AVERAGE = 3


def labels_in_names(paths: Sequence[str]) -> ClassLabels | None:
    """The words before a number, where all pictures are called so, several alike; None where those
    are words of cameras, of splits, or of one picture each."""
    words = []
    for path in paths:
        if not (word := _before_number(path.rpartition("/")[2].rpartition(".")[0])):
            return None
        words.append(word)
    times = Counter(words)
    if len(times) < FEWEST or min(times.values()) < FEWEST or len(paths) < ON_AVERAGE * len(times):
        return None
    if any(split_of(word) or OF_DEVICES & set(re.split(r"[\W\d_]+", word.lower()))
           for word in times):
        return None
    labels = class_labels(words, "the names of the pictures")
    first = paths[0].rpartition("/")[2]
    note = (f"The class is what a picture is called, up to the number: {first} is "
            f"{words[0]}. Nothing else says so; a folder for each class would.")
    return ClassLabels(labels.labels, labels.class_names, (note,))


def _before_number(name: str) -> str:
    """'' where the name does not end in a number, or has no letter before it."""
    number = NUMBER.match(name[::-1])
    word = name[:len(name) - number.end()] if number else ""
    return word if LETTER.search(word) else ""
