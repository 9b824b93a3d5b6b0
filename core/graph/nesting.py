"""From a flat list of nodes to a tree of layers: each call of a layer is a program of it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Generic, TypeVar

from core.graph.nodes import Graph, Node, Number, Ref, last_uses, mapped, output_names, used_by
from core.graph.operators import gives_number

Layer = TypeVar("Layer")


@dataclass(frozen=True)
class Step:
    """One operator. dead: the values that nothing needs after it."""

    node: Node
    is_number: bool
    dead: tuple[str, ...]


@dataclass(frozen=True)
class Run(Generic[Layer]):
    """One run of a layer inside another: which of its programs, on which values."""

    path: str
    program: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dead: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """What one call of a layer does. inputs, outputs: tensors; weights: values that are weights."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: tuple[str, ...]
    steps: tuple[Step | Run, ...]


@dataclass(frozen=True)
class Nested:
    """programs: of each layer by path, "" for the network. pieces: layers of which one call was
    recorded with other layers' nodes in between, so that it runs in pieces."""

    programs: dict[str, tuple[Program, ...]]
    types: dict[str, str]
    pieces: tuple[str, ...]


def nested(graph: Graph) -> Nested:
    """The graph's nodes as programs of its layers."""
    return _Nesting(graph).result()


def _homed(nodes: tuple[Node, ...]) -> list[Node]:
    """The nodes, those without a layer moved into the layers that both neighbours ran in."""
    following: list[tuple] = []
    calls: tuple = ()
    for node in reversed(nodes):
        calls = node.calls or calls
        following.append(calls)
    homed, before = [], ()
    for node, after in zip(nodes, reversed(following), strict=True):
        if not node.calls:
            common = (a for a, b in zip(before, after, strict=False) if a == b)
            node = replace(node, calls=tuple(common))
        before = node.calls
        homed.append(node)
    return homed


class _Nesting:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        numbers = {name for node in graph.nodes if gives_number(node.operator)
                   for name in output_names(node.outputs)}
        self.nodes = [_with_numbers(node, numbers) for node in _homed(graph.nodes)]
        self.used = [dict.fromkeys(map(str, used_by(node))) for node in self.nodes]
        self.made = {name: index for index, node in enumerate(self.nodes)
                     for name in output_names(node.outputs)}
        self.last = {name: index for name, index in last_uses(graph).items() if name not in numbers}
        self.numbers = numbers
        self.programs: dict[str, list[Program]] = {}
        self.types: dict[str, str] = {}
        self.seen: dict[tuple[str, ...], int] = {}

    def result(self) -> Nested:
        outputs = tuple(dict.fromkeys(map(str, self.graph.outputs)))
        root = self._program(0, len(self.nodes), 0, outputs)
        self.programs[""] = [root]
        programs = {path: tuple(several) for path, several in self.programs.items()}
        pieces = tuple(dict.fromkeys(keys[-1] for keys, times in self.seen.items() if times > 1))
        return Nested(programs, self.types, pieces)

    def _program(self, start: int, end: int, depth: int, outputs: tuple[str, ...]) -> Program:
        """The nodes start … end, which ran in the same `depth` calls."""
        steps = tuple(self._step(first, last, depth, outputs)
                      for first, last in self._runs(start, end, depth))
        own = {name for index in range(start, end) if len(self.nodes[index].calls) <= depth
               for name in self.used[index]}
        weights = tuple(sorted((own | set(outputs)) & self.graph.weights.keys()))
        return Program(self._entering(start, end), outputs, weights, steps)

    def _runs(self, start: int, end: int, depth: int) -> Iterator[tuple[int, int]]:
        """Where each own node of this program, and each run of a layer in it, begins and ends."""

        def key(index: int) -> Any:
            calls = self.nodes[index].calls
            return calls[depth].key if len(calls) > depth else index

        for _, group in groupby(range(start, end), key):
            indices = list(group)
            yield indices[0], indices[-1] + 1

    def _step(self, start: int, end: int, depth: int, kept: tuple[str, ...]) -> Step | Run:
        node = self.nodes[start]
        dead = self._dying(start, end, kept)
        if len(node.calls) <= depth:
            return Step(node, gives_number(node.operator), dead)
        call = node.calls[depth]
        keys = tuple(outer.key for outer in node.calls[:depth + 1])
        self.seen[keys] = self.seen.get(keys, 0) + 1
        self.types.setdefault(call.path, call.type_name)
        outputs = self._leaving(start, end)
        program = self._program(start, end, depth + 1, outputs)
        programs = self.programs.setdefault(call.path, [])
        programs.append(program)
        return Run(call.path, len(programs) - 1, program.inputs, outputs, dead)

    def _entering(self, start: int, end: int) -> tuple[str, ...]:
        """Tensors from before `start` that these nodes read, in the order of their first use."""
        used = dict.fromkeys(name for names in self.used[start:end] for name in names)
        return tuple(name for name in used if self.made.get(name, -1) < start
                     and name not in self.graph.weights and name not in self.numbers)

    def _leaving(self, start: int, end: int) -> tuple[str, ...]:
        """Tensors that these nodes make for later ones; where there are none, the last made."""
        made = [name for node in self.nodes[start:end] for name in output_names(node.outputs)
                if name not in self.numbers]
        return tuple(name for name in made if self.last.get(name, -1) >= end) or tuple(made[-1:])

    def _dying(self, start: int, end: int, kept: tuple[str, ...]) -> tuple[str, ...]:
        """Values that no node after these reads."""
        touched = dict.fromkeys(name for index in range(start, end) for name in
                                (*self.used[index], *output_names(self.nodes[index].outputs)))
        return tuple(name for name in touched if self.last.get(name, -1) < end and name not in kept
                     and name not in self.numbers)


def _with_numbers(node: Node, numbers: set[str]) -> Node:
    """The node with its references to numbers marked as such."""

    def marked(name: Ref) -> Ref:
        return Number(name) if name in numbers else Ref(name)

    return replace(node, arguments=mapped(node.arguments, marked),
                   keywords=mapped(node.keywords, marked))
