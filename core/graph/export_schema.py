"""The JSON graph of torch.export, lowered to nodes. Nothing in it is looked up or evaluated.

Schema: https://github.com/pytorch/pytorch/blob/main/torch/_export/serde/schema.py
"""

import re
from collections.abc import Iterator
from pathlib import PureWindowsPath
from typing import Any

import torch

from core.errors import UserError
from core.graph.export_values import DTYPES, union, value_of, whole
from core.graph.nodes import (
    DEEPEST,
    MOST_NODES,
    UNBOUNDED,
    Call,
    Graph,
    Input,
    Node,
    Ref,
    Weight,
    mapped,
)
from core.graph.operators import positional_names
from core.text_of_files import shown

NEWEST_SCHEMA = 8
LONGEST_NAME = 1000
_TENSOR_OPERATOR = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)$")
_NUMBER_OPERATOR = re.compile(r"(?:_operator|math|torch)\.(\w+)$")
_CHECK = re.compile(r"torch\.ops\.aten\.(_assert_\w+|sym_constrain_range\w*)\.\w+$")
_WRAPPER = re.compile(r"torch\.ops\.higher_order\.wrap_with_(set_grad_enabled|autocast)$")
_SYMBOL = re.compile(r"(?:Symbol\('(\w+)'[^()]*\)|(\w+))$")
_SOURCE_LINE = re.compile(r'File "([^"\n]+)", line (\d+)')


def lowered(document: dict, tensors: dict[str, torch.Tensor]) -> Graph:
    """The network in the JSON document, with its tensors by their names in the state dict.

    Raises UserError for what cannot be run, KeyError, ValueError and their like for damage.
    """
    schema = document["schema_version"]
    major = schema["major"] if isinstance(schema, dict) else schema
    if not isinstance(major, int) or not 1 <= major <= NEWEST_SCHEMA:
        raise UserError(f"its schema version is {shown(major)}, Netlens reads 1 to "
                        f"{NEWEST_SCHEMA}. Export it with an older torch, or save its state dict.")
    module = document["graph_module"]
    graph, signature = module["graph"], module["signature"]
    inputs, weights = _inputs(signature["input_specs"], tensors)
    nodes, scope = _Nodes(), _Scope("", {})
    nodes.read(graph, (), scope)
    pairs = zip(signature["output_specs"], graph["outputs"], strict=True)
    results = [mapped(value_of(output), scope) for spec, output in pairs
               if union(spec)[0] in ("user_output", "loss_output")]
    outputs = tuple(result for result in results if isinstance(result, Ref))
    ranges = document.get("range_constraints") or {}
    given = tuple(_input(name, graph["tensor_values"][name], ranges) for name in inputs)
    entries = module.get("module_call_graph") or []
    layers = tuple(_path(entry["fqn"]) for entry in entries if entry.get("fqn"))
    return Graph(tuple(nodes.nodes), given, outputs, weights, layers)


def network_class(document: dict) -> str | None:
    """The class of the exported network, such as "ResNet"."""
    for node in document["graph_module"]["graph"]["nodes"]:
        for key, path, name in _stack(node):
            if path == "" and not key.startswith("_empty"):
                return name.rpartition(".")[2]
    return None


def _names(said: dict) -> Any:
    """The name, or names, of what a node gives."""
    return mapped(value_of(said), str)


def _stack(node: dict) -> Iterator[tuple[str, str, str]]:
    """(key, path, class) of the modules that a node ran in, outermost first."""
    for part in ((node.get("metadata") or {}).get("nn_module_stack") or "").split(";"):
        key, path, *name = part.split(",", 2)[:3] if part.count(",") >= 2 else ("_empty", "", "")
        yield key, path.split("@")[0].removeprefix("L['self']").lstrip("."), "".join(name)


def _calls(node: dict) -> tuple[Call, ...]:
    """The layers that a node ran in; @1 in a key tells a second run of the same layer."""
    calls = []
    for key, path, name in _stack(node):
        if path and not key.startswith("_empty"):
            repeat = re.search(r"@\d+$", key)
            calls.append(Call(_path(path) + (repeat[0] if repeat else ""), path,
                              name.rpartition(".")[2][:100]))
    return tuple(calls[:DEEPEST])


def _path(name: str) -> str:
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


class _Scope:
    """The values of one graph by their names there; those of a sub-graph get a prefix."""

    def __init__(self, prefix: str, given: dict[str, Any]) -> None:
        self.prefix, self.names = prefix, given

    def __call__(self, name: str) -> Any:
        return self.names.get(name, Ref(f"{self.prefix}{name}"))


class _Nodes:
    """The nodes of a graph and of the sub-graphs under no_grad and autocast, which are inlined."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.inlined = 0

    def read(self, graph: dict, outer: tuple[Call, ...], scope: _Scope) -> None:
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

    def _inline(self, node: dict, calls: tuple[Call, ...], scope: _Scope, detached: bool) -> None:
        arguments = [entry["arg"] for entry in node["inputs"]]
        place = [union(argument)[0] for argument in arguments].index("as_graph")
        flags = [union(argument)[1] for argument in arguments[:place]]
        graph = union(arguments[place])[1]["graph"]
        given = [mapped(value_of(argument), scope) for argument in arguments[place + 1:]]
        names = [str(value_of(entry)) for entry in graph["inputs"]]
        self.inlined += 1
        inside = _Scope(f"{self.inlined}/", dict(zip(names, given, strict=True)))
        self.read(graph, calls, inside)
        results = [mapped(value_of(entry), inside) for entry in graph["outputs"]]
        outside = [name for entry in node["outputs"] for name in _flat(_names(entry))]
        for name, result in zip(outside, results, strict=True):
            if detached and flags[:1] == [False]:  # no gradient goes back through it
                self.nodes.append(Node("aten.detach.default", (result,), {},
                                       f"{scope.prefix}{name}", calls, _where(node)))
            else:
                scope.names[name] = result


def _node(node: dict, calls: tuple[Call, ...], scope: _Scope) -> Node:
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


def _inputs(specs: list[dict],
            tensors: dict[str, torch.Tensor]) -> tuple[list[str], dict[str, Weight]]:
    """Names of the inputs that a caller gives, and the weights by value."""
    inputs: list[str] = []
    weights: dict[str, Weight] = {}
    for spec in specs:
        tag, said = union(spec)
        if tag == "user_input":
            kind, value = union(said["arg"])
            if kind == "as_tensor":
                inputs.append(value["name"])
            elif kind in ("as_sym_int", "as_sym_float", "as_sym_bool", "as_custom_obj"):
                raise UserError("the network takes an input that is no tensor. "
                                "Export it with one picture as input.")
        elif tag in ("parameter", "buffer", "tensor_constant"):
            name = said[f"{tag}_name"]
            if name not in tensors:
                raise UserError(f"its tensor {shown(name)} is missing, the file is incomplete. "
                                "Export it again.")
            weights[said["arg"]["name"]] = Weight(_path(name), tensors[name], tag == "parameter")
        elif tag != "constant_input":
            raise UserError(f"an input of the kind {shown(tag)} is not one that Netlens runs. "
                            "Save the network's state dict.")
    return inputs, weights


def _input(name: str, meta: dict, ranges: dict) -> Input:
    sizes, example = [], []
    for said in meta["sizes"]:
        tag, value = union(said)
        if tag == "as_int":
            low = high = hint = whole(value)
        else:
            symbol = _SYMBOL.match(value["expr_str"])
            limits = ranges.get(symbol[1] or symbol[2]) if symbol else None
            low, high = ((limits or {}).get(key) for key in ("min_val", "max_val"))
            low, high = max(whole(low or 0), 1), min(whole(high or UNBOUNDED), UNBOUNDED)
            hint = whole((value.get("hint") or {}).get("as_int") or max(low, 2))
        if hint < 1 or low > high:
            raise ValueError("an input has no elements")
        sizes.append((low, high))
        example.append(hint)
    return Input(name, tuple(sizes), tuple(example), DTYPES[meta["dtype"]])
