"""Which of a frozen network's outputs are its scores, and what they mean."""

from dataclasses import replace

from core.errors import UserError
from core.graph.accepted_batches import measured
from core.graph.meta import Cost
from core.graph.module import GraphModule
from core.graph.nodes import Graph, Ref, output_names
from core.graph.operators import base_name

_MEANINGS = {"softmax": "probabilities", "_softmax": "probabilities", "sigmoid": "sigmoid",
             "log_softmax": "log_probabilities", "_log_softmax": "log_probabilities"}
_PASSING = ("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "clone", "detach",
            "contiguous", "alias", "to", "_to_copy", "type_as", "dropout", "_unsafe_view")


def network_with_scores(graph: Graph, type_name: str | None = None
                        ) -> tuple[Graph, GraphModule, Cost, str | None]:
    """The network with its scores as first output, as graph and module; what a run on the recorded
    sizes takes; the note of with_scores_first."""
    module = GraphModule(graph, type_name)
    cost = measured(module)
    arranged, note = with_scores_first(graph, cost)
    if arranged.outputs != graph.outputs:  # nesting the nodes again takes a while
        module = GraphModule(arranged, type_name)
    return arranged, module, cost, note


def with_scores_first(graph: Graph, cost: Cost) -> tuple[Graph, str | None]:
    """The graph with the output first that can be scores, one row a picture; a note where there
    are several. Raises UserError where none holds scores: a class alone is no score of classes."""
    real = [place for place, kind in enumerate(cost.output_types) if kind.is_floating_point]
    if not real:
        raise UserError("it gives whole numbers, such as the class that it chose, and no scores of "
                        "classes. Export it without its last step (ArgMax), with scores as output.")
    best = next((place for place in real if len(cost.output_shapes[place]) == 2), real[0])
    if len(graph.outputs) == 1:
        return graph, None
    chosen = graph.outputs[best]
    others = [name for place, name in enumerate(graph.outputs) if place != best]
    sizes = " × ".join(["N", *map(str, cost.output_shapes[best][1:])])
    note = (f"The network has {len(graph.outputs)} outputs; number {best + 1}, of {sizes}, is "
            "taken for its scores.")
    return replace(graph, outputs=(chosen, *others)), note


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
