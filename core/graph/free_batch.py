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
from core.graph.nodes import UNBOUNDED, Graph, Node, Number, Ref, output_names, used_by
from core.graph.operators import base_name, resolve
from core.graph.running import State, bind, computed
from core.graph.shapes import Shapes

GROWN = 7  # times the recorded batch; a prime, so that an axis grows by it only with the batch
_RESHAPING = frozenset(["view", "reshape", "_unsafe_view"])
_MERGING = frozenset(["flatten", "squeeze", "unsqueeze"])
_MAKING = {"zeros": 0, "full": 0, "ones": 0, "new_zeros": 1, "new_full": 1}  # where the sizes are
_SPREADING = frozenset(["expand", "broadcast_to", "repeat"])


class NotFreedError(Exception):
    """The batch cannot be told from the other sizes."""


@dataclass(frozen=True)
class Place:
    """Where the batch is in a value: on which axis, and how many rows of that axis each of its
    examples is repeated in, outside of the batch (time, in an axis of time × batch)."""

    axis: int
    outside: int


@dataclass(frozen=True)
class Freed:
    """is_sure: the batch is first before and after each reshape that was changed. Examples lie one
    after the other in both, so none can get another's numbers: there is nothing to try."""

    graph: Graph
    is_sure: bool


def with_free_batch(graph: Graph) -> Freed | None:
    """The graph for any batch, or None where it cannot be told which sizes are the batch's."""
    freeing = _Freeing(graph)
    try:
        with torch.no_grad(), Shapes():
            return Freed(freeing.graph(), freeing.is_sure)
    except (NotFreedError, UserError):
        return None


class _Freeing:
    def __init__(self, source: Graph) -> None:
        self.source = source
        self.batch = source.inputs[0].example[0]
        self.numbers: dict[int, str] = {}  # multiples of the batch that are needed
        self.worth: dict[str, int] = {}  # theirs in the larger run
        self.recorded: dict[str, Any] = {}
        self.grown: dict[str, Any] = {}
        self.places: dict[str, Place] = {}
        self.is_sure = True

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
                       inputs=tuple(replace(given, sizes=((1, UNBOUNDED), *given.sizes[1:]))
                                    for given in self.source.inputs))

    def _number_nodes(self) -> Iterator[Node]:
        """Nodes that compute the batch and its multiples."""
        first = self.source.inputs[0].name
        batch = f"{first}~batch"
        yield Node("aten.sym_size.int", (Ref(first), 0), {}, batch, where="the batch")
        for times, name in self.numbers.items():
            yield Node("sym.mul", (Number(batch), times), {}, name, where="the batch")

    def _freed(self, node: Node, recorded: State, grown: State) -> Node:
        """The node, its literal sizes replaced where they hold the batch; runs at both batches."""
        function = resolve(node.operator)
        result = computed(node, function, self.recorded, recorded)
        bind(node.outputs, result, self.recorded)
        inputs = tuple(str(name) for name in used_by(node))
        node = self._with_free_sizes(node, inputs, result)
        literal = replace(node, arguments=tuple(map(self._literal, node.arguments)))
        bind(node.outputs, computed(literal, function, self.grown, grown), self.grown)
        for name in output_names(node.outputs):
            self._place(name, inputs)
        return node

    def _with_free_sizes(self, node: Node, inputs: tuple[str, ...], result: Any) -> Node:
        base = base_name(node.operator)
        if base in _MAKING:
            return self._made(node, _MAKING[base])
        first = inputs[0] if inputs else ""
        if base in (*_RESHAPING, *_MERGING) and first in self.places and result.dim():
            place = self._reshaped(first, tuple(result.shape))
            self.places[str(node.outputs)] = place
            if base in _MERGING:
                return node
            return self._with_size(node, 1, place.axis, self._leads(first, result))
        if base in _SPREADING and self._spreads_batch(node, first):
            return self._with_size(node, 1, 0)
        return node

    def _made(self, node: Node, slot: int) -> Node:
        """A tensor of zeros and the like; the state of a recurrent layer has the batch second."""
        sizes = _sizes(node, slot)
        axis = 1 if len(sizes) == 3 else 0
        return self._with_size(node, slot, axis) if sizes[axis:axis + 1] == [self.batch] else node

    def _literal(self, argument: Any) -> Any:
        """An argument with the multiples of the batch as they are in the larger run."""
        if not isinstance(argument, list):
            return argument
        return [self.worth.get(part, part) if isinstance(part, Number) else part
                for part in argument]

    def _place(self, name: str, inputs: tuple[str, ...]) -> None:
        """Finds the batch in a value by what has grown, its place in that axis by the inputs."""
        small, large = self.recorded[name], self.grown[name]
        if not isinstance(small, torch.Tensor):
            return
        if small.dim() != large.dim():
            raise NotFreedError
        pairs = zip(small.shape, large.shape, strict=True)
        axes = [axis for axis, (one, other) in enumerate(pairs) if one != other]
        if not axes:
            return
        if len(axes) > 1 or large.shape[axes[0]] != GROWN * small.shape[axes[0]]:
            raise NotFreedError
        size = small.shape[axes[0]]
        known = [self.places[given].outside for given in inputs if given in self.places
                 and self.recorded[given].shape[self.places[given].axis] == size]
        self.places.setdefault(name, Place(axes[0], known[0] if known else 1))

    def _reshaped(self, name: str, sizes: tuple[int, ...]) -> Place:
        """Where the batch is after a reshape, which keeps what lies outside of it, row by row."""
        shape, place = self.recorded[name].shape, self.places[name]
        outside = prod(shape[:place.axis]) * place.outside
        inner = tuple(shape[place.axis + 1:])
        before = [prod(sizes[:axis]) for axis in range(len(sizes))]
        for axis, size in enumerate(sizes):
            if size == self.batch and before[axis] == outside:
                return Place(axis, 1)
        axes = list(reversed(range(len(sizes))))
        if inner and len(sizes) > len(inner) and sizes[-len(inner):] == inner:
            axes = axes[len(inner):]  # what follows the batch stays as it is
        elif sizes[-1] == prod(inner):
            axes = axes[1:]  # what follows the batch is one axis now
        for axis in axes:
            if before[axis] <= outside and outside % before[axis] == 0:
                return Place(axis, outside // before[axis])
        raise NotFreedError

    def _spreads_batch(self, node: Node, name: str) -> bool:
        """Whether a value without a batch (a class token) is repeated for each example."""
        sizes = _sizes(node, 1)
        shape = self.recorded[name].shape
        alone = len(sizes) > len(shape) or shape[:1] == (1,)
        return name not in self.places and sizes[:1] == [self.batch] and alone

    def _leads(self, name: str, result: torch.Tensor) -> bool:
        """Whether the batch, and nothing else, is the first axis of a value and of its reshape."""
        leading = 0 if result.shape[:2] == (1, 1) else result.shape[0]  # else either may be it
        first = self.recorded[name].shape[0], self.places[name].axis, leading
        return first == (self.batch, 0, self.batch)

    def _with_size(self, node: Node, slot: int, axis: int, is_sure: bool = False) -> Node:
        """The node with one of its sizes, a multiple of the recorded batch, left to the batch."""
        sizes = node.arguments[slot]
        size = sizes[axis] if isinstance(sizes, list) and axis < len(sizes) else None
        if size == -1 or isinstance(size, Ref):
            return node
        if type(size) is not int or size % self.batch:
            raise NotFreedError
        self.is_sure &= is_sure
        times = size // self.batch
        name = self.numbers.setdefault(times, f"{self.source.inputs[0].name}~batch*{times}")
        self.worth[name] = size * GROWN
        sizes = [*sizes[:axis], Number(name), *sizes[axis + 1:]]
        before, after = node.arguments[:slot], node.arguments[slot + 1:]
        return replace(node, arguments=(*before, sizes, *after))


def _sizes(node: Node, slot: int) -> list:
    """The literal sizes among a node's arguments."""
    sizes = node.arguments[slot] if len(node.arguments) > slot else []
    return sizes if isinstance(sizes, list) else []
