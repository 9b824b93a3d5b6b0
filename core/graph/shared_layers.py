"""Layers with two names in a network are one layer, under the first, as in the network itself."""

from dataclasses import replace

from core.graph.nodes import Graph, Node, Weight

Content = frozenset[tuple[str, int]]  # names below the layer, and which tensors they are


def with_shared_layers(graph: Graph) -> tuple[Graph, tuple[str, ...]]:
    """The graph with such layers named alike, and the names that are second ones.

    A second name is told by its tensors, all of which are another layer's of the same structure.
    """
    types = {call.path: call.type_name for node in graph.nodes for call in node.calls}
    places = {path: place for place, path in enumerate(graph.layers)}
    contents = _contents(graph)
    first: dict[Content, list[str]] = {}
    same: dict[str, str] = {}
    for path in sorted(contents, key=lambda path: places.get(path, len(places))):
        earlier = first.setdefault(frozenset(contents[path]), [])
        kind = types.get(path)
        found = next((other for other in earlier if _alike(kind, types.get(other))), None)
        if found is None:
            earlier.append(path)
        else:
            same[path] = found
    if not same:
        return graph, ()
    nodes = tuple(_renamed(node, same) for node in graph.nodes)
    weights = {value: replace(weight, name=_tensor_name(weight, same))
               for value, weight in graph.weights.items()}
    layers = tuple(path for path in graph.layers if _first_name(path, same) == path)
    return replace(graph, nodes=nodes, weights=weights, layers=layers), tuple(same)


def _contents(graph: Graph) -> dict[str, set[tuple[str, int]]]:
    contents: dict[str, set[tuple[str, int]]] = {}
    for weight in graph.weights.values():
        parts = weight.name.split(".")
        for depth in range(1, len(parts)):
            content = contents.setdefault(".".join(parts[:depth]), set())
            content.add((".".join(parts[depth:]), id(weight.tensor)))
    return contents


def _alike(one: str | None, other: str | None) -> bool:
    """Whether two layers can be one; the class of a layer that is never called is not known."""
    return one == other or one is None or other is None


def _first_name(path: str, same: dict[str, str]) -> str:
    """The path with the longest part of it that is a second name replaced."""
    parts = path.split(".")
    for depth in range(len(parts), 0, -1):
        if (start := ".".join(parts[:depth])) in same:
            return ".".join([same[start], *parts[depth:]])
    return path


def _tensor_name(weight: Weight, same: dict[str, str]) -> str:
    path, dot, name = weight.name.rpartition(".")
    return f"{_first_name(path, same)}{dot}{name}"


def _renamed(node: Node, same: dict[str, str]) -> Node:
    calls = tuple(replace(call, path=_first_name(call.path, same)) for call in node.calls)
    return replace(node, calls=calls)
