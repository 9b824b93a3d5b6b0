"""Finds the weights in what a checkpoint holds, and says what else is there."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from core.card import Card
from core.checkpoints import Checkpoint
from core.errors import UserError
from core.limits import current_limits
from core.pickled_values import Placeholder, StoredTensor, array
from core.text_of_files import shown

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params",
            "model_weights", "net_state_dict", "model_state", "state_dict_ema", "model_ema",
            "ema_state_dict", "params_ema", "ema", "teacher", "student")
NOT_WEIGHTS = ("optim", "sched", "scaler", "callbacks", "loops", "rng", "hyper", "args", "config", "history")
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
    notes = _checked(checkpoint, name)
    found = _search(checkpoint.value, notes)
    tensors = {key: _tensor(value, checkpoint) for key, value in found.items()}
    notes += _classes(checkpoint)
    beside = _mapping(checkpoint.value)
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
            raise UserError(f"{name}: too many tensors or numbers for the limit of {limits.tensors:,} "
                            f"tensors and {limits.elements:,} numbers. {RESAVE}")
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
            raise UserError(f"{name}: the structure inside is nested deeper than {deepest} levels, which "
                            f"no state dict needs. {RESAVE}")
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


def _search(value: Any, notes: list[str]) -> dict[str, Any]:
    """The weights by name; what was chosen goes to `notes`."""
    if _is_module(value):
        notes.append(f"The file stores a whole model object (class {shown(value.name)}); its weights "
                     "were read, the class was not loaded. A state_dict is enough.")
        return _module_tensors(value)
    inside = _mapping(value)
    wrapped = {key: found for key in WRAPPERS if key in inside and (found := _search(inside[key], []))}
    if wrapped:
        first, *others = wrapped
        notes.append(f"Weights taken from {shown(first)}.")
        notes += [f"Other weights under {shown(key)} are not used." for key in others]
        return _search(inside[first], notes)
    own = {str(key): part for key, part in inside.items() if _is_tensor(part)}
    if own:
        return own
    parts = {key: found for key, part in inside.items()
             if not str(key).lower().startswith(NOT_WEIGHTS) and (found := _search(part, []))}
    if len(parts) == 1:
        (key, found), = parts.items()
        notes.append(f"Weights taken from {shown(key)}.")
        return found
    return {f"{key}.{name}": part for key, found in parts.items() for name, part in found.items()}


def _is_module(value: Any) -> bool:
    return isinstance(value, Placeholder) and isinstance(value.state, dict) and "_modules" in value.state


def _is_tensor(value: Any) -> bool:
    return isinstance(value, StoredTensor) or array(value) is not None


def _mapping(value: Any) -> dict:
    if isinstance(value, Placeholder):
        return value.items
    return value if isinstance(value, dict) else {}


def _module_tensors(module: Placeholder) -> dict[str, Any]:
    """The state dict of a pickled module, from the attributes that nn.Module keeps it in."""
    found: dict[str, Any] = {}
    waiting, visits = [("", module)], 0
    while waiting and visits < current_limits().tensors:
        prefix, part = waiting.pop()
        visits += 1
        passing = part.state.get("_non_persistent_buffers_set") or ()
        for group in ("_parameters", "_buffers"):
            named = _mapping(part.state.get(group))
            found |= {f"{prefix}{key}": value for key, value in named.items()
                      if _is_tensor(value) and not (group == "_buffers" and key in passing)}
        below = _mapping(part.state["_modules"]).items()
        waiting += [(f"{prefix}{key}.", child) for key, child in reversed(list(below)) if _is_module(child)]
    return found


def _tensor(value: Any, checkpoint: Checkpoint) -> torch.Tensor:
    if isinstance(value, StoredTensor):
        return checkpoint.storages.tensor(value)
    return torch.from_numpy(array(value).copy())


def _classes(checkpoint: Checkpoint) -> list[str]:
    if not checkpoint.classes or _is_module(checkpoint.value):
        return []
    few = ", ".join(shown(name) for name in checkpoint.classes[:6])
    more = f" and {len(checkpoint.classes) - 6} more" if len(checkpoint.classes) > 6 else ""
    return [f"Other objects were skipped (placeholders, no code was run): {few}{more}."]


def _recorded(beside: dict) -> list[str]:
    """What the file records beside the weights, such as the epoch, and what else it holds."""
    numbers = [f"{shown(key)} {shown(value) if isinstance(value, str) else f'{value:.6g}'}"
               for key, value in beside.items() if isinstance(value, (int, float, str))]
    unused = [shown(key) for key, value in beside.items()
              if str(key).lower().startswith(NOT_WEIGHTS) and _mapping(value)]
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
