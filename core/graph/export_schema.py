"""The JSON graph of torch.export, lowered to nodes. Nothing in it is looked up or evaluated.

Schema: https://github.com/pytorch/pytorch/blob/main/torch/_export/serde/schema.py
"""

import re

import torch

from core.errors import UserError
from core.files.text_of_files import shown
from core.graph.export_nodes import Nodes, Scope, layer_path, module_stack
from core.graph.export_values import DTYPES, union, value_of, whole
from core.graph.nodes import UNBOUNDED, Graph, Input, Ref, Weight, mapped

NEWEST_SCHEMA = 8
_SYMBOL = re.compile(r"(?:Symbol\('(\w+)'[^()]*\)|(\w+))$")


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
    nodes, scope = Nodes(), Scope("", {})
    nodes.read(graph, (), scope)
    pairs = zip(signature["output_specs"], graph["outputs"], strict=True)
    results = [mapped(value_of(output), scope) for spec, output in pairs
               if union(spec)[0] in ("user_output", "loss_output")]
    outputs = tuple(result for result in results if isinstance(result, Ref))
    ranges = document.get("range_constraints") or {}
    given = tuple(_input(name, graph["tensor_values"][name], ranges) for name in inputs)
    entries = module.get("module_call_graph") or []
    layers = tuple(layer_path(entry["fqn"]) for entry in entries if entry.get("fqn"))
    return Graph(tuple(nodes.nodes), given, outputs, weights, layers)


def network_class(document: dict) -> str | None:
    """The class of the exported network, such as "ResNet"."""
    for node in document["graph_module"]["graph"]["nodes"]:
        for key, path, name in module_stack(node):
            if path == "" and not key.startswith("_empty"):
                return name.rpartition(".")[2]
    return None


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
            weight = Weight(layer_path(name), tensors[name], tag == "parameter")
            weights[said["arg"]["name"]] = weight
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
