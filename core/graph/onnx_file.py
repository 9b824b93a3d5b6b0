"""Reads an ONNX file as data; nothing in it is run.

Fields: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.file_map import FileMap
from core.graph.nodes import MOST_NODES
from core.graph.onnx_model import Declared, Function, OnnxModel, OnnxNode, Reference
from core.graph.onnx_tensors import WORKING, Tensors, pairs
from core.graph.onnx_wire import Wire, floats, numbers, signed, text
from core.limits import current_limits
from core.text_of_files import shown

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
VALUE, TYPE, TENSOR_TYPE = {1: "name", 2: "type"}, {1: "tensor"}, {1: "element", 2: "shape"}
SHAPE, DIMENSION, OPSET = {1: "dims"}, {1: "size", 2: "name"}, {1: "domain", 2: "version"}
OWN_DOMAINS = ("", "ai.onnx")
KINDS = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints", 8: "strings"}


def read_model(path: Path) -> OnnxModel:
    """The file as data. Raises UserError or ValueError where it is damaged or too large."""
    wire = Wire()
    return _Reading(wire, Tensors(wire, path.parent)).model(FileMap(path))


class _Reading:
    def __init__(self, wire: Wire, tensors: Tensors) -> None:
        self.wire = wire
        self.tensors = tensors
        self.nodes_left = MOST_NODES

    def model(self, file: FileMap) -> OnnxModel:
        said = self.wire.message(file.view(0, len(file)), MODEL)
        if not said["graph"]:
            raise ValueError("it holds no graph")
        graph = self.wire.message(said["graph"][-1], GRAPH)
        if graph["sparse"]:
            raise UserError("it has sparse weights, which are not read. Export it with dense ones.")
        if len(graph["tensors"]) > (limit := current_limits().tensors):
            raise UserError(f"it has {len(graph['tensors']):,} tensors, the limit is {limit:,}. "
                            "Save the network's state dict.")
        opset = self._opset(said["opsets"])
        weights = dict(self.tensors.read(data) for data in graph["tensors"])
        inputs = [self._declared(data) for data in graph["inputs"]]  # older files list weights too
        producer = " ".join(text(part) for key in ("producer", "producer_version")
                            for part in said[key][-1:])
        return OnnxModel(
            producer, int(said["ir"][-1]) if said["ir"] else 0, opset,
            self._nodes(graph["nodes"], opset), weights,
            tuple(given for given in inputs if given.name not in weights),
            tuple(map(self._declared, graph["outputs"])), self._entries(said["metadata"]),
            dict(self._function(data, opset) for data in said["functions"]), self.tensors)

    def _entries(self, said: list) -> dict[str, str]:
        return pairs(self.wire, said)

    def _opset(self, said: list, default: int = 1) -> int:
        """The version of ONNX's own operators."""
        for data in said:
            found = self.wire.message(data, OPSET)
            if (text(found["domain"][-1]) if found["domain"] else "") in OWN_DOMAINS:
                default = found["version"][-1] if found["version"] else default
        return default

    def _nodes(self, said: list, opset: int) -> tuple[OnnxNode, ...]:
        self.nodes_left -= len(said)
        if self.nodes_left < 0:
            raise UserError(f"it has more than {MOST_NODES:,} nodes, the limit. Save the network's "
                            "state dict.")
        return tuple(self._node(data, opset) for data in said)

    def _node(self, data: memoryview, opset: int) -> OnnxNode:
        said = self.wire.message(data, NODE)
        name, operator, domain = (text(said[key][-1]) if said[key] else ""
                                  for key in ("name", "operator", "domain"))
        node = OnnxNode(operator, "" if domain in OWN_DOMAINS else domain, name,
                        tuple(map(text, said["inputs"])), tuple(map(text, said["outputs"])), {},
                        self._entries(said["metadata"]), opset)
        if said["overload"]:
            node = replace(node, operator=f"{operator}:{text(said['overload'][-1])}")
        attributes = [self._attribute(attribute) for attribute in said["attributes"]]
        unreadable = next((key for key, value in attributes if value is None), "")
        return replace(node, attributes=dict(attributes), unreadable=unreadable)

    def _attribute(self, data: memoryview) -> tuple[str, Any]:
        """Its name and value; None where it holds a graph or another thing that is not read."""
        said = self.wire.message(data, ATTRIBUTE)
        name = text(said["name"][-1]) if said["name"] else ""
        if said["reference"]:
            return name, Reference(text(said["reference"][-1]))
        kind = KINDS.get(said["type"][-1]) if said["type"] else None
        if not said["type"] or said["type"][-1] == 0:  # files of IR version 1 leave it out
            kind = next((key for key in KINDS.values() if said[key]), None)
        if kind is None or (kind == "t" and not said["t"]):
            return name, None
        readers = {
            "f": lambda: float(floats(said["f"])[-1]) if said["f"] else 0.0,
            "i": lambda: signed(said["i"][-1]) if said["i"] else 0,
            "s": lambda: text(said["s"][-1]) if said["s"] else "",
            "t": lambda: self.tensors.read(said["t"][-1])[1],
            "floats": lambda: floats(said["floats"]).tolist(),
            "ints": lambda: numbers(said["ints"]).tolist(),
            "strings": lambda: list(map(text, said["strings"])),
        }
        return name, readers[kind]()

    def _declared(self, data: memoryview) -> Declared:
        said = self.wire.message(data, VALUE)
        name = text(said["name"][-1]) if said["name"] else ""
        kind = self.wire.message(said["type"][-1], TYPE) if said["type"] else {"tensor": []}
        if not kind["tensor"]:
            return Declared(name, None)
        tensor = self.wire.message(kind["tensor"][-1], TENSOR_TYPE)
        code = tensor["element"][-1] if tensor["element"] else 1
        if code not in WORKING:
            raise UserError(f"the input {shown(name)} has the element type {code}, which is "
                            "unknown or unsupported. Export it with numbers as input.")
        if not tensor["shape"]:
            return Declared(name, None, WORKING[code])
        dims = [self.wire.message(dim, DIMENSION)["size"]
                for dim in self.wire.message(tensor["shape"][-1], SHAPE)["dims"]]
        sizes = tuple(signed(dim[-1]) if dim and signed(dim[-1]) > 0 else None for dim in dims)
        return Declared(name, sizes, WORKING[code])

    def _function(self, data: memoryview, opset: int) -> tuple[tuple[str, str, str], Function]:
        said = self.wire.message(data, FUNCTION)
        domain, name, overload = (text(said[key][-1]) if said[key] else ""
                                  for key in ("domain", "name", "overload"))
        names = (tuple(map(text, said[key])) for key in ("inputs", "outputs", "attributes"))
        defaults = dict(self._attribute(attribute) for attribute in said["defaults"])
        nodes = self._nodes(said["nodes"], self._opset(said["opsets"], opset))
        domain = "" if domain in OWN_DOMAINS else domain
        return (domain, name, overload), Function(*names, defaults, nodes)
