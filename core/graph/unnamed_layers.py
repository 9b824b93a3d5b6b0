"""Layers for networks whose file names none, such as frozen TorchScript: conv2d_1, relu_1, …"""

from collections import Counter
from dataclasses import replace

from torch import nn

from core.graph.nodes import Call, Graph, Node, output_names, used_by
from core.graph.onnx_weight_names import with_weight_names
from core.graph.operators import MAKING, SHARING, base_name, gives_number

CONSTANT = "constant_"  # how tensors of the program itself begin, which have no names
TYPES = {name.lower(): name for name in dir(nn)
         if isinstance(kind := getattr(nn, name), type) and issubclass(kind, nn.Module)}
OTHER_TYPES = {"batchnorm": "BatchNorm", "addmm": "Linear"}


def with_made_up_layers(graph: Graph) -> Graph:
    """The graph with a layer for each operator that computes from the input; as it is where the
    file names layers. Tensors without names are named for the layer that reads them first."""
    if any(node.calls for node in graph.nodes):
        return graph
    flowing = {given.name for given in graph.inputs}
    counts = Counter(weight.name for weight in graph.weights.values())  # no layer is called so
    nodes = []
    for node in graph.nodes:
        if not gives_number(node.operator) and not flowing.isdisjoint(used_by(node)):
            flowing.update(output_names(node.outputs))
            node = replace(node, calls=_calls(node, graph, counts))
        nodes.append(node)
    graph = replace(graph, nodes=tuple(nodes))
    named = with_weight_names(graph).weights
    kept = {value: weight for value, weight in graph.weights.items()
            if not weight.name.startswith(CONSTANT)}
    return replace(graph, weights=named | kept)


def _calls(node: Node, graph: Graph, counts: Counter[str]) -> tuple[Call, ...]:
    base = base_name(node.operator)
    if base.endswith("convolution"):
        base = _kind_of_convolution(node, graph)
    kind = TYPES.get(base.replace("_", "")) or OTHER_TYPES.get(base.replace("_", ""))
    is_quiet = base in SHARING and base != "flatten"
    if is_quiet or base in MAKING or base.endswith("_"):
        return ()
    base = base.strip("_")
    counts[base] += 1
    while (name := f"{base}_{counts[base]}") in counts:
        counts[base] += 1
    return (Call(f"{name}@0", name, kind or base),)


def _kind_of_convolution(node: Node, graph: Graph) -> str:
    """What the one operator that traces write for all convolutions is: conv2d and the like."""
    weight = graph.weights.get(str(node.arguments[1]))
    if weight is None or len(node.arguments) < 7:
        return "convolution"
    kind = "conv_transpose" if node.arguments[6] is True else "conv"
    return f"{kind}{weight.tensor.dim() - 2}d"
