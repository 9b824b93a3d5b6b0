"""ONNX files that wrap operators in functions: each call is replaced by the function's nodes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from core.errors import UserError
from core.files.limits import current_limits
from core.files.text_of_files import shown
from core.graph.onnx_model import Branch, Function, OnnxModel, OnnxNode, Reference
from core.graph.onnx_names import LONGEST

DEEPEST_CALLS = 32
MOST_READ = 100_000  # values that all nodes read; the largest real network that was met: 15,000
MOST_COPIED = 1 << 24  # letters of names, and attributes, that unfolding writes again


def without_functions(model: OnnxModel) -> tuple[OnnxNode, ...]:
    """The graph's nodes with functions replaced by what they do; a call keeps its name and layer.

    Raises UserError where that would be endless or too much.
    """
    return tuple(_Inlining(model.functions).nodes(model.nodes, 0))


class _Inlining:
    def __init__(self, functions: dict[tuple[str, str, str], Function]) -> None:
        self.functions = functions
        self.sizes = {key: _copied(function) for key, function in functions.items()}
        self.calls = self.count = self.read = self.copied = 0

    def nodes(self, nodes: tuple[OnnxNode, ...], depth: int) -> Iterator[OnnxNode]:
        for node in nodes:
            name, _, overload = node.operator.partition(":")
            key = node.domain, name, overload
            self._check(node, name, depth)
            if key not in self.functions:
                yield node
                continue
            self.calls += 1
            self.copied += self.sizes[key]
            prefix = f"{name[:LONGEST]}~{self.calls}~"
            yield from self.nodes(self._body(node, self.functions[key], prefix), depth + 1)

    def _check(self, node: OnnxNode, name: str, depth: int) -> None:
        self.count += 1
        self.read += len(node.inputs)
        limit = current_limits().nodes
        if self.count > limit or depth > DEEPEST_CALLS or self.copied > MOST_COPIED:
            raise UserError(f"its functions, such as {shown(name)}, unfold to more than "
                            f"{limit:,} nodes or call themselves, which is too large. "
                            "Export the network again with a newer torch.")
        if self.read > MOST_READ:
            raise UserError(f"its nodes read more than {MOST_READ:,} values, the limit. "
                            "Save the network's state dict.")

    def _body(self, call: OnnxNode, function: Function, prefix: str) -> tuple[OnnxNode, ...]:
        """The function's nodes with the caller's values, attributes, name and layer."""
        values = dict.fromkeys(function.inputs, "")
        values |= dict(zip(function.inputs, call.inputs, strict=False))
        values |= {inner: outer for inner, outer in
                   zip(function.outputs, call.outputs, strict=False) if outer}
        given = function.defaults | call.attributes

        def named(value: str) -> str:
            return values.get(value, f"{prefix}{value}") if value else ""

        return tuple(replace(
            node, name=call.name, metadata=call.metadata | node.metadata,
            inputs=tuple(map(named, node.inputs)), outputs=tuple(map(named, node.outputs)),
            attributes=_attributes(node.attributes, given)) for node in function.nodes)


def _copied(function: Function) -> int:
    """How much one call of a function writes again."""
    size = len(function.inputs) + len(function.outputs) + len(function.defaults)
    for node in function.nodes:
        names = (*node.inputs, *node.outputs)
        size += sum(map(len, names)) + 64 * len(node.attributes)
    return size


def _attributes(own: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """A node's attributes, those that refer to the caller's replaced or, not given, left out."""
    found = {}
    for name, value in own.items():
        if isinstance(value, Branch):
            continue  # whose names are the function's own: refused, as an If without branches
        if not isinstance(value, Reference):
            found[name] = value
        elif value.name in given:
            found[name] = given[value.name]
    return found
