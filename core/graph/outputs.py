"""What a frozen network's outputs mean, as far as its last operators say."""

from core.graph.nodes import Graph, Ref, output_names
from core.graph.operators import base_name

_MEANINGS = {"softmax": "probabilities", "_softmax": "probabilities", "sigmoid": "sigmoid",
             "log_softmax": "log_probabilities", "_log_softmax": "log_probabilities"}
_PASSING = ("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "clone", "detach",
            "contiguous", "alias", "to", "_to_copy", "type_as", "dropout", "_unsafe_view")


def output_meaning(graph: Graph) -> str:
    """One of core.card.OUTPUTS: what follows from the operator that gives the first output."""
    makers = {name: node for node in graph.nodes for name in output_names(node.outputs)}
    value = str(graph.outputs[0]) if graph.outputs else ""
    while value in makers:
        node = makers[value]
        base = base_name(node.operator)
        if base not in _PASSING or not isinstance(node.arguments[0], Ref):
            return _MEANINGS.get(base, "logits")
        value = str(node.arguments[0])
    return "logits"
