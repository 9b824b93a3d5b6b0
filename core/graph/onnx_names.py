"""Which layer each ONNX node ran in, and what its tensors are called.

torch's exporter writes the layers' names beside each node; the one before wrote them into the
node's name, /layer1/layer1.0/conv1/Conv; others leave the names of nodes or weights.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import takewhile

from torch import nn

from core.errors import UserError
from core.graph.nodes import DEEPEST, Call
from core.graph.onnx_model import OnnxNode
from core.graph.onnx_quantized_layers import plain_operators, quantized_paths

SCOPES, CLASSES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"
READ = frozenset([SCOPES, CLASSES])
QUOTED = re.compile(r"'([^'\\]*)'")
WEIGHT = re.compile(r"(.+?)(?:[._/](?:weight|bias|kernel|gamma|beta|running_mean|running_var)"
                    r"|_(?:w|b|s|rm|riv)_0|[._/](?:w|b|W|B))(?:$|[_/:].*)")
REPEATED = re.compile(r"(.+)_\d+$")
TAKEN = {"programs", "type_name", "inputs", "batch", "results", "pieces", "training"}
LONGEST = 1000  # letters of a name that are looked at
MOST_LAYERS = 10_000  # the largest real network that was met has 1,200
MOST_ENTERED = 150_000  # layers around all nodes together
WRAPPERS = ("StatefulPartitionedCall", "PartitionedCall", "main_graph", "torch_jit", "")
TYPES = {
    ("Conv",): "Conv2d", ("Gemm",): "Linear", ("MatMul",): "Linear", ("Add", "MatMul"): "Linear",
    ("Relu",): "ReLU", ("MaxPool",): "MaxPool2d", ("AveragePool",): "AvgPool2d",
    ("GlobalAveragePool",): "AdaptiveAvgPool2d", ("BatchNormalization",): "BatchNorm2d",
    ("LayerNormalization",): "LayerNorm", ("HardSwish",): "Hardswish", ("LeakyRelu",): "LeakyReLU",
    ("HardSigmoid",): "Hardsigmoid", ("ConvTranspose",): "ConvTranspose2d", ("Elu",): "ELU",
    ("PRelu",): "PReLU", ("Gelu",): "GELU", ("Mul", "Sigmoid"): "SiLU", ("Clip",): "ReLU6",
}


class LayerNames:
    def __init__(self, nodes: tuple[OnnxNode, ...], weights: Iterable[str]) -> None:
        names = set(weights)
        scopes = [_scope(node) for node in nodes]
        paths = [scope if scope is not None else _weight_owner(node, names)
                 for node, scope in zip(nodes, scopes, strict=True)]
        told = paths
        if not any(scopes):
            paths = _paths_by_weights(nodes, names)
        paths = quantized_paths(nodes, told, paths)
        self._paths = [list(map(safe_name, path[:DEEPEST])) for path in paths]
        if sum(map(len, self._paths)) > MOST_ENTERED:
            raise UserError("its nodes lie in too many layers inside layers: all together more "
                            f"than {MOST_ENTERED:,}, the limit. Save the network's state dict.")
        check_layers(self._paths)
        self._once = _without_repeats(nodes, self._paths, names)
        self._types = _types(nodes, self._paths, self._once)

    def calls(self) -> "Entering":
        """To be asked node by node, in order, for those that do something."""
        return Entering(self._paths, self._once, self._types)


def check_layers(paths: Iterable[Sequence[str]]) -> None:
    """Raises UserError where there are more layers than can be shown."""
    layers: set[tuple[str, ...]] = set()
    for path in paths:
        layers.update(tuple(path[:depth + 1]) for depth in range(len(path)))
        if len(layers) > MOST_LAYERS:
            raise UserError(f"it has more than {MOST_LAYERS:,} layers, the limit. Save the "
                            "network's state dict.")


def _paths_by_weights(nodes: Sequence[OnnxNode], weights: set[str]) -> list[list[str]]:
    """A node without named weights lies in the layers around those of both its neighbours."""
    owners = _without_shared_start([_weight_owner(node, weights) for node in nodes], weights)
    following, after = [], []
    for owner in reversed(owners):
        following.append(after[:-1])
        after = owner or after
    paths, before = [], []
    for count, (node, owner) in enumerate(zip(nodes, owners, strict=True)):
        around = zip(before[:-1], following[-1 - count], strict=False)
        common = [a for a, _ in takewhile(lambda pair: pair[0] == pair[1], around)]
        paths.append(owner or [*common, _own_name(node, count)])
        before = owner or before
    return paths


def _without_shared_start(owners: list[list[str]], weights: set[str]) -> list[list[str]]:
    """The layers without a first name that all share and that tells nothing, gpu_0/conv1_w."""
    found = {tuple(owner) for owner in owners if owner}
    starts = {path[0] for path in found}
    if len(found) < 2 or len(starts) > 1 or min(map(len, found)) < 2:
        return owners
    start, = starts
    if any(name.startswith(f"{start}.") for name in weights):
        return owners  # as in a state dict, whose names stay as they are
    return [owner[1:] for owner in owners]


def safe_name(part: str) -> str:
    """A layer's or tensor's own name as torch modules can hold it."""
    part = part.replace(".", "_") or "_"
    return f"{part}_" if part in TAKEN or hasattr(nn.Module, part) else part


def _scope(node: OnnxNode) -> list[str] | None:
    """The names of the layers around a node, outermost first; None where nothing says."""
    if SCOPES in node.metadata:
        scopes = QUOTED.findall(node.metadata[SCOPES])[1:-1]
        return scopes[-1][:LONGEST].split(".") if scopes else []
    if "/" not in node.name:
        return None
    path: list[str] = []
    last = ""
    for part in node.name[:LONGEST].split(";")[0].split("/")[:-1]:
        if part in WRAPPERS:
            continue
        extends = last and part.startswith(f"{last}.")
        path += part[len(last) + 1:].split(".") if extends else part.split(".")
        last = part
    return path


def _weight_owner(node: OnnxNode, weights: set[str]) -> list[str]:
    for name in dict.fromkeys(node.inputs[1:]):
        if name in weights and "::" not in name and (found := WEIGHT.match(name[:LONGEST])):
            return re.split(r"[./]", found[1])
    return []


def _own_name(node: OnnxNode, count: int) -> str:
    said = node.name[:LONGEST].removeprefix("node_").removesuffix("_quant")
    return re.sub(r"[./]", "_", said) or f"{node.operator}_{count}"


def _without_repeats(nodes: tuple[OnnxNode, ...], paths: list[list[str]],
                     weights: set[str]) -> list[list[str]]:
    """The paths with relu_1 named relu where that layer has the same weights: it ran again."""
    held: dict[tuple[str, ...], set[str]] = {}
    for node, path in zip(nodes, paths, strict=True):
        if not node.name.startswith("/"):
            continue
        own = weights.intersection(node.inputs)
        for depth in range(1, len(path) + 1):
            held.setdefault(tuple(path[:depth]), set()).update(own)
    first: dict[tuple[str, ...], str] = {}
    for path, own in held.items():
        found = REPEATED.match(path[-1])
        if found and held.get((*path[:-1], found[1])) == own:
            first[path] = found[1]
    return [[first.get(tuple(path[:depth + 1]), part) for depth, part in enumerate(path)]
            for path in paths]


def _types(nodes: tuple[OnnxNode, ...], paths: list[list[str]],
           once: list[list[str]]) -> dict[str, str]:
    """The class of each layer by its path: as the file says, or as its only operators tell."""
    types: dict[str, str] = {}
    operators: dict[str, set[tuple[str, ...]]] = {}
    runs: dict[tuple[str, ...], set[str]] = {}
    for node, path in zip(nodes, paths, strict=True):
        classes = QUOTED.findall(node.metadata.get(CLASSES, ""))[1:-1]
        scopes = QUOTED.findall(node.metadata.get(SCOPES, ""))[1:-1]
        types |= {".".join(map(safe_name, scope.split("."))): name.rpartition(".")[2]
                  for scope, name in zip(scopes, classes, strict=False)}
        runs.setdefault(tuple(path), set()).add(node.operator)
    for path, own in zip(paths, once, strict=True):
        operators.setdefault(".".join(own), set()).add(plain_operators(runs[tuple(path)]))
    inner = {".".join(own[:depth]) for own in once for depth in range(1, len(own))}
    for path, kinds in operators.items():
        kind = next(iter(kinds))
        if path not in inner and len(kinds) == 1:
            types.setdefault(path, TYPES.get(kind, kind[0] if len(kind) == 1 else ""))
    return types


class Entering:
    """A layer that is entered again after it was left runs again."""

    def __init__(self, paths: list[list[str]], once: list[list[str]],
                 types: dict[str, str]) -> None:
        self._paths, self._once, self._types = paths, once, types
        self._stack: list[tuple[str, Call]] = []
        self._times: dict[str, int] = {}

    def calls(self, count: int) -> tuple[Call, ...]:
        """The layers that a node ran in, outermost first."""
        path, own = self._paths[count], self._once[count]
        kept = 0
        for part, (entered, _) in zip(path, self._stack, strict=False):
            if part != entered:
                break
            kept += 1
        del self._stack[kept:]
        for depth in range(kept, len(path)):
            name = ".".join(own[:depth + 1])
            times = self._times[name] = self._times.get(name, -1) + 1
            call = Call(f"{name}@{times}", name, self._types.get(name, ""))
            self._stack.append((path[depth], call))
        return tuple(call for _, call in self._stack)
