"""Reads an ONNX file as data; nothing in it is run.

Fields: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import UserError
from core.files.file_map import looked_through
from core.files.file_span import Data
from core.files.limits import current_limits
from core.files.text_of_files import shown
from core.graph.onnx_model import Branch, Declared, Function, OnnxModel, OnnxNode, Reference
from core.graph.onnx_names import READ
from core.graph.onnx_tensors import MOST_AXES, WORKING, Tensors, pairs
from core.graph.onnx_wire import STATE_DICT, Wire, floats, numbers, signed, single

MODEL = {1: "ir", 2: "producer", 3: "producer_version", 7: "graph", 8: "opsets", 14: "metadata",
         25: "functions"}
GRAPH = {1: "nodes", 5: "tensors", 11: "inputs", 12: "outputs", 15: "sparse"}
NODE = {1: "inputs", 2: "outputs", 3: "name", 4: "operator", 5: "attributes", 7: "domain",
        8: "overload", 9: "metadata"}
ATTRIBUTE = {1: "name", 2: "f", 3: "i", 4: "s", 5: "t", 6: "graph", 7: "floats", 8: "ints",
             9: "strings", 10: "tensors", 11: "graphs", 14: "type_of", 15: "types_of", 20: "type",
             21: "reference", 22: "sparse", 23: "sparses"}
FUNCTION = {1: "name", 4: "inputs", 5: "outputs", 6: "attributes", 7: "nodes", 9: "opsets",
            10: "domain", 11: "defaults", 13: "overload"}
VALUE, TYPE, TENSOR_TYPE = {1: "name", 2: "kind"}, {1: "tensor"}, {1: "element", 2: "shape"}
SHAPE, DIMENSION, OPSET = {1: "dims"}, {1: "size", 2: "name"}, {1: "domain", 2: "version"}
OWN_DOMAINS = ("", "ai.onnx")
GRAPH_KIND = 5
KINDS = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints", 8: "strings"}
MOST_NUMBERS = 1_000_000  # in lists among the nodes' attributes
MOST_ENDS = 1_000  # inputs, and outputs
DEEPEST_BRANCHES = 8  # inside branches
LONGEST_SIDE = 1 << 30


def read_model(path: Path) -> OnnxModel:
    """The file as data. Raises UserError or ValueError where it is damaged or too large."""
    wire = Wire()
    with looked_through(path) as data:
        return _Reading(wire, Tensors(wire, path.parent)).model(data)


class _Reading:
    def __init__(self, wire: Wire, tensors: Tensors) -> None:
        self.wire = wire
        self.tensors = tensors
        self.nodes_left = current_limits().nodes
        self.numbers_left = MOST_NUMBERS
        self.branches = 0  # around what is being read

    def model(self, data: Data) -> OnnxModel:
        said = self.wire.message(data, MODEL)
        if not said["graph"]:
            raise ValueError("it holds no graph")
        if len(said["graph"]) > 1:
            raise ValueError("it holds several graphs")
        graph = self.wire.message(said["graph"][0], GRAPH)
        if graph["sparse"]:
            raise UserError("it has sparse weights, which are not read. Export it with dense ones.")
        _check_count(graph["tensors"], current_limits().tensors, "tensors")
        _check_count(graph["outputs"], MOST_ENDS, "outputs")
        opset = self._opset(said["opsets"])
        weights = _once([self.tensors.read(data) for data in graph["tensors"]], "tensor")
        producer = " ".join(self._text(said[key]) for key in ("producer", "producer_version")
                            if said[key])
        return OnnxModel(
            producer, said["ir"][-1] if said["ir"] else 0, opset,
            self._nodes(graph["nodes"], opset), weights, self._inputs(graph["inputs"], weights),
            tuple(Declared(self._text(self.wire.message(data, VALUE)["name"]), None)
                  for data in graph["outputs"]), self._entries(said["metadata"]),
            self._functions(said["functions"], opset), self.tensors)

    def _text(self, said: list) -> str:
        return self.wire.text(said[-1]) if said else ""

    def _inputs(self, said: list, weights: dict[str, Any]) -> tuple[Declared, ...]:
        """Those that are given; older files list weights, too."""
        _check_count(said, MOST_ENDS + len(weights), "inputs")
        inputs = [given for given in map(self._declared, said) if given.name not in weights]
        _check_count(inputs, MOST_ENDS, "inputs")
        return tuple(_once([(given.name, given) for given in inputs], "input").values())

    def _entries(self, said: list) -> dict[str, str]:
        return pairs(self.wire, said)

    def _opset(self, said: list, default: int = 1) -> int:
        """The version of ONNX's own operators."""
        for data in said:
            found = self.wire.message(data, OPSET)
            if self._text(found["domain"]) in OWN_DOMAINS:
                default = found["version"][-1] if found["version"] else default
        return default

    def _nodes(self, said: list, opset: int) -> tuple[OnnxNode, ...]:
        self.nodes_left -= len(said)
        if self.nodes_left < 0:
            raise UserError(f"it has more than {current_limits().nodes:,} nodes, the limit. "
                            f"{STATE_DICT}")
        return tuple(self._node(data, opset) for data in said)

    def _node(self, data: Data, opset: int) -> OnnxNode:
        said = self.wire.message(data, NODE)
        name, operator, domain = (self._text(said[key]) for key in ("name", "operator", "domain"))
        inputs, outputs = (tuple(map(self.wire.text, said[key])) for key in ("inputs", "outputs"))
        node = OnnxNode(operator, "" if domain in OWN_DOMAINS else domain, name,
                        inputs, outputs, {}, pairs(self.wire, said["metadata"], READ), opset)
        if said["overload"]:
            node = replace(node, operator=f"{operator}:{self._text(said['overload'])}")
        branching = opset if node.operator == "If" and not node.domain else None
        attributes = [self._attribute(part, branching) for part in said["attributes"]]
        unreadable = next((key for key, value in attributes if value is None), "")
        return replace(node, attributes=dict(attributes), unreadable=unreadable)

    def _attribute(self, data: Data, branching: int | None = None) -> tuple[str, Any]:
        """Its name and value; None where it holds a graph or another thing that is not read.

        branching: the version of the operators in a branch, where it may be one.
        """
        said = self.wire.message(data, ATTRIBUTE)
        name = self._text(said["name"])
        if said["reference"]:
            return name, Reference(self._text(said["reference"]))
        kind = KINDS.get(said["type"][-1]) if said["type"] else None
        if not said["type"] or said["type"][-1] == 0:  # files of IR version 1 leave it out
            kind = next((key for key in KINDS.values() if said[key]), None)
        if said["type"] and said["type"][-1] == GRAPH_KIND and said["graph"] and branching:
            return name, self._branch(said["graph"][-1], branching)
        if kind is None or (kind == "t" and not said["t"]):
            return name, None
        readers = {
            "f": lambda: single(said["f"]),
            "i": lambda: signed(said["i"][-1]) if said["i"] else 0,
            "s": lambda: self._text(said["s"]),
            "t": lambda: self.tensors.read(said["t"][-1])[1],
            "floats": lambda: self._listed(floats, said["floats"], name),
            "ints": lambda: self._listed(numbers, said["ints"], name),
            "strings": lambda: list(map(self.wire.text, said["strings"])),
        }
        return name, readers[kind]()

    def _branch(self, data: Data, opset: int) -> Branch | None:
        """None where it lies too deep, or is none: a branch takes no inputs."""
        if self.branches >= DEEPEST_BRANCHES:
            return None
        said = self.wire.message(data, GRAPH)
        if said["inputs"] or said["sparse"]:
            return None
        _check_count(said["outputs"], MOST_ENDS, "outputs")
        self.branches += 1
        weights = _once([self.tensors.read(tensor) for tensor in said["tensors"]], "tensor")
        nodes = self._nodes(said["nodes"], opset)
        self.branches -= 1
        outputs = (self._text(self.wire.message(part, VALUE)["name"]) for part in said["outputs"])
        return Branch(nodes, weights, tuple(outputs))

    def _listed(self, read: Callable[..., np.ndarray], said: list, name: str) -> list:
        try:
            found = read(said, self.numbers_left).tolist()
        except ValueError as error:
            raise UserError(f"the attribute {shown(name)}: {error} (the limit is {MOST_NUMBERS:,} "
                            f"in all attributes). {STATE_DICT}") from error
        self.numbers_left -= len(found)
        return found

    def _declared(self, data: Data) -> Declared:
        said = self.wire.message(data, VALUE)
        name = self._text(said["name"])
        kind = self.wire.message(said["kind"][-1], TYPE) if said["kind"] else {"tensor": []}
        if not kind["tensor"]:
            return Declared(name, None)
        tensor = self.wire.message(kind["tensor"][-1], TENSOR_TYPE)
        code = tensor["element"][-1] if tensor["element"] else 1
        if code not in WORKING:
            raise UserError(f"the input {shown(name)} has the element type {code}, which is "
                            "unknown or unsupported. Export it with numbers as input.")
        if not tensor["shape"]:
            return Declared(name, None, WORKING[code])
        return Declared(name, self._sizes(tensor["shape"][-1], name), WORKING[code])

    def _sizes(self, data: Data, name: str) -> tuple[int | None, ...]:
        dims = self.wire.message(data, SHAPE)["dims"]
        _check_count(dims, MOST_AXES, f"dimensions of the input {shown(name)}")
        said = [self.wire.message(dim, DIMENSION)["size"] for dim in dims]
        sizes = tuple(signed(dim[-1]) if dim and signed(dim[-1]) > 0 else None for dim in said)
        if prod(size or 1 for size in sizes) > LONGEST_SIDE:
            raise UserError(f"the input {shown(name)} has {' × '.join(map(str, sizes))} elements, "
                            f"too large: the limit is {LONGEST_SIDE:,}. Export it for smaller "
                            "pictures.")
        return sizes

    def _functions(self, said: list, opset: int) -> dict[tuple[str, str, str], Function]:
        _check_count(said, current_limits().nodes, "functions")
        return dict(self._function(data, opset) for data in said)

    def _function(self, data: Data, opset: int) -> tuple[tuple[str, str, str], Function]:
        said = self.wire.message(data, FUNCTION)
        domain, name, overload = (self._text(said[key]) for key in ("domain", "name", "overload"))
        names = (tuple(map(self.wire.text, said[key])) for key in
                 ("inputs", "outputs", "attributes"))
        defaults = dict(self._attribute(attribute) for attribute in said["defaults"])
        nodes = self._nodes(said["nodes"], self._opset(said["opsets"], opset))
        domain = "" if domain in OWN_DOMAINS else domain
        return (domain, name, overload), Function(*names, defaults, nodes)


def _check_count(said: list, most: int, what: str) -> None:
    if len(said) > most:
        raise UserError(f"it has {len(said):,} {what}, the limit is {most:,}. {STATE_DICT}")


def _once(named: list[tuple[str, Any]], what: str) -> dict[str, Any]:
    """By name. Raises UserError where two have the same one, so that it is open which is meant."""
    found = dict(named)
    if len(found) < len(named):
        names = Counter(name for name, _ in named)
        twice = max(names, key=names.__getitem__)
        raise UserError(f"it has the {what} {shown(twice)} {names[twice]} times (a duplicate "
                        "name). Export it again.")
    return found
