"""What the tensors of a graph are called: as the file says, or by the layer they serve."""

import re
from collections.abc import Iterator
from dataclasses import replace

import torch

from core.graph.nodes import DEEPEST, Graph, Node, Weight, output_names, references, used_by
from core.graph.onnx_names import LONGEST, check_layers, safe_name
from core.graph.operators import base_name

DOTTED = re.compile(r"[A-Za-z_]\w*(\.\w+)*")
NUMBERED = re.compile(r"(val|constant|scalar_tensor|fill|Constant|lifted_tensor)_?\d*$")
# Which argument of an operator is which tensor of its layer.
PLACES = {
    "batch_norm": (None, "weight", "bias", "running_mean", "running_var"),
    "layer_norm": (None, None, "weight", "bias"), "group_norm": (None, None, "weight", "bias"),
    "add": ("bias", "bias"), "mul": ("scale", "scale"), "sub": ("constant", "constant"),
    "div": ("constant", "constant"), "true_divide": ("weight", "scale"),
    "addmm": ("bias", None, "weight"),
}
# Operators whose tensors are what PLACES and USUAL say, whatever the file calls them.
_OWNING = """
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d _convolution convolution
    linear addmm batch_norm layer_norm group_norm instance_norm prelu embedding lstm gru
"""
OWNING = frozenset(_OWNING.split())
USUAL = (None, "weight", "bias")
CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
PRODUCTS = ("Conv2d", "Linear")
STATISTICS = ("running_mean", "running_var")


def with_weight_names(graph: Graph) -> Graph:
    """The graph with each tensor named for the state dict, without those that nothing uses."""
    named: dict[str, str] = {}
    owners: dict[str, torch.Tensor] = {}
    counts: dict[str, int] = {}
    layers = {call.path for node in graph.nodes for call in node.calls}
    for node in graph.nodes:
        for value, slot in _tensors(node, graph):
            if value in named:
                continue
            tensor = graph.weights[value].tensor
            name = wanted = _wanted(graph.weights[value].name, slot, node)
            while name in layers or owners.get(name, tensor) is not tensor:
                counts[wanted] = counts.get(wanted, 1) + 1
                name = f"{wanted}_{counts[wanted]}"
            named[value], owners[name] = name, tensor
    for output in graph.outputs:
        if output in graph.weights:
            named.setdefault(str(output), safe_name(str(output)))
    check_layers(name.split(".")[:-1] for name in named.values())
    weights = {}
    for value, name in named.items():
        statistic = name.rpartition(".")[2].startswith(STATISTICS)
        weight = graph.weights[value]
        weights[value] = replace(weight, name=name,
                                 is_parameter=weight.is_parameter and not statistic)
    return replace(graph, weights=weights)


def _tensors(node: Node, graph: Graph) -> Iterator[tuple[str, str]]:
    """The weights that a node reads, each with what it is to the layer."""
    places = PLACES.get(base_name(node.operator), USUAL)
    for place, argument in enumerate(node.arguments):
        slot = places[place] if place < len(places) else None
        for name in references(argument):
            if name in graph.weights:
                yield str(name), slot or _unplaced(node, graph.weights[name])


def _unplaced(node: Node, weight: Weight) -> str:
    """A row of numbers that is reshaped is a bias or scale for each channel."""
    is_product = bool(node.calls) and node.calls[-1].type_name in PRODUCTS
    if base_name(node.operator) == "reshape" and weight.tensor.dim() == 1 and is_product:
        return "bias" if weight.is_parameter else "scale"
    return "weight"


def _wanted(value: str, slot: str, node: Node) -> str:
    path = node.calls[-1].path if node.calls else ""
    value = re.sub(r"\.weight_bias$", ".bias", value)  # how merging with a batch norm names it
    is_short = len(value) <= LONGEST and value.count(".") < DEEPEST
    kept = is_short and DOTTED.fullmatch(value) and not NUMBERED.match(value)
    if kept and not (is_folded(node) and "." in value) and ("." in value or not path):
        return ".".join(map(safe_name, value.split(".")))
    is_owned = base_name(node.operator) in OWNING
    if NUMBERED.match(value) and slot in ("weight", "bias") and not is_owned:
        slot = "constant"
    return f"{path}.{slot}" if path else safe_name(value if kept else slot)


def is_folded(node: Node) -> bool:
    """Whether a convolution stands where a batch norm was, as exporters merge them."""
    is_norm = bool(node.calls) and node.calls[-1].type_name.startswith("BatchNorm")
    return is_norm and base_name(node.operator) in CONVOLUTIONS


def folded_layers(graph: Graph) -> list[str]:
    """Layers whose convolution has a batch norm in it, as far as names tell."""
    found = []
    for node in graph.nodes:
        if base_name(node.operator) not in CONVOLUTIONS:
            continue
        weight, bias = (str(part) for part in node.arguments[1:3])
        renamed = bias == f"{weight}_bias" or weight.startswith("onnx::Conv_")
        if is_folded(node) or renamed:
            found.append(node.calls[-1].path if node.calls else node.where)
    return list(dict.fromkeys(found))


def without_unused(graph: Graph) -> Graph:
    """The graph without nodes whose results nothing reads; ONNX has none that act otherwise."""
    wanted = set(map(str, graph.outputs))
    kept = []
    for node in reversed(graph.nodes):
        if wanted.isdisjoint(output_names(node.outputs)):
            continue
        wanted |= set(map(str, used_by(node)))
        kept.append(node)
    return replace(graph, nodes=tuple(reversed(kept)))
