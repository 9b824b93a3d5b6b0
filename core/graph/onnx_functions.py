"""ONNX files that wrap operators in functions: each call is replaced by the function's nodes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from core.errors import UserError
from core.graph.nodes import MOST_NODES
from core.graph.onnx_model import Function, OnnxModel, OnnxNode, Reference
from core.text_of_files import shown

DEEPEST_CALLS = 32


def without_functions(model: OnnxModel) -> tuple[OnnxNode, ...]:
    """The graph's nodes with functions replaced by what they do; a call keeps its name and layer.

    Raises UserError where that would be endless or too much.
    """
    return tuple(_Inlining(model.functions).nodes(model.nodes, 0))


class _Inlining:
    def __init__(self, functions: dict[tuple[str, str, str], Function]) -> None:
        self.functions = functions
        self.calls = self.count = 0

    def nodes(self, nodes: tuple[OnnxNode, ...], depth: int) -> Iterator[OnnxNode]:
        for node in nodes:
            name, _, overload = node.operator.partition(":")
            function = self.functions.get((node.domain, name, overload))
            self.count += 1
            if self.count > MOST_NODES or depth > DEEPEST_CALLS:
                raise UserError(f"its functions, such as {shown(name)}, unfold to more than "
                                f"{MOST_NODES:,} nodes or call themselves, which is too large. "
                                "Export the network again with a newer torch.")
            if function is None:
                yield node
                continue
            self.calls += 1
            yield from self.nodes(self._body(node, function, f"{name}~{self.calls}~"), depth + 1)

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


def _attributes(own: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """A node's attributes, those that refer to the caller's replaced or, not given, left out."""
    found = {}
    for name, value in own.items():
        if not isinstance(value, Reference):
            found[name] = value
        elif value.name in given:
            found[name] = given[value.name]
    return found
