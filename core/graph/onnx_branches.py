"""Branches (If) of an ONNX graph whose condition the file or the input's size decides."""

from dataclasses import replace

import torch

from core.errors import UserError
from core.files.text_of_files import shown
from core.graph.onnx_model import Branch, OnnxNode
from core.graph.onnx_values import Value

THEN, ELSE = "then_branch", "else_branch"


class UnfoldedError(Exception):
    """The graph has branches that are decided. nodes, weights: those that run instead of them."""

    def __init__(self, nodes: tuple[OnnxNode, ...], weights: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.nodes = nodes
        self.weights = weights


def has_branches(node: OnnxNode) -> bool:
    """Whether both ways of an If could be read."""
    both = (node.attributes.get(THEN), node.attributes.get(ELSE))
    return node.operator == "If" and all(isinstance(branch, Branch) for branch in both)


def branch_taken(node: OnnxNode, condition: Value | None, where: str) -> Branch:
    """Raises UserError where only a run tells, UndecidedError where a size that is left open
    does."""
    if condition is None or not condition.is_known or condition.size != 1:
        raise UserError(f"{where} is a branch on values that the network computes, which is not "
                        "run here. Export it for one way, or save the network's state dict.")
    branch = node.attributes[THEN if bool(condition.known.reshape(-1)[0]) else ELSE]
    if len(branch.outputs) < len(node.outputs):
        raise UserError(f"{where} gives {len(branch.outputs)} of its {len(node.outputs)} results: "
                        "the file is damaged. Export it again.")
    return branch


def instead_of(node: OnnxNode, branch: Branch, taken: set[str]
               ) -> tuple[list[OnnxNode], dict[str, torch.Tensor]]:
    """The branch's nodes and tensors, then its results under the names that the If gives them.

    taken: names that what the branch makes must not have; they grow by its own.
    """
    own = [*branch.weights, *(name for part in branch.nodes for name in part.outputs if name)]
    names = {}
    for name in own:
        names[name] = name
        while names[name] in taken:
            names[name] += "_"
            if len(names[name]) > len(name) + 16:
                raise UserError(f"many values are called {shown(name)}: the file is damaged. "
                                "Export it again.")
        taken.add(names[name])
    results = [OnnxNode("Identity", "", node.name, (names.get(inner, inner),), (outer,), {},
                        node.metadata, node.opset)
               for inner, outer in zip(branch.outputs, node.outputs, strict=False) if outer]
    weights = {names[name]: tensor for name, tensor in branch.weights.items()}
    return [*(_renamed(part, names) for part in branch.nodes), *results], weights


def _renamed(node: OnnxNode, names: dict[str, str]) -> OnnxNode:
    """The node, and what lies in branches of its own, with values called as `names` says."""
    attributes = {key: _renamed_branch(value, names) if isinstance(value, Branch) else value
                  for key, value in node.attributes.items()}
    return replace(node, attributes=attributes,
                   inputs=tuple(names.get(name, name) for name in node.inputs),
                   outputs=tuple(names.get(name, name) for name in node.outputs))


def _renamed_branch(branch: Branch, names: dict[str, str]) -> Branch:
    if all(old == new for old, new in names.items()):
        return branch
    return Branch(tuple(_renamed(node, names) for node in branch.nodes),
                  {names.get(name, name): tensor for name, tensor in branch.weights.items()},
                  tuple(names.get(name, name) for name in branch.outputs))
