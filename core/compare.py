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
from core.library import open_model
from core.measures.pairings import paired
from core.measures.tensor_statistics import blocks
from core.places import path_of
from core.weights import tensors_of

COLUMNS = ["name", "change", "shape", "other_name", "other_shape", "relative_change", "cosine",
           "parameters", "dtype", "other_dtype", "sure"]
Tensors = dict[str, torch.Tensor]


@cached_result
def compared(model_id: str, other_id: str) -> pd.DataFrame:
    """One row a tensor of the model or of the other. May raise Working.

    change: equal, changed, renamed (the same place under another name, whatever its numbers),
    reshaped, removed (only in the model) or added (only in the other). shape, other_name,
    other_shape, dtype, other_dtype: None where there is none. relative_change: ||other - model|| /
    ||model||, 0 where they are equal; cosine, -1 to 1: of the two as vectors (of complex numbers
    its real part); both missing where shapes differ, or a number is not finite. parameters: numbers
    in the model's tensor, else in the other's. sure: what speaks for a pair, see
    core.measures.pairings; empty where there is none.
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
    found = paired(mine, others)
    for name, tensor in mine.items():
        other = found.others.get(name)
        row = _row(name, tensor, other, others.get(other) if other is not None else None)
        yield row | {"sure": found.sure.get(name, "")}
    for name, tensor in others.items():
        if name not in found.taken:
            yield _row(name, None, name, tensor) | {"sure": ""}


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
        change = "equal" if relative == 0 or _same(tensor, other) else "changed"
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
        "dtype": _dtype(tensor),
        "other_dtype": _dtype(other),
    }


def _dtype(tensor: torch.Tensor | None) -> str | None:
    return None if tensor is None else str(tensor.dtype).removeprefix("torch.")


def _same(tensor: torch.Tensor, other: torch.Tensor) -> bool:
    """Number by number, NaN beside NaN included."""
    return all(torch.allclose(a.double(), b.double(), rtol=0, atol=0, equal_nan=True)
               for a, b in _blocks(tensor, other))


def _blocks(tensor: torch.Tensor, other: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """A complex number as two."""
    if tensor.is_complex() or other.is_complex():
        tensor, other = (torch.view_as_real(one.to(torch.complex128).resolve_conj())
                         for one in (tensor, other))
    return zip(blocks(tensor), blocks(other), strict=True)


def _moved(tensor: torch.Tensor, other: torch.Tensor) -> tuple[float | None, float | None]:
    """(relative change, cosine); None where they are not defined."""
    moved = mine = theirs = product = 0.0
    for a, b in _blocks(tensor, other):
        a, b = a.double(), b.double()
        moved += float((b - a).square().sum())
        mine, theirs, product = mine + float(a @ a), theirs + float(b @ b), product + float(a @ b)
    if not all(math.isfinite(part) for part in (moved, mine, theirs)):
        return None, None
    relative = math.sqrt(moved / mine) if mine else None if moved else 0.0
    length = math.sqrt(mine) * math.sqrt(theirs)
    return relative, max(-1.0, min(1.0, product / length)) if length else None
