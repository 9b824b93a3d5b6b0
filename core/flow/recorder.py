"""Watches a run operator by operator: which tensor comes from which operation, in which layer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from core.errors import UserError
from core.flow.names import SHAPE_ONLY, operator_name
from core.flow.operations import Call, Edge, Operation
from core.flow.windows import order_of, window_of
from core.layers import layer_type
from core.measures.multiply_adds import MultiplyAdds

MOST_OPERATIONS = 20_000


@dataclass
class _Constant:
    """What a tensor that the input has no part in was made of; who first uses it bears the cost."""

    weights: frozenset[str] = frozenset()
    multiply_adds: int = 0


class Recorder(TorchFunctionMode):
    """Keeps each operator that the input reaches, and of each tensor where it comes from."""

    def __init__(self, weights: dict[int, str], cost: MultiplyAdds) -> None:
        super().__init__()
        self.weights, self.cost = weights, cost
        self.operations: list[Operation] = []
        self.edges: dict[Edge, None] = {}
        self.origins = WeakIdKeyDictionary()  # tensor -> position of its operation, or _Constant
        self.calls: list[Call] = []
        self.runs: dict[str, int] = {}

    def __torch_function__(self, function: Any, types: Any, args: tuple = (),
                           kwargs: dict[str, Any] | None = None) -> Any:
        given, before = tensors_in((args, kwargs)), self.cost.total
        versions = [_version(tensor) for tensor in given]
        result = function(*args, **(kwargs or {}))
        made = [tensor for tensor in tensors_in(result) if not _is_among(tensor, given)]
        written = [tensor for tensor, version in zip(given, versions, strict=True)
                   if _version(tensor) != version]
        if made or written:
            operator = operator_name(function)
            seen = Operation(operator, multiply_adds=self.cost.total - before,
                             window=window_of(operator, args, kwargs or {}),
                             order=order_of(operator, function, args, kwargs or {}))
            self._add(seen, given, made, written)
        return result

    def _add(self, seen: Operation, given: list[torch.Tensor], made: list[torch.Tensor],
             written: list[torch.Tensor]) -> None:
        weights, cost = self._weights_of(given), seen.multiply_adds + self._carried(given)
        if seen.operator in SHAPE_ONLY or not any(map(self.position, given)):
            for tensor in (*written, *made):
                self.origins[tensor] = _Constant(weights, cost)
        else:
            operation = replace(seen, calls=tuple(self.calls), weights=weights, multiply_adds=cost,
                                memory=_new_bytes(made, given))
            self.keep(operation, given, (*written, *made))
        for tensor in written:  # what is written to a part is in the whole
            if tensor._is_view() and tensor._base is not None:
                self.origins[tensor._base] = self.origins[tensor]

    def _weights_of(self, given: list[torch.Tensor]) -> frozenset[str]:
        """Weights that these tensors are, or were made of without the input."""
        found = {self.weights[id(tensor)] for tensor in given if id(tensor) in self.weights}
        return frozenset(found.union(*(constant.weights for constant in self._constants(given))))

    def _carried(self, given: list[torch.Tensor]) -> int:
        """What it cost to make constants, counted with the first operation that reads them."""
        constants = self._constants(given)
        cost = sum(constant.multiply_adds for constant in constants)
        for constant in constants:
            constant.multiply_adds = 0
        return cost

    def _constants(self, given: list[torch.Tensor]) -> list[_Constant]:
        found = {id(origin): origin for tensor in given
                 if isinstance(origin := self.origins.get(tensor), _Constant)}
        return list(found.values())

    def keep(self, operation: Operation, given: Iterable[torch.Tensor],
             made: Sequence[torch.Tensor]) -> None:
        """Adds an operation that reads some tensors and makes, or writes to, others."""
        if len(self.operations) >= MOST_OPERATIONS:
            raise UserError(f"The network runs more than {MOST_OPERATIONS:,} operations for one "
                            "input, too many to draw.")
        number = len(self.operations)
        shapes = tuple(tuple(tensor.shape) for tensor in made)
        self.operations.append(replace(operation, shapes=shapes, number=number))
        for tensor in given:
            if source := self.position(tensor):
                self.edges[Edge(source - 1, number, tuple(tensor.shape))] = None
        for tensor in made:
            self.origins[tensor] = number + 1

    def position(self, tensor: torch.Tensor) -> int:
        """From 1, of the operation that made a tensor; 0 where the input has no part in it."""
        origin = self.origins.get(tensor)
        return origin if isinstance(origin, int) else 0

    def enter(self, layer: str) -> None:
        self.calls.append(Call(layer, self.runs.get(layer, 0)))
        self.runs[layer] = self.calls[-1].number + 1

    def leave(self, layer: str, module: nn.Module, inputs: tuple, output: Any) -> None:
        """Where a layer works by other means than torch's operators, it is an operation itself."""
        given, made = tensors_in(inputs), tensors_in(output)
        hidden = not any(map(self.position, made)) and not self._weights_of(made)
        if made and hidden and any(map(self.position, given)):
            operation = Operation(layer_type(module), tuple(self.calls),
                                  memory=_new_bytes(made, given))
            self.keep(operation, given, made)
        self.calls.pop()


def tensors_in(structure: Any) -> list[torch.Tensor]:
    """Those in lists, tuples and dicts, however deep."""
    return [leaf for leaf in tree_leaves(structure) if isinstance(leaf, torch.Tensor)]


def _is_among(tensor: torch.Tensor, others: list[torch.Tensor]) -> bool:
    return any(tensor is other for other in others)


def _version(tensor: torch.Tensor) -> int:
    """Grows with each write to a tensor."""
    return 0 if tensor.is_inference() else tensor._version


def _new_bytes(made: list[torch.Tensor], given: list[torch.Tensor]) -> int:
    """Of the storages that an operation makes; a view shares that of what it was given."""
    old = {tensor.untyped_storage()._cdata for tensor in given}
    new = {tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes() for tensor in made}
    return sum(size for storage, size in new.items() if storage not in old)
