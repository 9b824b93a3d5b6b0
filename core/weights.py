"""Weights tensor by tensor: names, statistics, distribution and files of their own, for any network
and for weights alone."""

import io
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from core import store
from core.cache import cached_result
from core.device import locked
from core.errors import UserError
from core.jobs import Progress, demand
from core.library import open_outline, read_model
from core.measures.attention_parts import Part, attention_parts, attention_words
from core.measures.tensor_statistics import (
    Distribution,
    distribution_of,
    spectral_norm_of,
    statistics,
)
from core.places import path_of

AT_ONCE = 1 << 23  # elements whose statistics are made while the page waits
LARGEST_SIDE = 15  # of a filter
LARGEST_PATCH = 64  # of one over a picture, as the first layer of a vision transformer has
COLOURS = 4  # channels that a picture may have
OF_A_TENSOR = 1 << 13  # elements that take as long as it takes to begin a tensor
COLUMNS = ["name", "shape", "dtype", "parameters", "bytes", "min", "max", "mean", "std", "zeros",
           "norm", "nan", "infinite", "same_as"]


def tensors_of(model: nn.Module, below: str = "") -> dict[str, torch.Tensor]:
    """Parameters and buffers by name, module after module; with `below`, those of that module and
    of the modules inside it, or that tensor. A tensor with several names is there under each."""
    with locked(model):  # a dry run lends the model other tensors for a while
        return {
            name: tensor.detach()
            for place, module in model.named_modules()
            for name, tensor in _own(place, module)
            if not below or f"{name}.".startswith(f"{below}.")
        }


def _own(place: str, module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for name, tensor in (*module._parameters.items(), *module._buffers.items()):
        if tensor is not None:
            yield (f"{place}.{name}" if place else name), tensor


def tensor_of(model_id: str, name: str) -> torch.Tensor:
    """The tensor called `name`. Raises UserError where the model has none. May raise Working."""
    found = tensors_of(read_model(model_id).module).get(name)
    if found is None:
        raise UserError(f"This model has no tensor {name!r}. Choose one from the list.")
    return found


@cached_result
def weight_statistics(model_id: str, below: str = "") -> pd.DataFrame:
    """One row a tensor of the model, or of the module `below`. May raise Working.

    name, shape, dtype, parameters (numbers, trained or not), bytes; what `statistics` says;
    same_as: the first name of a tensor that has several, else empty; attention: whether it is of a
    query, key or value, see core.measures.attention_parts.
    """
    table, shapes = _statistics(model_id, below), shapes_of(model_id)
    table["attention"] = [attention_words(name, shape, shapes) for name, shape in
                          zip(table["name"], table["shape"], strict=True)]
    return table


def _statistics(model_id: str, below: str) -> pd.DataFrame:
    outlined = tensors_of(open_outline(model_id).module, below)
    if sum(tensor.numel() + OF_A_TENSOR for tensor in outlined.values()) <= AT_ONCE:
        return _table(list(_rows(tensors_of(read_model(model_id).module, below))))
    key = store.key(weights=model_id, below=below, code=store.code())
    title = f"Reading the weights of {path_of(model_id).name}"
    find, keep = partial(store.read_json, key), partial(_keep, key, model_id, below)
    return _table(demand(key, title, "tensors", find, keep, "files"))


def _keep(key: str, model_id: str, below: str, progress: Progress) -> None:
    tensors, rows = tensors_of(read_model(model_id).module, below), []
    for row in _rows(tensors):
        rows.append(row)
        progress(len(rows), len(tensors))
    store.write_json(key, rows)


def _rows(tensors: dict[str, torch.Tensor]) -> Iterator[dict[str, Any]]:
    first: dict[tuple, str] = {}
    for name, tensor in tensors.items():
        place = tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype
        known = first.setdefault(place, name) if tensor.numel() else name
        yield {
            "name": name,
            "shape": list(tensor.shape),
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "parameters": tensor.numel(),
            "bytes": tensor.numel() * tensor.element_size(),
            "same_as": "" if known == name else known,
        } | statistics(tensor)


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["shape"] = pd.Series([tuple(row["shape"]) for row in rows], dtype=object)
    return table


@cached_result
def distribution(model_id: str, name: str) -> Distribution:
    """The histogram and the quantiles of one tensor's numbers."""
    return distribution_of(tensor_of(model_id, name))


@cached_result
def spectral_norm(model_id: str, name: str) -> float:
    """The largest singular value of a tensor as a matrix of outputs by all the rest."""
    return spectral_norm_of(outputs_first(name, tensor_of(model_id, name)))


def outputs_first(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """A convolution's kernel as (outputs, inputs, height, width); any other tensor as it is."""
    return tensor.permute(3, 2, 0, 1) if _sides_first(name, tuple(tensor.shape)) else tensor


def _sides_first(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a kernel is (height, width, inputs, outputs), as Keras and JAX keep it: told by the
    short sides, and where both ends are short, by the name."""
    if len(shape) != 4 or max(shape[:2]) > LARGEST_SIDE:
        return False
    if max(shape[2:]) > LARGEST_SIDE:
        return True
    square = shape[0] == shape[1] and shape[2] != shape[3]
    return square or "kernel" in name.rpartition(".")[2]


def as_filters(name: str, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """A convolution's (outputs, inputs, height, width); None where its kernel is one pixel, or it
    is no convolution."""
    if _sides_first(name, shape):
        shape = (shape[3], shape[2], shape[0], shape[1])
    if len(shape) != 4 or 0 in shape:
        return None
    largest = LARGEST_PATCH if shape[1] <= COLOURS else LARGEST_SIDE
    filters = 1 < max(shape[2:]) <= largest
    return shape if filters else None


@cached_result
def shapes_of(model_id: str) -> dict[str, tuple[int, ...]]:
    """By name, the shape of each tensor of the model."""
    tensors = tensors_of(open_outline(model_id).module)
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def parts_of(model_id: str, name: str) -> tuple[Part, ...]:
    """Query, key and value where a tensor holds several of them."""
    shapes = shapes_of(model_id)
    return attention_parts(name, shapes[name], shapes)


def npy_file(model_id: str, name: str) -> bytes:
    """One tensor as a .npy file; numbers that NumPy has no type for become float32."""
    tensor = tensor_of(model_id, name).cpu()
    try:
        array = tensor.numpy()
    except TypeError:  # bfloat16, float8
        array = tensor.float().numpy()
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    return content.getvalue()
