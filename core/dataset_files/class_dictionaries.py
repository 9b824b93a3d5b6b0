"""Names for the ids of classes, from a file beside the data: classes.txt, class_names.json, …"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.dataset_files.class_labels import UNKNOWN, ClassLabels
from core.dataset_files.file_sources import Source
from core.dataset_files.image_files import is_picture
from core.errors import UserError
from core.files.json_depth import json_depth
from core.files.limits import current_limits

LARGEST = 16 << 20  # bytes
FILES = ("classes.txt", "labels.txt", "class_names.txt", "synset_words.txt", "words.txt",
         "class_names.json", "classes.json", "labels.json", "label_map.json", "class_to_idx.json",
         "id2label.json", "idx_to_class.json", "index_to_name.json", "class_indices.json",
         "cat_to_name.json", "imagenet_class_index.json", "label_num_to_disease_map.json",
         "classnames.txt", "names.txt", "categories.txt")
WORDS = re.compile(r"[\s,;]+")
KEYED = re.compile(r"(\d{1,6}|n\d{8})[:,;\s]+(.+)")
WRAPPED = ("names", "classes", "class_names", "id2label", "class_to_idx", "labels")


def named(found: ClassLabels, source: Source, folder: str) -> ClassLabels:
    """Labels whose classes have the names that a dictionary in the folder gives their ids.

    Unchanged without one, and where the classes are no ids. The order of the classes stays.
    """
    for file in FILES:
        place = f"{folder}/{file}" if folder else file
        if place in source and (names := _read(source, place)):
            renamed = _renamed(found, names, file)
            if renamed is not found:
                return renamed
    return found


def named_by_any(found: ClassLabels, source: Source, prefix: str) -> ClassLabels:
    """Classes of folders, named by a dictionary in one of the folders that `prefix` ends in."""
    parts = prefix.rstrip("/").split("/") if prefix else []
    for depth in range(len(parts), -1, -1):
        renamed = named(found, source, "/".join(parts[:depth]))
        if renamed is not found and len(renamed.labels) and (
                np.array_equal(renamed.labels, found.labels)
                and len(renamed.class_names) == len(found.class_names)):
            return renamed
    return found


def dictionaries(source: Source) -> list[str]:
    """The files of names that a source has beside its folders of classes."""
    return [file for file in FILES if file in source]


def _read(source: Source, place: str) -> dict[str, str] | list[str]:
    """Names by id, or in their order; empty where the file is something else."""
    try:
        content = source.read(place, LARGEST)
    except UserError:
        return []
    if place.endswith(".json"):
        return _from_json(content)
    lines = [line.strip() for line in content.decode("utf-8-sig", "replace").splitlines()]
    lines = [line for line in lines if line]
    if any(is_picture(word) for line in lines for word in WORDS.split(line)):
        return []  # a list of pictures, perhaps with their labels
    keyed = [KEYED.fullmatch(line) for line in lines]
    if lines and all(keyed) and len({found[1] for found in keyed}) == len(lines):
        return {_plain(found[1]): found[2].strip() for found in keyed}
    return lines


def _from_json(content: bytes) -> dict[str, str] | list[str]:
    if json_depth(content) > current_limits().json_depth:
        return []
    try:
        said = json.loads(content)
    except ValueError:
        return []
    while isinstance(said, dict) and (key := next((k for k in WRAPPED if isinstance(
            said.get(k), (dict, list))), None)):
        said = said[key]
    if isinstance(said, list):
        return said if all(isinstance(name, str) for name in said) else []
    if not isinstance(said, dict):
        return []
    if all(type(value) is int for value in said.values()):  # name -> id
        return {str(value): str(key) for key, value in said.items()}
    pairs = {_plain(key): _name(value) for key, value in said.items()}
    pairs |= {str(value[0]): value[1] for value in said.values() if _is_pair(value)}
    return pairs if all(pairs.values()) else []


def _name(value: Any) -> str:
    return value if isinstance(value, str) else value[1] if _is_pair(value) else ""


def _is_pair(value: Any) -> bool:
    """As in {"0": ["n01440764", "tench"]}."""
    return isinstance(value, list) and len(value) == 2 and all(isinstance(v, str) for v in value)


def _plain(key: str) -> str:
    return str(int(key)) if key.isdigit() and key.isascii() else key


def _renamed(found: ClassLabels, names: dict[str, str] | list[str], file: str) -> ClassLabels:
    own = found.class_names
    ids = all(name.isdigit() and name.isascii() for name in own)
    used = set(np.unique(found.labels[found.labels != UNKNOWN]).tolist())
    if not used:
        return found
    if isinstance(names, list) and not ids:
        return _in_order_of(found, names, file)
    if isinstance(names, list):
        highest, lowest = (f(int(own[label]) for label in used) for f in (max, min))
        first = int(highest == len(names) and lowest >= 1)
        if highest >= len(names) + first:
            return replace(found, notes=(*found.notes, f"{file} has {len(names):,} names, but the "
                                         f"ids go up to {highest:,}; it is not used."))
        names = {str(first + place): name for place, name in enumerate(names)}
    if not all(_plain(own[label]) in names for label in used):
        return found
    first = int(bool(own) and own[0] == "0" and 0 not in used and "0" not in names)
    shown = [names.get(_plain(name), name) for name in own[first:]]
    if ids and list(own) == [str(place) for place in range(len(own))]:  # not by folders
        shown += [names[str(place)] for place in range(len(own), len(own) + len(names))
                  if str(place) in names]
    labels = np.where(found.labels == UNKNOWN, UNKNOWN, found.labels - first)
    note = f"Class names from {file}" + (", whose ids begin at 1." if first else ".")
    return replace(found, labels=labels, class_names=_short(shown), notes=(*found.notes, note))


def _in_order_of(found: ClassLabels, names: list[str], file: str) -> ClassLabels:
    """Classes that are names already, in the order of a list of them all."""
    if not set(found.class_names) <= set(names) or len(set(names)) < len(names):
        return found
    place = np.array([*map(names.index, found.class_names), UNKNOWN])
    return ClassLabels(place[found.labels], tuple(names),
                       (*found.notes, f"Classes in the order of {file}."))


def _short(names: Sequence[str]) -> tuple[str, ...]:
    """The first of several words for a class, where that tells them apart."""
    short = [name.split(",")[0].strip() for name in names]
    return tuple(short if len(set(short)) == len(set(names)) else names)
