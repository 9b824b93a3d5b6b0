"""What a data flow is made of: operations, the tensors between them, and the layers they ran in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from core.flow.windows import Window

Shape = tuple[int, ...]
INPUT, OUTPUT = "input", "output"


class Call(NamedTuple):
    """One run of a layer; number: 0 for its first."""

    layer: str
    number: int


class Edge(NamedTuple):
    """A tensor of that shape, made by one operation and read by another; both by position."""

    source: int
    target: int
    shape: Shape


@dataclass(frozen=True)
class Operation:
    """One operator of a run. calls: the layers it ran in, outermost first, the network left out.

    shapes: of the tensors it gives. weights: names of the parameters and buffers that it reads,
    through constants too. memory: bytes of the tensors it makes room for, 0 for views. window:
    what it looks at; order: how it moves sides (see core.flow.windows). number: its place in the
    run, from 0, those that are not drawn counted.
    """

    operator: str
    calls: tuple[Call, ...] = ()
    shapes: tuple[Shape, ...] = ()
    weights: frozenset[str] = frozenset()
    multiply_adds: int = 0
    memory: int = 0
    window: Window | None = None
    order: tuple[int, ...] | None = None
    number: int = 0

    @property
    def layer(self) -> str:
        """The innermost layer it ran in, "" for the network itself."""
        return self.calls[-1].layer if self.calls else ""


@dataclass(frozen=True)
class Flow:
    """operations: in the order in which they ran, so that each edge points forward.

    edges: empty where the flow is not known; then `missing` says why, and the operations are the
    innermost layers. parameters: how many numbers each has, by name, tied ones under the first.
    types: of each layer, by name.
    """

    operations: tuple[Operation, ...]
    edges: tuple[Edge, ...]
    parameters: Mapping[str, int]
    types: Mapping[str, str]
    notes: tuple[str, ...] = ()
    missing: str = ""
