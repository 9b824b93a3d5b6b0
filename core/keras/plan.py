"""What a checked Keras config says, as plain data: layers, and the calls that link them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


class CannotRunError(ValueError):
    """Why an honest network cannot be built here; the text is the middle of a sentence."""


@dataclass(frozen=True)
class Ref:
    """The output `tensor` of the call number `call` of a layer."""

    layer: str
    call: int
    tensor: int


@dataclass(frozen=True)
class Call:
    """One use of a layer: arguments are numbers, texts, lists, and Refs where tensors go."""

    layer: str
    number: int
    arguments: tuple[Any, ...]
    named: dict[str, Any] = field(default_factory=dict)

    def refs(self) -> list[Ref]:
        """The tensors that it needs."""
        return list(refs_in([*self.arguments, *self.named.values()]))


@dataclass(frozen=True)
class LayerPlan:
    """A layer to build: `kind` is a class of keras.layers, a function of keras.ops (`operation`),
    or a network of its own (`graph`). saved_as: the class in the file, which names its weights.
    frozen: whether the file says that its weights are not trained."""

    name: str
    kind: str
    saved_as: str
    config: dict[str, Any] = field(default_factory=dict)
    operation: bool = False
    graph: "GraphPlan | None" = None
    frozen: bool = False


@dataclass(frozen=True)
class GraphPlan:
    """A network: `calls` in an order in which each finds what it needs; inputs: shapes by name,
    batch first, None where any size goes; outputs: those of the network, all of them."""

    name: str
    layers: tuple[LayerPlan, ...]
    calls: tuple[Call, ...]
    inputs: dict[str, tuple[int | None, ...] | None]
    outputs: tuple[Ref, ...]

    def leaves(self) -> Iterator[LayerPlan]:
        """Every layer that is no network, those of inner networks included."""
        for layer in self.layers:
            yield from layer.graph.leaves() if layer.graph else (layer,)

    def last_layer(self) -> LayerPlan | None:
        """The layer that gives the first output, inert ones and reshapes left out."""
        calls = {(call.layer, call.number): call for call in self.calls}
        layers = {layer.name: layer for layer in self.layers}
        at = self.outputs[0]
        while (call := calls.get((at.layer, at.call))) is not None:
            layer = layers[at.layer]
            if layer.graph:
                return layer.graph.last_layer()
            if layer.kind not in ("Identity", "Flatten", "Reshape"):
                return layer
            at = call.refs()[0]
        return None


def refs_in(values: Any) -> Iterator[Ref]:
    """The Refs in nested lists and dicts."""
    if isinstance(values, Ref):
        yield values
    elif isinstance(values, (list, tuple, dict)):
        for value in values.values() if isinstance(values, dict) else values:
            yield from refs_in(value)


def filled_in(values: Any, tensors: dict[tuple[str, int], list[Any]]) -> Any:
    """The same structure with the tensors in place of their Refs."""
    if isinstance(values, Ref):
        return tensors[values.layer, values.call][values.tensor]
    if isinstance(values, (list, tuple)):
        return [filled_in(value, tensors) for value in values]
    return values
