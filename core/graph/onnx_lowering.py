"""From an ONNX graph to nodes of the allow-list: each operator by its function, sizes by trial."""

import inspect
import re
from dataclasses import dataclass, replace

import numpy as np
import torch

from core.errors import UserError
from core.files.text_of_files import shown
from core.graph.nodes import UNBOUNDED, Graph, Input
from core.graph.onnx_branches import UnfoldedError, branch_taken, has_branches, instead_of
from core.graph.onnx_builder import Builder
from core.graph.onnx_folding import fold
from core.graph.onnx_model import OnnxModel, OnnxNode
from core.graph.onnx_names import Entering
from core.graph.onnx_operators import OPERATORS, as_in_file, attributes_of, with_rounding
from core.graph.onnx_values import Value
from core.graph.onnx_weight_names import with_weight_names, without_unused
from core.graph.shapes import Shapes

FLOW = ("If", "Loop", "Scan", "SequenceMap")
QUIET = ("Constant", "Shape", "Size", "Identity", "Dropout")  # nothing that a layer would show
QUANTIZED = re.compile(r"QLinear.*|QAttention|QEmbed.*|DynamicQuantize.*|MatMulNBits|.*Integer.*")
OLDEST = 7
STATE_DICT = "Save the network's state dict, or export it again with torch.onnx.export."
FAILURES = (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError,
            RuntimeError)


@dataclass(frozen=True)
class Trial:
    """The sizes of one input for which the graph is walked.

    shapes: the example, and a larger one where the file leaves sizes open. is_nhwc: the file wants
    channels last, the module is given them first. is_said: see Input.
    """

    name: str
    shapes: tuple[tuple[int, ...], ...]
    dtype: torch.dtype
    is_nhwc: bool = False
    is_said: bool = True

    def as_input(self) -> Input:
        example, larger = self.shapes[0], self.shapes[-1]
        sizes = tuple((low, low) if low == high else (1, UNBOUNDED)
                      for low, high in zip(example, larger, strict=True))
        return Input(self.name, sizes, example, self.dtype, self.is_said)


def check_operators(model: OnnxModel, nodes: tuple[OnnxNode, ...]) -> None:
    """Raises UserError that names the first operator that is not in the table."""
    if model.opset < OLDEST:
        raise UserError(f"it uses opset {model.opset} of ONNX, older than {OLDEST}, which is not "
                        "read. Convert it with onnx.version_converter, or export it again.")
    for node in nodes:
        if has_branches(node):
            continue
        if node.operator in FLOW:
            raise UserError(f"{described(node)} is a loop or branch, which may run for a long time "
                            f"and is not run here. {STATE_DICT}")
        if node.key not in OPERATORS and node.key != "Constant":
            raise UserError(_unknown(node, described(node)))
        if node.unreadable:
            raise UserError(f"{described(node)}: its attribute {shown(node.unreadable)} is of a "
                            f"kind that is not read. {STATE_DICT}")
        if unknown := node.attributes.keys() - attributes_of(node.key):
            raise UserError(f"{described(node)}: its attribute {shown(min(unknown))} is unknown "
                            f"here, and may change what it gives. {STATE_DICT}")


def _unknown(node: OnnxNode, where: str) -> str:
    if QUANTIZED.fullmatch(node.operator):
        return (f"{where} belongs to a quantized network, and is none of the operators for that "
                "which run here. Quantize in the QDQ format (QuantFormat.QDQ), or open the network "
                "as it was before it was quantized.")
    if node.domain == "com.microsoft.nchwc":
        return (f"{where} was rearranged by onnxruntime for one kind of processor. Open the file "
                "from before, or save it with the optimization level ORT_ENABLE_EXTENDED.")
    domain = f" of the domain {shown(node.domain)}" if node.domain else ""
    return (f"{where}: the operator {shown(node.operator)}{domain} is unknown here, so the network "
            "cannot run. Export the network with torch.export.save (.pt2), or save its state dict.")


def described(node: OnnxNode) -> str:
    """A node for a message."""
    name = node.name or next(iter(node.outputs), "")
    return f"the node {shown(name)} ({shown(node.operator, 30)})"


def lowered(model: OnnxModel, nodes: tuple[OnnxNode, ...], trials: tuple[Trial, ...],
            builder: Builder, layers: Entering) -> Graph:
    """The graph for inputs of these sizes. Raises UserError, or UndecidedError where what it does
    depends on a size that the trials leave open."""
    with torch.no_grad(), Shapes():
        graph = _Lowering(model, nodes, trials, builder, layers).graph()
    return with_weight_names(without_unused(graph))


class _Lowering:
    def __init__(self, model: OnnxModel, nodes: tuple[OnnxNode, ...],
                 trials: tuple[Trial, ...], builder: Builder, layers: Entering) -> None:
        self.model = model
        self.nodes = nodes
        self.trials = trials
        self.builder = builder
        self.layers = layers
        self.read = {name for node in nodes for name in node.inputs}
        self.read |= {output.name for output in model.outputs}
        self.values: dict[str, Value] = {}

    def graph(self) -> Graph:
        self._add_weights(self.model.weights)
        for trial in self.trials:
            self.values[trial.name] = self._input(trial)
        self._walk()
        missing = [out.name for out in self.model.outputs if out.name not in self.values]
        if missing or not self.model.outputs:
            raise UserError(f"no node makes the output {shown(missing[0] if missing else '')}: the "
                            "file is damaged. Export it again.")
        values = [as_in_file(self.builder, self.values[out.name]) for out in self.model.outputs]
        outputs = [self.builder.tensor(value).name for value in values]
        return Graph(tuple(self.builder.nodes), tuple(trial.as_input() for trial in self.trials),
                     tuple(outputs), self.builder.weights)

    def _add_weights(self, weights: dict[str, torch.Tensor]) -> None:
        for name, tensor in weights.items():
            lone = tensor.numel() == 1 and "." not in name
            self.values[name] = self.builder.add_weight(name, tensor, is_literal=lone)

    def _walk(self) -> None:
        """Node by node. Raises UnfoldedError at the end where there were branches."""
        taken = {*self.model.weights, *self.values}
        taken.update(name for node in self.nodes for name in node.outputs)
        waiting, flat = list(reversed(self.nodes)), []
        extra: dict[str, torch.Tensor] | None = None
        while waiting:
            node = waiting.pop()
            if node.operator != "If":
                self._lower(len(flat) if extra is None else None, node)
                flat.append(node)
                continue
            given = [self._given(name, node) for name in node.inputs]
            branch = branch_taken(node, given[0] if given else None, described(node))
            nodes, weights = instead_of(node, branch, taken)
            check_operators(self.model, tuple(nodes))
            self._add_weights(weights)
            extra = {} if extra is None else extra
            extra.update(weights)
            self.read |= {name for part in nodes for name in part.inputs}
            waiting.extend(reversed(nodes))
        if extra is not None:
            raise UnfoldedError(tuple(flat), extra)

    def _input(self, trial: Trial) -> Value:
        self.builder.where = f"the input {shown(trial.name)}"
        value = self.builder.add_input(trial.name, list(trial.shapes), trial.dtype)
        return self.builder.node("permute.default", value, [0, 2, 3, 1]) if trial.is_nhwc else value

    def _lower(self, count: int | None, node: OnnxNode) -> None:
        self.builder.where, self.builder.opset = described(node), node.opset
        self.builder.calls = ()
        inputs = [self._given(name, node) for name in node.inputs]
        try:
            results = self._results(count, node, inputs)
        except FAILURES as error:
            raise UserError(f"{described(node)} could not be read: {shown(error, 150)}. "
                            f"{STATE_DICT}") from error
        for place, name in enumerate(node.outputs):
            if place < len(results):
                self.values[name] = results[place]
            elif name and name in self.read:
                raise UserError(f"{described(node)}: its output {place + 1} is not supported. "
                                f"{STATE_DICT}")

    def _given(self, name: str, node: OnnxNode) -> Value | None:
        if name and name not in self.values:
            raise UserError(f"{described(node)} reads {shown(name)}, which nothing before it "
                            "makes: the file is damaged. Export it again.")
        return self.values[name] if name else None

    def _results(self, count: int | None, node: OnnxNode,
                 inputs: list[Value | None]) -> tuple[Value, ...]:
        if node.operator == "Constant":
            return (self._constant(node),)
        found = fold(self.builder, node.key, inputs, node.attributes)
        if found is not None:
            return found
        if node.operator not in QUIET and count is not None:
            self.builder.calls = self.layers.calls(count)
        inputs, kept = with_rounding(self.builder, node, inputs)
        function = OPERATORS[node.key]
        parameters = inspect.signature(function).parameters
        told = {"outputs": len(node.outputs), "name": node.outputs[0] if node.outputs else ""}
        told = {name: value for name, value in told.items()
                if name in parameters and parameters[name].kind is inspect.Parameter.KEYWORD_ONLY}
        while inputs and inputs[-1] is None:
            inputs.pop()
        results = function(self.builder, *inputs, **node.attributes, **told)
        results = results if isinstance(results, tuple) else (results,)
        return tuple(replace(one, rounding=kept) for one in results) if kept else results

    def _constant(self, node: OnnxNode) -> Value:
        if len(node.attributes) != 1:
            raise ValueError("it has no value, or several")
        (kind, value), = node.attributes.items()
        if kind == "value":
            return self.builder.add_weight(node.outputs[0], value, is_literal=value.numel() == 1)
        dtype = torch.float32 if "float" in kind else torch.int64
        return self.builder.known(np.array(value, object), dtype)
