"""A frozen network as data: nodes that name operators, arguments, and layers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from core.graph.operators import MAKING, base_name

MOST_NODES = 20_000  # the largest real network that was met has 4,200
DEEPEST = 64  # layers inside layers
UNBOUNDED = 1 << 31


class Ref(str):
    """A value's name, where an argument is that value."""

    __slots__ = ()


class Number(Ref):
    """The name of a value that is a number, such as a size."""

    __slots__ = ()


class _Device:
    """Stands in arguments for the device that the network runs on."""


DEVICE: Final = _Device()


@dataclass(frozen=True)
class Call:
    """One run of a layer: the key tells repeated runs apart, the path is the layer's name."""

    key: str
    path: str
    type_name: str


@dataclass(frozen=True)
class Node:
    """operator: a name in the table of core/graph/operators.py, such as "aten.conv2d.default".

    outputs: a name, None, or a list of these. calls: the layers it ran in, outermost first,
    without the network itself. where: what the file calls the node, for messages.
    """

    operator: str
    arguments: tuple
    keywords: dict[str, Any]
    outputs: Any
    calls: tuple[Call, ...] = ()
    where: str = ""

    def __post_init__(self) -> None:
        """All tensors are made where the network runs, whatever device the file names or omits."""
        if base_name(self.operator) in MAKING or self.keywords.get("device") is not None:
            object.__setattr__(self, "keywords", self.keywords | {"device": DEVICE})


# Whole numbers that an input may be of, and what pixel values 0 to 255 are then mapped to.
PIXELS = {torch.uint8: (0.0, 255.0), torch.int8: (-128.0, 127.0), torch.int16: (0.0, 255.0),
          torch.int32: (0.0, 255.0), torch.int64: (0.0, 255.0)}


@dataclass(frozen=True)
class Input:
    """sizes: (smallest, largest) of each dimension, equal where it is fixed. example: the sizes
    that the network was recorded with. is_said: whether the file fixes what is fixed; else that
    was chosen when it was read."""

    name: str
    sizes: tuple[tuple[int, int], ...]
    example: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    is_said: bool = True

    @property
    def pixel_range(self) -> tuple[float, float] | None:
        """What a picture (N, C, H, W) of whole numbers is scaled to; None for other inputs."""
        return PIXELS.get(self.dtype) if len(self.sizes) == 4 else None

    def in_own_type(self, tensor: torch.Tensor) -> torch.Tensor:
        """Pictures, which come as floating numbers, as the nearest whole ones where the network
        was made for these; not where a gradient is to pass, since whole numbers have none."""
        if self.dtype not in PIXELS or tensor.dtype == self.dtype or tensor.requires_grad:
            return tensor
        ends = torch.iinfo(self.dtype)
        return tensor.round().clamp(ends.min, ends.max).to(self.dtype)


@dataclass(frozen=True)
class Weight:
    """A tensor of the file and its name in the state dict."""

    name: str
    tensor: torch.Tensor
    is_parameter: bool


@dataclass(frozen=True)
class Graph:
    """outputs: the values a run returns. weights: by the name of their value.

    layers: every layer's path in the order of definition, as far as the file says.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[Ref, ...]
    weights: dict[str, Weight]
    layers: tuple[str, ...] = field(default=())

    def layers_kept(self) -> list[str]:
        """Layers of which the file holds more than the name, and those they lie in."""
        paths = {call.path for node in self.nodes for call in node.calls}
        paths |= {weight.name.rpartition(".")[0] for weight in self.weights.values()}
        held = {path[:end] for path in paths for end in _prefix_ends(path)}
        return [path for path in self.layers if path in held]

    def layers_lost(self) -> list[str]:
        """Layers that passed their input on or never ran, so that nothing of them was recorded."""
        kept = set(self.layers_kept())
        outer = {path[:end] for path in self.layers for end in _prefix_ends(path)[:-1]}
        return [path for path in self.layers if path and path not in kept and path not in outer]


def _prefix_ends(path: str) -> list[int]:
    """Where each path that leads to this one ends, itself included."""
    return [*(place for place, letter in enumerate(path) if letter == "."), len(path)]


def references(argument: Any) -> list[Ref]:
    """The values that an argument, or a structure of arguments, names."""
    found: list[Ref] = []
    _collect(argument, found)
    return found


def _collect(argument: Any, found: list[Ref]) -> None:
    if isinstance(argument, Ref):
        found.append(argument)
    elif isinstance(argument, (list, tuple)):
        for part in argument:
            _collect(part, found)
    elif isinstance(argument, dict):
        for part in argument.values():
            _collect(part, found)


def used_by(node: Node) -> list[Ref]:
    """The values that a node reads."""
    return references((node.arguments, node.keywords))


def output_names(outputs: Any) -> Iterator[str]:
    """The names in a node's outputs."""
    if isinstance(outputs, str):
        yield outputs
    elif isinstance(outputs, (list, tuple)):
        for part in outputs:
            yield from output_names(part)


def mapped(argument: Any, change: Callable[[Ref], Any]) -> Any:
    """An argument with each of its references replaced by `change(reference)`."""
    if isinstance(argument, Ref):
        return change(argument)
    if isinstance(argument, dict):
        return {key: mapped(part, change) for key, part in argument.items()}
    if isinstance(argument, (list, tuple)):
        return type(argument)(mapped(part, change) for part in argument)
    return argument


def last_uses(graph: Graph) -> dict[str, int]:
    """The index of the last node that reads each value; what is returned, one past the end."""
    last = {str(name): index for index, node in enumerate(graph.nodes) for name in used_by(node)}
    return last | {str(name): len(graph.nodes) for name in graph.outputs}
