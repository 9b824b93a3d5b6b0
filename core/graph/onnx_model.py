"""An ONNX file as data: nodes, tensors, inputs and outputs."""

from dataclasses import dataclass
from typing import Any

import torch

from core.graph.onnx_tensors import Tensors


@dataclass(frozen=True)
class Reference:
    """An attribute of a function's node that the caller of the function gives."""

    name: str


@dataclass(frozen=True)
class OnnxNode:
    """A node; "" is an input or output that is left out. unreadable: an attribute that is no
    number, text or tensor, by name."""

    operator: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    metadata: dict[str, str]
    opset: int = 0
    unreadable: str = ""

    @property
    def key(self) -> str:
        """The operator with its domain, where that is not ONNX's own."""
        return f"{self.domain}.{self.operator}" if self.domain else self.operator


@dataclass(frozen=True)
class Branch:
    """One way of an If: nodes that may read any value before it, and tensors of its own."""

    nodes: tuple[OnnxNode, ...]
    weights: dict[str, torch.Tensor]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Declared:
    """An input or output. sizes: a number, or None where the file leaves it open; None for all."""

    name: str
    sizes: tuple[int | None, ...] | None
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class Function:
    """Nodes under a name, called like an operator."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: tuple[str, ...]
    defaults: dict[str, Any]
    nodes: tuple[OnnxNode, ...]


@dataclass(frozen=True)
class OnnxModel:
    """functions: by (domain, name, overload). tensors counts what is made of it, too."""

    producer: str
    ir_version: int
    opset: int
    nodes: tuple[OnnxNode, ...]
    weights: dict[str, torch.Tensor]
    inputs: tuple[Declared, ...]
    outputs: tuple[Declared, ...]
    metadata: dict[str, str]
    functions: dict[tuple[str, str, str], Function]
    tensors: Tensors


def in_order(nodes: tuple[OnnxNode, ...]) -> tuple[OnnxNode, ...]:
    """Each after those that make what it reads, which onnxruntime's converter to half precision
    does not keep to; one in a circle stays before what it reads."""
    makers: dict[str, int] = {}
    for place, node in enumerate(nodes):
        for name in filter(None, node.outputs):
            makers.setdefault(name, place)
    done: dict[int, None] = {}
    opened: set[int] = set()
    for start in range(len(nodes)):
        waiting = [start]
        while waiting:
            place = waiting[-1]
            missing = [makers[name] for name in nodes[place].inputs
                       if name in makers and makers[name] not in done]
            if place in done or place in opened or not missing:
                done[waiting.pop()] = None
            else:
                opened.add(place)
                waiting += missing
    return tuple(nodes[place] for place in done)
