"""The nodes of a graph in torch.export's JSON, and of the sub-graphs in it.

Schema: https://github.com/pytorch/pytorch/blob/main/torch/_export/serde/schema.py
"""

import re
from collections.abc import Iterator
from pathlib import PureWindowsPath
from typing import Any

from core.errors import UserError
from core.files.text_of_files import shown
from core.graph.export_values import union, value_of
from core.graph.nodes import DEEPEST, MOST_NODES, Call, Node, Ref, mapped
from core.graph.operators import positional_names

LONGEST_NAME = 1000
_TENSOR_OPERATOR = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)$")
_NUMBER_OPERATOR = re.compile(r"(?:_operator|math|torch)\.(\w+)$")
_CHECK = re.compile(r"torch\.ops\.aten\.(_assert_\w+|sym_constrain_range\w*)\.\w+$")
_WRAPPER = re.compile(r"torch\.ops\.higher_order\.wrap_with_(set_grad_enabled|autocast)$")
_SOURCE_LINE = re.compile(r'File "([^"\n]+)", line (\d+)')


def _names(said: dict) -> Any:
    """The name, or names, of what a node gives."""
    return mapped(value_of(said), str)


def module_stack(node: dict) -> Iterator[tuple[str, str, str]]:
    """(key, path, class) of the modules that a node ran in, outermost first."""
    for part in ((node.get("metadata") or {}).get("nn_module_stack") or "").split(";"):
        key, path, *name = part.split(",", 2)[:3] if part.count(",") >= 2 else ("_empty", "", "")
        yield key, path.split("@")[0].removeprefix("L['self']").lstrip("."), "".join(name)


def _calls(node: dict) -> tuple[Call, ...]:
    """The layers that a node ran in; @1 in a key tells a second run of the same layer."""
    calls = []
    for key, path, name in module_stack(node):
        if path and not key.startswith("_empty"):
            repeat = re.search(r"@\d+$", key)
            calls.append(Call(layer_path(path) + (repeat[0] if repeat else ""), path,
                              name.rpartition(".")[2][:100]))
    return tuple(calls[:DEEPEST])


def layer_path(name: str) -> str:
    """A layer's or tensor's name. Raises UserError for one that no network has."""
    if len(name) > LONGEST_NAME or name.count(".") >= DEEPEST:
        raise UserError(f"the name {shown(name)} is longer or nested deeper than any layer's. "
                        "Export the network again.")
    return name


def _where(node: dict) -> str:
    """What to call a node in a message: its name, and the last source line that it came from."""
    lines = _SOURCE_LINE.findall((node.get("metadata") or {}).get("stack_trace") or "")
    file, line = lines[-1] if lines else ("", "")
    place = f" ({PureWindowsPath(file).name} line {line})" if file else ""
    return f"node {shown(node.get('name') or node['target'])}{place}"


class Scope:
    """The values of one graph by their names there; those of a sub-graph get a prefix."""

    def __init__(self, prefix: str, given: dict[str, Any]) -> None:
        self.prefix, self.names = prefix, given

    def __call__(self, name: str) -> Any:
        return self.names.get(name, Ref(f"{self.prefix}{name}"))


class Nodes:
    """The nodes of a graph and of the sub-graphs under no_grad and autocast, which are inlined."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.inlined = 0

    def read(self, graph: dict, outer: tuple[Call, ...], scope: Scope) -> None:
        """Appends the graph's nodes; those without layers of their own ran in `outer`."""
        for node in graph["nodes"]:
            if _CHECK.match(node["target"]):
                continue
            calls = _calls(node) or outer
            if wrapper := _WRAPPER.match(node["target"]):
                self._inline(node, calls, scope, detached=wrapper[1] == "set_grad_enabled")
            else:
                self.nodes.append(_node(node, calls, scope))
            if len(self.nodes) > MOST_NODES:
                raise UserError(f"the graph has more than {MOST_NODES:,} nodes, the limit. "
                                "Save the network's state dict.")

    def _inline(self, node: dict, calls: tuple[Call, ...], scope: Scope, detached: bool) -> None:
        arguments = [entry["arg"] for entry in node["inputs"]]
        place = [union(argument)[0] for argument in arguments].index("as_graph")
        flags = [union(argument)[1] for argument in arguments[:place]]
        graph = union(arguments[place])[1]["graph"]
        given = [mapped(value_of(argument), scope) for argument in arguments[place + 1:]]
        names = [str(value_of(entry)) for entry in graph["inputs"]]
        self.inlined += 1
        inside = Scope(f"{self.inlined}/", dict(zip(names, given, strict=True)))
        self.read(graph, calls, inside)
        results = [mapped(value_of(entry), inside) for entry in graph["outputs"]]
        outside = [name for entry in node["outputs"] for name in _flat(_names(entry))]
        for name, result in zip(outside, results, strict=True):
            if detached and flags[:1] == [False]:  # no gradient goes back through it
                self.nodes.append(Node("aten.detach.default", (result,), {},
                                       f"{scope.prefix}{name}", calls, _where(node)))
            else:
                scope.names[name] = result


def _node(node: dict, calls: tuple[Call, ...], scope: Scope) -> Node:
    operator = _operator(node["target"])
    order = positional_names(operator)
    arguments: list[Any] = []
    keywords: dict[str, Any] = {}
    for place, entry in enumerate(node["inputs"]):
        value = mapped(value_of(entry["arg"]), scope)
        positional = order is None or order[place:place + 1] == [entry["name"]]
        if positional and not keywords:  # defaults are left out: what follows is placed by name
            arguments.append(value)
        else:
            keywords[entry["name"]] = value
    outputs = [mapped(value_of(entry), lambda name: f"{scope.prefix}{name}")
               for entry in node["outputs"]]
    return Node(operator, tuple(arguments), keywords, outputs[0] if len(outputs) == 1 else outputs,
                calls, _where(node))


def _operator(target: str) -> str:
    """A target as a name of our table, which refuses what fits no pattern by its own name."""
    if found := _TENSOR_OPERATOR.match(target):
        return f"aten.{found[1]}.{found[2]}"
    found = _NUMBER_OPERATOR.match(target)
    return f"sym.{found[1]}" if found else f"unknown.{target}"


def _flat(names: Any) -> list[str]:
    if isinstance(names, str):
        return [names]
    return [part for name in names or [] for part in _flat(name)]
