"""What a TorchScript program does, written down as nodes while it is followed on shapes alone."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from core.errors import UserError
from core.files.text_of_files import shown
from core.graph.checked_operators import SYMBOLIC
from core.graph.nodes import DEEPEST, Call, Node, Number, Ref, Weight
from core.graph.operators import resolve
from core.graph.running import State, computed
from core.graph.script_values import (
    DoesNotFitError,
    NumberValue,
    ScriptObject,
    TensorValue,
    is_number,
    number,
)

MOST_STEPS = 200_000  # the largest real network that was met takes 7,000
MOST_OPERATORS = 10_000  # that network has 4,200; so many are followed within seconds
LONGEST_LIST = 10_000


class Recorder:
    """The nodes so far, and the limits on what a program may do.

    trained: whether the file says which tensors are parameters.
    decided: whether a size of the input chose a branch or a count, so that another size may need
    other nodes. detached: inside of no_grad.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.weights: dict[str, Weight] = {}
        self.decided = self.trained = False
        self.detached = 0
        self.where = ""
        self._values: dict[str, TensorValue] = {}  # of the file's tensors
        self._calls: list[Call] = []
        self._repeats: Counter[str] = Counter()
        self._names: Counter[str] = Counter()
        self._state = State(torch.device("meta"))
        self._metas: dict[str, torch.Tensor] = {}
        self._steps = 0

    def step(self, count: int = 1) -> None:
        """Counts a statement, a turn of a loop, or parts of a list."""
        self._steps += count
        if self._steps > MOST_STEPS:
            raise UserError("the program takes too long: more than "
                            f"{MOST_STEPS:,} steps, the limit; it may never end, so it was "
                            "stopped. Save the network's state dict.")

    def checked_length(self, length: int) -> int:
        """A list's or text's length. Raises UserError for one that no network needs."""
        if length > LONGEST_LIST:
            raise UserError(f"the program makes a list of {length:,} parts, too large: the limit "
                            f"is {LONGEST_LIST:,}. Save the network's state dict.")
        return length

    def literal(self, value: Any) -> Any:
        """A number as it is now, where the program decides by it; other values as they are."""
        if isinstance(value, NumberValue):
            self.decided = True
            return value.value
        if isinstance(value, (list, tuple)):
            self.step(len(value))
            return [self.literal(part) for part in value]
        return value.constant.item() if isinstance(value, TensorValue) and value.single else value

    def given(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> TensorValue:
        """An input of the network."""
        return self._tensor(name, torch.empty(shape, dtype=dtype, device="meta"))

    def weight(self, tensor: torch.Tensor, name: str, is_parameter: bool) -> TensorValue:
        """A tensor of the file; one that is tied has a value for each of its names."""
        value = f"self.{name}"
        known = self._values.get(value)
        if known is None:
            self.weights[value] = Weight(name, tensor, is_parameter)
            meta = torch.empty_like(tensor, device="meta")
            constant = None if is_parameter else tensor
            self._values[value] = known = self._tensor(value, meta, constant)
        elif self.weights[value].tensor is not tensor:
            raise UserError(f"two tensors of the file have the name {shown(name)}. "
                            "Save the network's state dict.")
        return known

    @contextmanager
    def call(self, owner: ScriptObject, method: str) -> Iterator[None]:
        """Nodes inside belong to the layer whose `forward` runs; forward1 and forward_features
        are its too. What else a layer calls of its own belongs to it as well."""
        current = self._calls[-1].path if self._calls else ""
        if not (owner.path and method.startswith("forward") and owner.path != current):
            yield
            return
        if len(self._calls) >= DEEPEST:
            raise UserError(f"layers lie deeper than {DEEPEST} layers. "
                            "Save the network's state dict.")
        repeat = self._repeats[owner.path]
        self._repeats[owner.path] += 1
        key = f"{owner.path}@{repeat}" if repeat else owner.path
        self._calls.append(Call(key, owner.path, owner.type_name[:100]))
        try:
            yield
        finally:
            self._calls.pop()

    def operator(self, base: str, arguments: list, keywords: dict[str, Any]) -> Any:
        """Records one of torch's tensor operators and gives its results.

        Raises UserError for an operator that is not on the list, DoesNotFitError where it fails.
        """
        name = f"aten.{base}"
        plain = {key: self._argument(value) for key, value in keywords.items()}
        node = Node(name, tuple(map(self._argument, arguments)), plain, None, tuple(self._calls),
                    self.where)
        try:
            result = computed(node, resolve(name, self.where), self._metas, self._state)
        except UserError as error:
            if "is not on the list" in str(error):
                raise
            raise DoesNotFitError(str(error)) from error
        value = self._named(result, base.strip("_"))
        self._record(node, value)
        if self.detached and not base.endswith("_") and isinstance(value, TensorValue):
            return self._without_gradient(value)
        return value

    def symbolic(self, name: str, *numbers: Any) -> Any:
        """Arithmetic on numbers; a node where one of them follows from the input's size."""
        plain = [self._plain(part) for part in numbers]
        result = SYMBOLIC[name](*plain)
        if not any(isinstance(part, NumberValue) for part in numbers):
            return result
        node = Node(f"sym.{name}", tuple(map(number, numbers)), {}, None, tuple(self._calls),
                    self.where)
        value = self._named(result, name)
        self._record(node, value)
        return value

    def _argument(self, value: Any) -> Any:
        """A value as a node's argument."""
        if isinstance(value, TensorValue):
            return Ref(value.name)
        if isinstance(value, NumberValue):
            return Number(value.name)
        if isinstance(value, (list, tuple)):
            self.step(len(value))
            return [self._argument(part) for part in value]
        return value

    def _plain(self, value: Any) -> Any:
        if not is_number(value):
            raise TypeError("arithmetic on what is no number")
        return value.value if isinstance(value, NumberValue) else number(value)

    def _without_gradient(self, value: TensorValue) -> Any:
        detached = self.detached
        self.detached = 0
        try:
            return self.operator("detach", [value], {})
        finally:
            self.detached = detached

    def _record(self, node: Node, value: Any) -> None:
        if len(self.nodes) >= MOST_OPERATORS:
            raise UserError(f"the program takes over {MOST_OPERATORS:,} operators, the limit; "
                            "it may never end, so it was stopped. Save the network's state dict.")
        object.__setattr__(node, "outputs", _output_names(value))
        self.nodes.append(node)

    def _named(self, result: Any, hint: str) -> Any:
        """Results with names in the graph."""
        if isinstance(result, (list, tuple)):
            return [self._named(part, hint) for part in result]
        self._names[hint] += 1
        name = f"{hint}_{self._names[hint]}"
        if isinstance(result, torch.Tensor):
            return self._tensor(name, result)
        self._state.numbers[name] = result
        return NumberValue(result, name)

    def _tensor(self, name: str, meta: torch.Tensor,
                constant: torch.Tensor | None = None) -> TensorValue:
        self._metas[name] = meta
        return TensorValue(Ref(name), meta, constant)


def _output_names(value: Any) -> Any:
    if isinstance(value, list):
        return [_output_names(part) for part in value]
    return str(value.name)
