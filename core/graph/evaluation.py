"""Networks that were recorded in training mode, as they are in evaluation mode."""

from dataclasses import replace

from core.graph.nodes import Graph, Node
from core.graph.operators import base_name

# Which positional argument says "training", and its name.
_FLAGS = {"batch_norm": (5, "training"), "dropout": (2, "train"), "feature_dropout": (2, "train"),
          "alpha_dropout": (2, "train"), "native_dropout": (2, "train"), "dropout_": (2, "train")}
_DECOMPOSED = ("_native_batch_norm_legit", "_native_batch_norm_legit_functional")


def in_evaluation_mode(graph: Graph) -> tuple[Graph, int]:
    """The network with batch norms that use their stored statistics and dropouts that pass on
    everything, and how many nodes that changed."""
    nodes = tuple(_in_evaluation(node) for node in graph.nodes)
    changed = sum(new is not old for new, old in zip(nodes, graph.nodes, strict=True))
    return replace(graph, nodes=nodes), changed


def _in_evaluation(node: Node) -> Node:
    base = base_name(node.operator)
    if base in _FLAGS:
        return _switched_off(node, *_FLAGS[base])
    if base in _DECOMPOSED and len(node.arguments) == 8 and node.arguments[5] is True:
        outputs = node.outputs[:3] if isinstance(node.outputs, list) else node.outputs
        return replace(node, operator="aten._native_batch_norm_legit_no_training.default",
                       arguments=(*node.arguments[:5], *node.arguments[6:]), outputs=outputs)
    return node


def _switched_off(node: Node, place: int, name: str) -> Node:
    if node.keywords.get(name) is True:
        return replace(node, keywords=node.keywords | {name: False})
    if len(node.arguments) > place and node.arguments[place] is True and _has_statistics(node):
        before, after = node.arguments[:place], node.arguments[place + 1:]
        return replace(node, arguments=(*before, False, *after))
    return node


def _has_statistics(node: Node) -> bool:
    """A batch norm without stored statistics normalises by the batch in either mode."""
    return base_name(node.operator) != "batch_norm" or node.arguments[3] is not None
