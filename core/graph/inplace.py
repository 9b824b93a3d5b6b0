"""Operators that write into a tensor become ordinary ones: a layer's output stays as it was.

`relu_` after a batch norm would otherwise change what was captured of the batch norm, and an input
that asks for its gradient refuses to be written to.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from core.errors import UserError
from core.graph.nodes import Graph, Node, Ref, last_uses, mapped, output_names
from core.graph.operators import SHARING, base_name, resolve, without_writing


def without_writes(graph: Graph) -> Graph:
    """The same network with ordinary operators wherever nothing else sees the memory written to.

    Where something does (a slice is filled, say) the operator stays as it is, on a copy if the
    memory is the network's input or a weight.
    """
    rewriting = _Rewriting(graph)
    if rewriting.written:
        graph = _with_copies(graph, rewriting.written)
        rewriting = _Rewriting(graph)
    outputs = tuple(Ref(rewriting.current(name)) for name in graph.outputs)
    return replace(graph, nodes=tuple(rewriting.nodes), outputs=outputs)


def _with_copies(graph: Graph, names: Iterable[str]) -> Graph:
    """The network working on copies of these inputs and weights."""
    copies = {name: Ref(f"{name}~copy") for name in names}

    def copied(name: Ref) -> Ref:
        return copies.get(name, name)

    first = [Node("aten.clone.default", (Ref(name),), {}, str(copy), where="a copy to write to")
             for name, copy in copies.items()]
    rest = [replace(node, arguments=mapped(node.arguments, copied),
                    keywords=mapped(node.keywords, copied)) for node in graph.nodes]
    return replace(graph, nodes=(*first, *rest), outputs=tuple(map(copied, graph.outputs)))


class _Rewriting:
    """One walk over the nodes, which knows at each who shares memory with whom.

    written: inputs and weights that some node that stayed still writes to.
    """

    def __init__(self, graph: Graph) -> None:
        self.last = last_uses(graph)
        self.held = {*graph.weights, *(given.name for given in graph.inputs)}
        self.owner: dict[str, str] = {}  # value -> the value whose memory it shares
        self.sharers: dict[str, set[str]] = {}
        self.newer: dict[str, str] = {}  # value -> what it became when it was written to
        self.nodes: list[Node] = []
        self.written: set[str] = set()
        for index, node in enumerate(graph.nodes):
            self._take(index, node)

    def current(self, name: str) -> str:
        """What a value is called after the writes so far."""
        newest = name
        while newest in self.newer:
            newest = self.newer[newest]
        if newest != name:
            self.newer[name] = newest  # a shorter way for the next who asks
        return newest

    def _take(self, index: int, node: Node) -> None:
        node = replace(node, arguments=mapped(node.arguments, self._reference),
                       keywords=mapped(node.keywords, self._reference))
        target = next((first for first in node.arguments[:1] if isinstance(first, Ref)), None)
        ordinary = without_writing(node.operator) if target is not None else None
        if ordinary is None:
            shares = target is not None and base_name(node.operator) in SHARING
            self._share(output_names(node.outputs), target if shares else None)
        elif self._unseen(target, index) and _exists(ordinary):
            node = self._rewritten(node, ordinary, target, index)
        else:
            self.written |= {self._owner(target)} & self.held
            self._share(output_names(node.outputs), target)
        self.nodes.append(node)

    def _reference(self, name: Ref) -> Any:
        return type(name)(self.current(name))

    def _rewritten(self, node: Node, ordinary: str, target: Ref, index: int) -> Node:
        """The ordinary node; from the next node on its result stands for what was written to."""
        made = next(output_names(node.outputs), None) or f"{target}~{index}"
        self._share([made], target if base_name(ordinary) in SHARING else None)
        self.last[made] = max(self.last.get(made, index), self.last.get(target, index))
        self.last[target] = index
        self.newer[str(target)] = made
        return replace(node, operator=ordinary, outputs=made)

    def _owner(self, name: str) -> str:
        return self.owner.get(name, str(name))

    def _share(self, names: Iterable[str], target: Ref | None) -> None:
        if target is None:
            return
        owner = self._owner(target)
        for name in names:
            self.owner[name] = owner
            self.sharers.setdefault(owner, {owner}).add(name)

    def _unseen(self, target: Ref, index: int) -> bool:
        """Whether no other value that is still needed shares memory with this one."""
        sharers = self.sharers.get(self._owner(target), set())
        sharers -= {other for other in sharers if self.last.get(other, -1) <= index}
        return sharers <= {target}


def _exists(operator: str) -> bool:
    try:
        resolve(operator)
    except UserError:
        return False
    return True
