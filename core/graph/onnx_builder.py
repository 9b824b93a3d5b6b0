"""Writes the nodes of a graph down while an ONNX file is walked, with shapes at hand.

Every node runs on the meta device as it is written. Where the file leaves sizes open it runs twice,
on smaller and on larger inputs: what differs follows from the input, and becomes a number that is
computed on each run; all else is a constant.
"""

from math import prod
from typing import Any, NoReturn

import numpy as np
import torch

from core.errors import UserError
from core.graph.nodes import Call, Node, Ref, Weight, output_names
from core.graph.onnx_sizes import Size, UndecidedError
from core.graph.onnx_tensors import MOST_AXES, Tensors
from core.graph.onnx_values import Value
from core.graph.operators import resolve
from core.graph.running import State, bind, computed

MOST_KNOWN = 4096  # elements of a tensor that is computed while the file is read
MOST_NUMBERS = 1_000_000  # such elements of all values together
MOST_NODES = 8_000  # with those that compute sizes; ONNX's operators are up to ten of torch's
MOST_RESULTS = 50_000  # tensors that nodes give
MOST_FILLED = 250_000_000  # elements of tensors of one number, which files state in a few bytes
META = torch.device("meta")


class Builder:
    """opset, calls, where: of the ONNX node that is being lowered, set by who walks the file."""

    def __init__(self, tensors: Tensors, runs: int) -> None:
        self.opset = 0
        self.calls: tuple[Call, ...] = ()
        self.where = ""
        self.nodes: list[Node] = []
        self.weights: dict[str, Weight] = {}
        self.fixed: set[str] = set()  # values that follow from weights alone
        self._tensors = tensors
        self._runs = [({}, State(META)) for _ in range(runs)]
        self._count = self._results = self._filled = 0
        self._numbers_left = MOST_NUMBERS
        self._numbers: dict[tuple, Size] = {}
        self._made: dict[int, Value] = {}

    def add_input(self, name: str, shapes: list[tuple[int, ...]], dtype: torch.dtype) -> Value:
        """An input with its sizes in each run."""
        for (values, _), shape in zip(self._runs, shapes, strict=True):
            values[name] = torch.empty(shape, dtype=dtype, device=META)
        return self._value(name)

    def add_weight(self, name: str, tensor: torch.Tensor, is_literal: bool = False) -> Value:
        """A tensor of the file. is_literal: a lone number, no parameter to look for."""
        name = self._new_name(name)
        floating = tensor.is_floating_point()
        self.weights[name] = Weight(name, tensor, floating and not is_literal)
        self.fixed.add(name)
        for values, _ in self._runs:
            values[name] = torch.empty_like(tensor, device=META)
        told = tensor if tensor.numel() <= (64 if floating else MOST_KNOWN) else None
        return Value(Ref(name), tuple(tensor.shape), tensor.dtype, told, is_literal)

    def add_filled(self, name: str, shape: list[int], fill: float, dtype: torch.dtype) -> Value:
        """A tensor of one number, as files without trained weights have them."""
        self.spend_memory(prod(shape))
        one = torch.full((), fill, dtype=dtype)
        return self.add_weight(name, one.expand(shape))  # a large one takes no memory

    def spend_memory(self, elements: int) -> None:
        """Counts elements of tensors that no file holds. Raises ValueError at the limit."""
        self._filled += elements
        self._tensors.check(self._filled)
        if self._filled > MOST_FILLED:
            raise ValueError(f"too large: tensors made of others have {self._filled:,} elements, "
                             f"the limit is {MOST_FILLED:,}")

    def node(self, operator: str, *arguments: Any, **keywords: Any) -> Value:
        """One node with one result."""
        return self._value(self._emit(operator, arguments, keywords, self._new_name()))

    def nodes_of_list(self, operator: str, count: int, *arguments: Any) -> tuple[Value, ...]:
        """One node that gives several tensors."""
        names = [self._new_name() for _ in range(count)]
        self._emit(operator, arguments, {}, names)
        return tuple(map(self._value, names))

    def _emit(self, operator: str, arguments: tuple, keywords: dict, outputs: Any) -> Any:
        given = tuple(self._argument(argument) for argument in arguments)
        keywords = {key: self._argument(value) for key, value in keywords.items()}
        node = Node(f"aten.{operator}", given, keywords, outputs, self.calls, self.where)
        function = resolve(node.operator, self.where)
        for values, state in self._runs:
            bind(outputs, computed(node, function, values, state), values)
        read = [part for part in (*given, *keywords.values()) if isinstance(part, Ref)]
        if read and all(name in self.fixed for name in read):
            self.fixed.update(output_names(outputs))
        self._append(node)
        return outputs

    def _append(self, node: Node) -> None:
        if len(self.nodes) >= MOST_NODES:
            raise UserError(f"it takes more than {MOST_NODES:,} nodes of ours, the limit. Save the "
                            "network's state dict.")
        self.nodes.append(node)

    @property
    def effort(self) -> int:
        """What was done so far, in nodes that ran; numbers take a fiftieth of that."""
        return len(self.nodes) * len(self._runs) + (MOST_NUMBERS - self._numbers_left) // 50

    def spend(self, numbers: int) -> None:
        """Raises UserError where too many numbers are computed while the file is read."""
        self._numbers_left -= numbers
        if self._numbers_left < 0:
            raise UserError(f"{self.where}: with it more than {MOST_NUMBERS:,} numbers would be "
                            "computed while the file is read, the limit. Save the network's state "
                            "dict.")

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, Value):
            return self.tensor(argument).name
        if isinstance(argument, Size):
            return argument.name
        if isinstance(argument, (list, tuple)):
            return [self._argument(part) for part in argument]
        return argument

    def _new_name(self, wanted: str = "value") -> str:
        """A name of its own; the count only grows, so that files cannot make this slow."""
        name = wanted
        while name in self._runs[0][0] or name == "value" or name.endswith("~"):  # as numbers are
            self._count += 1
            name = f"{wanted}~{self._count}"
        return name

    def _value(self, name: str) -> Value:
        tensor = self._runs[0][0][name]
        if not isinstance(tensor, torch.Tensor):
            raise TypeError("its result is no tensor")
        if tensor.dim() > MOST_AXES:
            raise ValueError(f"its result has {tensor.dim()} dimensions, the limit is {MOST_AXES}")
        self._results += 1
        if self._results > MOST_RESULTS:
            raise UserError(f"its nodes give more than {MOST_RESULTS:,} tensors, the limit. Save "
                            "the network's state dict.")
        return Value(Ref(name), tuple(tensor.shape), tensor.dtype)

    def sizes(self, value: Value) -> list[int | Size]:
        """Its shape, with numbers where the file leaves a size open."""
        if value.name is None or len(self._runs) == 1:
            return list(value.shape)
        shapes = [values[value.name].shape for values, _ in self._runs]
        return [here[0] if len(set(here)) == 1 else self._number("sym_size.int", "aten", here,
                                                                 (value.name, axis))
                for axis, here in enumerate(zip(*shapes, strict=True))]

    def _number(self, operator: str, kind: str, values: tuple, arguments: tuple) -> Size:
        key = (operator, *((type(part), part) for part in arguments))
        if key not in self._numbers:
            name = f"n{len(self._numbers)}~"
            self._append(Node(f"{kind}.{operator}", arguments, {}, name, (), self.where))
            for (_, state), value in zip(self._runs, values, strict=True):
                state.numbers[name] = value
            self._numbers[key] = Size(name, values, self.arithmetic)
        return self._numbers[key]

    def arithmetic(self, operator: str, *parts: Any) -> Size:
        """A number computed from numbers. Raises UndecidedError where rounding is in doubt."""
        each = [[part.values[run] if isinstance(part, Size) else part for part in parts]
                for run in range(len(self._runs))]
        if operator in ("floordiv", "mod") and min(map(min, each)) < 0:
            raise UndecidedError  # ONNX rounds toward zero
        function = resolve(f"sym.{operator}", self.where)
        values = tuple(function(*numbers) for numbers in each)
        given = tuple(part.name if isinstance(part, Size) else part for part in parts)
        return self._number(operator, "sym", values, given)

    def known(self, elements: Any, dtype: torch.dtype,
              shape: tuple[int, ...] | None = None) -> Value:
        """A value whose elements are numbers and Sizes."""
        array = np.empty(np.shape(elements) if shape is None else shape, object)
        self.spend(array.size)
        array[...] = elements
        return Value(None, array.shape, dtype, array)

    def tensor(self, value: Value) -> Value:
        """The value as a tensor of the graph."""
        if value.name is not None:
            return value
        if id(value) not in self._made:
            flat = list(value.known.reshape(-1))
            if any(isinstance(part, Size) for part in flat):
                parts = [self.node("scalar_tensor.default", part, dtype=value.dtype)
                         for part in flat]
                row = self.node("stack.default", parts)
                made = self.node("reshape.default", row, list(value.shape))
            else:
                constant = torch.tensor(flat, dtype=value.dtype).reshape(value.shape)
                made = self.add_weight(f"constant_{len(self.weights)}", constant, is_literal=True)
            self._made[id(value)] = made
            self._made[-id(value)] = value  # an id is one object's only as long as that lives
        return self._made[id(value)]

    def operand(self, value: Value, beside: Value) -> Any:
        """The value, or its number where it is one that only broadcasts."""
        alone = value.is_known and value.size == 1 and value.is_literal
        return value.known.reshape(-1)[0] if alone and value.rank <= beside.rank else value

    def numbers(self, value: Value | None, meaning: str) -> list[Any] | None:
        """The elements of a value that tells sizes, axes and the like; None if left out."""
        if value is None:
            return None
        if not value.is_known:
            raise UserError(f"{self.where}: its {meaning} depend on values that the network "
                            "computes, which is not supported. Export it with fixed sizes.")
        self.spend(value.size)
        return list(value.known.reshape(-1))

    def whole(self, value: Value | None, meaning: str) -> list[int] | None:
        """The same, where sizes that are left open cannot be."""
        found = self.numbers(value, meaning)
        if found is not None and any(isinstance(part, Size) for part in found):
            raise UndecidedError
        return found

    def is_fixed(self, value: Value) -> bool:
        """Whether it follows from weights alone."""
        return value.name is None or str(value.name) in self.fixed


def refused(builder: Builder, what: str) -> NoReturn:
    """Raises UserError that names the node."""
    raise UserError(f"{builder.where}: {what} is not supported. Save the network's state dict.")
