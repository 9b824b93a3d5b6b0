"""Two models' weights side by side: what was added, removed, reshaped, renamed, and how far each
tensor has moved."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import pandas as pd
import torch

from core import store
from core.cache import cached_result
from core.jobs import Progress, demand
from core.library import open_model, path_of
from core.measures.tensor_statistics import blocks
from core.weights import tensors_of

COLUMNS = ["name", "change", "shape", "other_name", "other_shape", "relative_change", "cosine",
           "parameters"]
Tensors = dict[str, torch.Tensor]


@cached_result
def compared(model_id: str, other_id: str) -> pd.DataFrame:
    """One row a tensor of the model or of the other. May raise Working.

    change: equal, changed, renamed (the same place under another name), reshaped, removed (only in
    the model) or added (only in the other). shape, other_name, other_shape: None where there is
    none. relative_change: ||other - model|| / ||model||, 0 where they are equal; cosine, -1 to 1:
    of the two as vectors; both missing where shapes differ, or a number is not finite.
    parameters: numbers in the model's tensor, else in the other's.
    """
    key = store.key(compared=[model_id, other_id], code=store.code())
    title = f"Comparing {path_of(model_id).name} with {path_of(other_id).name}"
    find = partial(store.read_json, key)
    work = partial(_keep, key, model_id, other_id)
    table = pd.DataFrame(demand(key, title, "tensors", find, work, "files"), columns=COLUMNS)
    for column in ("shape", "other_shape"):
        shapes = [None if shape is None else tuple(shape) for shape in table[column]]
        table[column] = pd.Series(shapes, dtype=object)
    return table


def _keep(key: str, model_id: str, other_id: str, progress: Progress) -> None:
    mine, others = (tensors_of(open_model(one).module) for one in (model_id, other_id))
    rows = []
    for row in comparison(mine, others):
        rows.append(row)
        progress(len(rows), len(mine))
    store.write_json(key, rows)


def comparison(mine: Tensors, others: Tensors) -> Iterator[dict[str, Any]]:
    """The rows of `compared`, the model's tensors in their order, then what was added."""
    places = _places(mine, others)
    for name, tensor in mine.items():
        other = places.get(name)
        yield _row(name, tensor, other, others.get(other) if other is not None else None)
    taken = set(places.values())
    for name, tensor in others.items():
        if name not in taken:
            yield _row(name, None, name, tensor)


def _row(
    name: str, tensor: torch.Tensor | None, other_name: str | None, other: torch.Tensor | None
) -> dict[str, Any]:
    both = tensor is not None and other is not None
    alike = both and tensor.shape == other.shape
    relative, cosine = _moved(tensor, other) if alike else (None, None)
    if not both:
        change = "added" if tensor is None else "removed"
    elif not alike:
        change = "reshaped"
    else:
        change = "equal" if relative == 0 else "changed"
        change = change if name == other_name else "renamed"
    return {
        "name": name,
        "change": change,
        "shape": None if tensor is None else list(tensor.shape),
        "other_name": other_name,
        "other_shape": None if other is None else list(other.shape),
        "relative_change": relative,
        "cosine": cosine,
        "parameters": (other if tensor is None else tensor).numel(),
    }


def _places(mine: Tensors, others: Tensors) -> dict[str, str]:
    """The other's name for each of the model's tensors.

    Where what is left on both sides has the same last names and shapes in the same order, the
    modules around it were renamed.
    """
    same = {name: name for name in mine if name in others}
    left, right = ([n for n in side if n not in same] for side in (mine, others))
    kinds = [
        [(name.rpartition(".")[2], side[name].shape) for name in names]
        for names, side in ((left, mine), (right, others))
    ]
    return same | (dict(zip(left, right, strict=True)) if kinds[0] == kinds[1] else {})


def _moved(tensor: torch.Tensor, other: torch.Tensor) -> tuple[float | None, float | None]:
    """(relative change, cosine); None where they are not defined."""
    moved = mine = theirs = product = 0.0
    for a, b in zip(blocks(tensor), blocks(other), strict=True):
        a, b = a.double(), b.double()
        moved += float((b - a).square().sum())
        mine, theirs, product = mine + float(a @ a), theirs + float(b @ b), product + float(a @ b)
    if not all(math.isfinite(part) for part in (moved, mine, theirs)):
        return None, None
    relative = math.sqrt(moved / mine) if mine else None if moved else 0.0
    length = math.sqrt(mine) * math.sqrt(theirs)
    return relative, max(-1.0, min(1.0, product / length)) if length else None
