"""How many numbers each layer holds: every tensor counted once, whoever shares it named."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import torch
from torch import nn

from core.layers import layer_type

LONGEST_SETTINGS = 300  # characters
MOST_NAMED = 3  # of those that share a tensor
TENSOR = "Parameter"  # the type of a row that is a tensor beside layers
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Place:
    """A row of the table: a layer, or a tensor that lies beside layers, such as a class token.

    own: its parameters, none for what is inside it.
    """

    name: str
    module: nn.Module
    own: tuple[nn.Parameter, ...]
    is_tensor: bool = False


def identity(tensor: torch.Tensor) -> Hashable:
    """The same for tensors that are the same numbers in memory."""
    if tensor.is_meta or tensor.numel() == 0:
        return id(tensor)
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype


def unique(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Each once, whatever its names."""
    return list({identity(tensor): tensor for tensor in tensors}.values())


def numbers(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)


def size(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def places(model: nn.Module) -> list[Place]:
    """The rows in the order of definition; parameters of what holds layers, and of the network
    itself, have a row each."""
    found = []
    for name, module in model.named_modules():
        own = {key: part for key, part in module._parameters.items() if part is not None}
        apart = not name or any(True for _ in module.children())
        if name:
            found.append(Place(name, module, () if apart else tuple(own.values())))
        if apart:
            found += [Place(f"{name}.{key}" if name else key, module, (part,), True)
                      for key, part in own.items()]
    return found


def counted_once(rows: list[Place]) -> list[int]:
    """Of each row, its own parameters that no row before it has."""
    seen: set[Hashable] = set()
    counts = []
    for row in rows:
        new = [part for part in unique(row.own) if identity(part) not in seen]
        seen |= {identity(part) for part in new}
        counts.append(numbers(new))
    return counts


def with_inside(rows: list[Place], counts: list[int]) -> list[int]:
    """Of each row, its count and those of the rows inside it."""
    below: dict[str, int] = defaultdict(int)
    for row, number in zip(rows, counts, strict=True):
        parts = row.name.split(".")
        for depth in range(1, len(parts)):
            below[".".join(parts[:depth])] += number
    return [number if row.is_tensor else number + below[row.name]
            for row, number in zip(rows, counts, strict=True)]


def partners(model: nn.Module, rows: list[Place]) -> dict[str, str]:
    """By a row's name, the others that have the same weights, in words; also the further names
    under which the network holds the same layer."""
    owners: dict[Hashable, dict[str, None]] = defaultdict(dict)
    for row in rows:
        for part in row.own:
            owners[identity(part)][row.name] = None
    sharing = list({tuple(names) for names in owners.values() if len(names) > 1})
    groups: dict[str, tuple[int, ...]] = defaultdict(tuple)  # the places in `sharing`
    for place, names in enumerate(sharing):
        for name in names:
            groups[name] += (place,)
    # Once for all rows in the same groups: a file may have every tensor share one storage.
    together = {of: list(dict.fromkeys(name for place in of for name in sharing[place]))
                for of in set(groups.values())}
    shared = {name: (together[of], []) for name, of in groups.items()}
    for name, alias in _aliases(model):
        shared.setdefault(name, ([], []))[1].append(alias)
    return {name: _in_words(name, *others) for name, others in shared.items()}


def _aliases(model: nn.Module) -> Iterator[tuple[str, str]]:
    """(name, further name) of layers that are held in several places."""
    first = {id(module): name for name, module in model.named_modules()}
    for place, module in model.named_modules():
        for key, child in module._modules.items():
            name = f"{place}.{key}" if place else key
            if child is not None and first[id(child)] != name:
                yield first[id(child)], name


def _in_words(name: str, together: list[str], aliases: list[str]) -> str:
    """The first few of the others and how many more; `together` holds the name itself where
    it is not empty."""
    few = islice((other for other in chain(together, aliases) if other != name), MOST_NAMED)
    more = len(together) - bool(together) + len(aliases) - MOST_NAMED
    return ", ".join(few) + (f" and {more} more" if more > 0 else "")


def said_trainable(model: nn.Module) -> dict[Hashable, bool]:
    """Which parameters are trained, of those for which the file says so: Keras's layers know it of
    their variables, and a parameter may carry it as `said_trainable`."""
    said: dict[Hashable, bool] = {}
    for module in model.modules():
        for name, variable in getattr(module, "named_variables", ()):
            frozen = getattr(module, "frozen", False)
            said[identity(getattr(module, name))] = bool(variable.trainable) and not frozen
        for part in module._parameters.values():
            if part is not None and (stated := getattr(part, "said_trainable", None)) is not None:
                said[identity(part)] = bool(stated)
    return said


def trained(tensors: Iterable[torch.Tensor], said: dict[Hashable, bool]) -> int | None:
    """How many numbers are trained; None where the file does not say it of each tensor."""
    known = [(part, said.get(identity(part))) for part in tensors]
    if not said or any(answer is None for _, answer in known):
        return None
    return numbers(part for part, answer in known if answer)


def weight_rows(model: nn.Module) -> list[dict[str, Any]]:
    """The columns of core.architecture's table that need no run."""
    rows = places(model)
    own, said, others = counted_once(rows), said_trainable(model), partners(model, rows)
    total = max(numbers(unique(model.parameters())), 1)
    return [_row(row, said) | {
        "share": inside / total,
        "own_parameters": alone,
        "same_as": others.get(row.name, ""),
    } for row, alone, inside in zip(rows, own, with_inside(rows, own), strict=True)]


def _row(row: Place, said: dict[Hashable, bool]) -> dict[str, Any]:
    parameters = unique(row.own if row.is_tensor else row.module.parameters())
    buffers = [] if row.is_tensor else unique(row.module.buffers())
    settings = f"shape={tuple(row.own[0].shape)}" if row.is_tensor else row.module.extra_repr()
    return {
        "name": row.name,
        "type": TENSOR if row.is_tensor else layer_type(row.module),
        "depth": row.name.count(".") + 1,
        "settings": " ".join(settings.split())[:LONGEST_SETTINGS],
        "parameters": numbers(parameters),
        "trainable": trained(parameters, said),
        "buffers": numbers(buffers),
        "weight_bytes": size([*parameters, *buffers]),
        "dtype": ", ".join(sorted({str(p.dtype).removeprefix("torch.") for p in parameters})),
        "is_tensor": row.is_tensor,
    }
