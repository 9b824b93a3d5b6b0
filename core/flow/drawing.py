"""The data flow as the page draws it: each run of a layer is a group, a lone operation its layer.

A group holds consecutive operations only, so that folding any groups never makes a cycle.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from core.cache import shared_resource
from core.data_flow import data_flow
from core.flow.names import REARRANGING
from core.flow.operations import INPUT, OUTPUT, Call, Flow, Operation


@dataclass
class _Group:
    call: Call
    parts: "list[_Group | int]" = field(default_factory=list)

    def positions(self) -> Iterator[int]:
        for part in self.parts:
            if isinstance(part, _Group):
                yield from part.positions()
            else:
                yield part


@dataclass(frozen=True)
class Box:
    """What an item stands for: run `run` (from 1) of a layer; or, where `position` is that of an
    operation of the flow and `is_layer` is false, that operation inside that run, "" for the
    network itself."""

    layer: str
    run: int
    is_layer: bool
    position: int | None


@dataclass(frozen=True)
class Drawing:
    """graph: what the component takes. items, parents first: [id, parent (position, or -1), 1 for a
    group, name, which run of its layer (from 0), operator or type, layer, shape, (parameters,
    multiply-adds, bytes)]; edges: pairs of positions; operators and how many, without those that
    only rearrange; revision: a digest of it all.
    layers: of each item's id, the layer that it is or lies in; boxes: and all that it stands for.
    ids: of each layer, the item that shows its first run, or else reads its weights.
    """

    graph: dict[str, Any]
    layers: dict[str, str]
    boxes: dict[str, Box]
    ids: dict[str, str]


@shared_resource(entries=8)
def drawing(model_id: str, dataset_id: str | None = None) -> Drawing:
    """The network behind an id, ready to be drawn."""
    return drawing_of(data_flow(model_id, dataset_id))


def drawing_of(flow: Flow) -> Drawing:
    """A flow, ready to be drawn."""
    drawn = _Items(flow)
    operators = Counter(operation.operator for operation in flow.operations
                        if not set(operation.operator.split(", ")) <= REARRANGING)
    graph = {
        "items": drawn.items,
        "edges": sorted({(drawn.places[edge.source], drawn.places[edge.target])
                         for edge in flow.edges}),
        "operators": [pair for pair in operators.most_common() if pair[0] not in (INPUT, OUTPUT)],
    }
    digest = hashlib.sha256(json.dumps(graph).encode()).hexdigest()[:16]
    layers = {item[0]: item[6] for item in drawn.items}
    return Drawing(graph | {"revision": digest}, layers, drawn.boxes, drawn.ids)


def _nested(flow: Flow) -> _Group:
    root = _Group(Call("", 0))
    inside = [root]
    for position, operation in enumerate(flow.operations):
        shared = 0
        while shared < min(len(inside) - 1, len(operation.calls)) and (
            inside[shared + 1].call == operation.calls[shared]
        ):
            shared += 1
        del inside[shared + 1 :]
        for call in operation.calls[shared:]:
            inside[-1].parts.append(group := _Group(call))
            inside.append(group)
        inside[-1].parts.append(position)
    return root


class _Items:
    """places: of each operation, its item."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.items: list[list[Any]] = []
        self.boxes: dict[str, Box] = {}
        self.ids: dict[str, str] = {}
        self.places: dict[int, int] = {}
        self._add_parts(_nested(flow), -1)
        for position, operation in enumerate(flow.operations):
            for weight in sorted(operation.weights):
                if layer := weight.rpartition(".")[0]:
                    self.ids.setdefault(layer, self.items[self.places[position]][0])

    def _add_parts(self, outer: _Group, parent: int) -> None:
        """What lies in a group; what has one part only is that part, under its own name."""
        for part in outer.parts:
            calls = []
            while isinstance(part, _Group):
                calls.append(part.call)
                if len(part.parts) > 1:
                    break
                part = part.parts[0]
            self._add(part, calls, outer.call, parent)

    def _add(self, part: _Group | int, calls: list[Call], outer: Call, parent: int) -> None:
        group = isinstance(part, _Group)
        held = [self.flow.operations[p] for p in (part.positions() if group else [part])]
        call = calls[-1] if calls else outer
        key = f"{call.layer}@{call.number}" if group else f"#{part}"
        name = call.layer[len(outer.layer) :].lstrip(".") if calls else ""
        kind = self.flow.types.get(call.layer, "") if group else held[0].operator
        self.items.append([key, parent, int(group), name, call.number if calls else 0, kind,
                           call.layer, _shape(held[-1]), _values(held, self.flow)])
        position = None if isinstance(part, _Group) else part
        self.boxes[key] = Box(call.layer, call.number + 1, bool(calls), position)
        for shown in calls:
            self.ids.setdefault(shown.layer, key)
        if isinstance(part, _Group):
            self._add_parts(part, len(self.items) - 1)
        else:
            self.places[part] = len(self.items) - 1


def _shape(operation: Operation) -> str:
    return "×".join(map(str, operation.shapes[0])) if operation.shapes else ""


def _values(operations: list[Operation], flow: Flow) -> list[int]:
    weights = frozenset[str]().union(*(operation.weights for operation in operations))
    return [
        sum(flow.parameters.get(name, 0) for name in weights),
        sum(operation.multiply_adds for operation in operations),
        sum(operation.memory for operation in operations),
    ]
