"""Finds the weights in what a checkpoint holds, and says what else is there."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from core.card import Card
from core.errors import UserError
from core.files.limits import current_limits
from core.files.text_of_files import shown
from core.pickles.values import Placeholder, StoredTensor, array
from core.weight_files.checkpoints import Checkpoint
from core.weight_files.weight_search import Search, is_beside, is_module, mapping

CLASS_NAMES = ("class_names", "classes", "class_to_idx", "idx_to_class", "id2label", "labels")
SPARSE = "torch._utils._rebuild_sparse_tensor"
RESAVE = "Save it again with torch.save(model.state_dict(), 'weights.pt')."


@dataclass
class Weights:
    """Tensors by name; what the file says beside them, and sentences on it."""

    tensors: dict[str, torch.Tensor]
    card: Card = field(default_factory=Card)
    notes: list[str] = field(default_factory=list)


def weights_in(checkpoint: Checkpoint, name: str) -> Weights:
    """The weights of a checkpoint; `name` is the file's. Raises UserError for tensors that lie
    outside their storage, structure beyond the limits, and a file without tensors."""
    odd = _checked(checkpoint, name)
    try:
        found, notes = Search(name).weights(checkpoint.value)
    except RecursionError as error:  # containers shared in an order that hid their depth
        raise UserError(f"{name}: the structure inside is nested too deep. {RESAVE}") from error
    tensors = {key: _tensor(value, checkpoint) for key, value in found.items()}
    notes = odd + notes + _classes(checkpoint)
    beside = mapping(checkpoint.value)
    return Weights(tensors, Card(class_names=_class_names(beside)), notes + _recorded(beside))


def _checked(checkpoint: Checkpoint, name: str) -> list[str]:
    """Every tensor of the file, wherever it is, against its storage and the limits."""
    limits, tensors, total, notes = current_limits(), 0, 0, []
    for path, value in _leaves(checkpoint.value, name):
        where = shown(".".join(map(str, path)))
        try:
            if isinstance(value, Placeholder):
                notes.append(_sparse(value, checkpoint, where))
                continue
            checkpoint.storages.check(value)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise UserError(f"{name}: the tensor {where} is corrupt: {error}. {RESAVE}") from error
        tensors, total = tensors + 1, total + value.elements
        if tensors > 2 * limits.tensors or total > 4 * limits.elements:  # an optimizer has its own
            raise UserError(f"{name}: too many tensors, the limit is {limits.tensors:,} and "
                            f"{limits.elements:,} numbers. {RESAVE}")
    return notes


def _leaves(value: Any, name: str) -> Iterator[tuple[tuple, Any]]:
    """Tensors, and sparse ones as placeholders, with the keys that lead to them; each container
    once, without recursion. Raises UserError for deep nesting."""
    deepest, seen, waiting = current_limits().structure_depth, set(), [((), value)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, StoredTensor):
            yield path, value
            continue
        if not isinstance(value, (dict, list, tuple, set, Placeholder)) or id(value) in seen:
            continue
        seen.add(id(value))
        if len(path) > deepest:
            raise UserError(f"{name}: the structure inside is nested deeper than {deepest} levels, "
                            f"which no state dict needs. {RESAVE}")
        if isinstance(value, Placeholder):
            if value.name == SPARSE:
                yield path, value
            inside = [("", value.state), ("", value.arguments), *value.items.items()]
        else:
            inside = list(value.items() if isinstance(value, dict) else enumerate(value))
        waiting.extend(((*path, key), part) for key, part in reversed(inside))


def _sparse(value: Placeholder, checkpoint: Checkpoint, where: str) -> str:
    """A note on a sparse tensor whose indices are within its size. Raises ValueError."""
    indices, _values, size, *_ = value.arguments[1]
    if not isinstance(indices, StoredTensor) or not isinstance(size, tuple):
        raise ValueError("a sparse tensor of an unknown layout")
    rows = checkpoint.storages.tensor(indices)
    limits = torch.tensor(size[:rows.shape[0]])[:, None]
    if rows.numel() and bool(((rows < 0) | (rows >= limits)).any()):
        raise ValueError("a sparse tensor with an index outside its size")
    return f"{where} is sparse and was left out."


def _tensor(value: Any, checkpoint: Checkpoint) -> torch.Tensor:
    if isinstance(value, StoredTensor):
        return checkpoint.storages.tensor(value)
    return torch.from_numpy(array(value).copy())


def _classes(checkpoint: Checkpoint) -> list[str]:
    if not checkpoint.classes or is_module(checkpoint.value):
        return []
    few = ", ".join(shown(name) for name in checkpoint.classes[:6])
    more = f" and {len(checkpoint.classes) - 6} more" if len(checkpoint.classes) > 6 else ""
    return [f"Other objects were skipped (placeholders, no code was run): {few}{more}."]


def _recorded(beside: dict) -> list[str]:
    """What the file records beside the weights, such as the epoch, and what else it holds."""
    numbers = [f"{shown(key)} {shown(value) if isinstance(value, str) else f'{value:.6g}'}"
               for key, value in beside.items() if isinstance(value, (int, float, str))]
    unused = [shown(key) for key, value in beside.items()
              if is_beside(key) and mapping(value)]
    notes = [f"Recorded beside the weights: {', '.join(numbers[:12])}."] if numbers else []
    return notes + ([f"Not used: {', '.join(unused[:12])}."] if unused else [])


def _class_names(beside: dict) -> tuple[str, ...] | None:
    """Names of the classes, in the order of the outputs, where the file lists them."""
    for key in CLASS_NAMES:
        listed = beside.get(key)
        if isinstance(listed, dict) and listed and all(type(i) is int for i in listed.values()):
            listed = sorted(listed, key=listed.__getitem__)
        elif isinstance(listed, dict) and listed and all(type(i) is int for i in listed):
            listed = [listed[i] for i in sorted(listed)]
        if isinstance(listed, list) and listed and all(isinstance(name, str) for name in listed):
            return tuple(name[:200] for name in listed)
    return None
