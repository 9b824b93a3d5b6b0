"""What is worth drawing of a recorded run: what leads to the output, changes of shape as one."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

from core.flow.names import REARRANGING
from core.flow.operations import Edge, Operation


def without_unused(operations: list[Operation],
                   edges: list[Edge]) -> tuple[list[Operation], list[Edge]]:
    """Only what the output, the last operation, depends on."""
    sources: dict[int, list[int]] = defaultdict(list)
    for edge in edges:
        sources[edge.target].append(edge.source)
    used, ahead = {0}, [len(operations) - 1]
    while ahead:
        if (position := ahead.pop()) not in used:
            used.add(position)
            ahead += sources[position]
    return _renumbered(operations, edges, {position: position for position in used})


def rearranged_at_once(operations: list[Operation],
                       edges: list[Edge]) -> tuple[list[Operation], list[Edge]]:
    """A chain of operations that only rearrange numbers in one layer becomes one operation."""
    readers = Counter(edge.source for edge in edges)
    read = Counter(edge.target for edge in edges)
    ends = {position: position for position in range(len(operations))}
    operations = list(operations)
    for edge in sorted(edges):
        first, second = operations[edge.source], operations[edge.target]
        if (readers[edge.source] == read[edge.target] == 1 and first.calls == second.calls
                and _rearranges(first) and _rearranges(second)):
            ends[edge.source] = edge.target
            operations[edge.target] = _joined(first, second)
    for position in reversed(range(len(operations))):
        ends[position] = ends[ends[position]]
    return _renumbered(operations, edges, ends)


def _rearranges(operation: Operation) -> bool:
    return set(operation.operator.split(", ")) <= REARRANGING


def _joined(first: Operation, second: Operation) -> Operation:
    names = dict.fromkeys([*first.operator.split(", "), *second.operator.split(", ")])
    return replace(
        second,
        operator=", ".join(names),
        weights=first.weights | second.weights,
        multiply_adds=first.multiply_adds + second.multiply_adds,
        memory=first.memory + second.memory,
    )


def _renumbered(operations: list[Operation], edges: Iterable[Edge],
                ends: dict[int, int]) -> tuple[list[Operation], list[Edge]]:
    """The operations that others end in, and the edges between different ones of them."""
    kept = sorted(set(ends.values()))
    number = {position: index for index, position in enumerate(kept)}
    moved = {position: number[end] for position, end in ends.items()}
    between = dict.fromkeys(
        Edge(moved[edge.source], moved[edge.target], edge.shape) for edge in edges
        if edge.target in moved and edge.source in moved
        and moved[edge.source] != moved[edge.target])
    return [operations[position] for position in kept], list(between)
