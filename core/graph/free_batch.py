"""Networks exported with a fixed batch, made to take any: sizes that hold the batch are computed.

The graph runs twice on the meta device, node by node: as recorded, and on a larger batch. An axis
that has grown is the batch's, and a literal size that stands for it (in `view(x, [2, 196, 768])`,
say) becomes a product with the batch that is given. What comes out must still be checked.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch

from core.errors import UserError
from core.graph.nodes import Graph, Node, Number, output_names
from core.graph.operators import base_name, resolve
from core.graph.running import State, bind, computed

GROWN = 7  # times the recorded batch; a prime, so that an axis grows by it only with the batch
_RESHAPING = frozenset(["view", "reshape", "_unsafe_view"])
_SPREADING = frozenset(["expand", "broadcast_to", "repeat"])


class NotFreed(Exception):
    """The batch cannot be told from the other sizes."""


@dataclass(frozen=True)
class Place:
    """Where the batch is in a value: on which axis, and how many rows of that axis each of its
    examples is repeated in, outside of the batch (time, in an axis of time × batch)."""

    axis: int
    outside: int


def with_free_batch(graph: Graph) -> Graph | None:
    """The graph for any batch, or None where it cannot be told which sizes are the batch's."""
    try:
        return _Freeing(graph).graph()
    except (NotFreed, UserError):
        return None


class _Freeing:
    def __init__(self, source: Graph) -> None:
        self.source = source
        self.batch = source.inputs[0].example[0]
        self.numbers: dict[int, str] = {}  # multiples of the batch that are needed
        self.recorded: dict[str, Any] = {}
        self.grown: dict[str, Any] = {}
        self.places: dict[str, Place] = {}

    def graph(self) -> Graph:
        states = (State(torch.device("meta")), State(torch.device("meta")))
        for values, times in ((self.recorded, 1), (self.grown, GROWN)):
            for given in self.source.inputs:
                shape = (given.example[0] * times, *given.example[1:])
                values[given.name] = torch.empty(shape, dtype=given.dtype, device="meta")
            for name, weight in self.source.weights.items():
                values[name] = torch.empty_like(weight.tensor, device="meta")
        for given in self.source.inputs:
            self._place(given.name, ())
        nodes = [self._freed(node, *states) for node in self.source.nodes]
        return replace(self.source, nodes=(*self._number_nodes(), *nodes),
                       inputs=tuple(replace(given, sizes=((1, 1 << 31), *given.sizes[1:]))
                                    for given in self.source.inputs))

    def _number_nodes(self) -> Iterator[Node]:
        """Nodes that compute the batch and its multiples."""
        first = self.source.inputs[0].name
        batch = f"{first}~batch"
        yield Node("aten.sym_size.int", (Number(first), 0), {}, batch, where="the batch")
        for times, name in self.numbers.items():
            yield Node("sym.mul", (Number(batch), times), {}, name, where="the batch")

    def _freed(self, node: Node, recorded: State, grown: State) -> Node:
        """The node with literal sizes replaced where they hold the batch; runs it at both batches."""
        function = resolve(node.operator)
        result = computed(node, function, self.recorded, recorded)
        bind(node.outputs, result, self.recorded)
        base, inputs = base_name(node.operator), _tensor_inputs(node)
        if base in _RESHAPING and inputs[0] in self.places:
            node = self._with_size(node, self._reshaped(inputs[0], tuple(result.shape)))
        elif base in _SPREADING and self._spreads_batch(node, inputs[0]):
            node = self._with_size(node, Place(0, 1))
        literal = replace(node, arguments=tuple(_with_numbers(argument, self) for argument in node.arguments))
        bind(node.outputs, computed(literal, function, self.grown, grown), self.grown)
        for name in output_names(node.outputs):
            self._place(name, inputs)
        return node

    def literal(self, name: str) -> int:
        """What a number is worth in the run on the larger batch."""
        times = next(times for times, known in self.numbers.items() if known == name)
        return times * self.batch * GROWN

    def _place(self, name: str, inputs: tuple[str, ...]) -> None:
        """Finds the batch in a value by what has grown; its place in an axis is that in the inputs."""
        small, large = self.recorded[name], self.grown[name]
        if not isinstance(small, torch.Tensor):
            return
        axes = [axis for axis, sizes in enumerate(zip(small.shape, large.shape, strict=True)) if len(set(sizes)) > 1]
        if not axes:
            return
        if len(axes) > 1 or large.shape[axes[0]] != GROWN * small.shape[axes[0]]:
            raise NotFreed
        size = small.shape[axes[0]]
        known = [self.places[given].outside for given in inputs if given in self.places
                 and self.recorded[given].shape[self.places[given].axis] == size]
        self.places.setdefault(name, Place(axes[0], known[0] if known else 1))

    def _reshaped(self, name: str, sizes: tuple[int, ...]) -> Place:
        """Where the batch is after a reshape, which keeps what lies outside of it in row-major order."""
        shape, place = self.recorded[name].shape, self.places[name]
        outside = prod(shape[:place.axis]) * place.outside
        before = [prod(sizes[:axis]) for axis in range(len(sizes))]
        own = [axis for axis, size in enumerate(sizes) if size == self.batch and before[axis] == outside]
        if own:
            return Place(own[0], 1)
        inner = tuple(shape[place.axis + 1:])
        if inner and sizes[-len(inner):] == inner and len(sizes) > len(inner):
            merged = [len(sizes) - len(inner) - 1]  # the axes after the batch stay as they are
        else:
            merged = [axis for axis in reversed(range(len(sizes))) if before[axis] <= outside]
        for axis in merged:
            if outside % before[axis] == 0 and sizes[axis] % (outside // before[axis] * self.batch) == 0:
                return Place(axis, outside // before[axis])
        raise NotFreed

    def _spreads_batch(self, node: Node, name: str) -> bool:
        """Whether a value without a batch (a class token) is repeated for each example."""
        sizes = node.arguments[1] if len(node.arguments) > 1 else ()
        shape = self.recorded[name].shape
        alone = len(sizes) > len(shape) or shape[:1] == (1,)
        return bool(sizes) and name not in self.places and sizes[0] == self.batch and alone

    def _with_size(self, node: Node, place: Place) -> Node:
        sizes = node.arguments[1]
        size = sizes[place.axis]
        for name in output_names(node.outputs):
            self.places[name] = place
        if size == -1 or isinstance(size, Number):
            return node
        if type(size) is not int or size % self.batch:
            raise NotFreed
        times = size // self.batch
        name = self.numbers.setdefault(times, f"{self.source.inputs[0].name}~batch*{times}")
        freed = [*sizes[:place.axis], Number(name), *sizes[place.axis + 1:]]
        return replace(node, arguments=(node.arguments[0], freed, *node.arguments[2:]))


def _tensor_inputs(node: Node) -> tuple[str, ...]:
    from core.graph.nodes import used_by

    return tuple(str(name) for name in used_by(node))


def _with_numbers(argument: Any, freeing: _Freeing) -> Any:
    """The argument with the multiples of the batch as they are in the larger run."""
    if not isinstance(argument, list):
        return argument
    return [freeing.literal(part) if isinstance(part, Number) and part in freeing.numbers.values() else part
            for part in argument]
