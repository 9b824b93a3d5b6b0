"""A frozen network as a torch module with its layers as sub-modules, so that ordinary hooks work."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from core.errors import UserError
from core.graph.nesting import Nested, Program, Run, Step, nested
from core.graph.nodes import DEVICE, MOST_NODES, UNBOUNDED, Graph, Input, Number, Ref, Weight
from core.graph.operators import resolve
from core.text_of_files import shown

DEEPEST = 64  # layers inside layers


@dataclass
class State:
    """What one pass through the network shares: its device, and the numbers computed on the way."""

    device: torch.device
    numbers: dict[str, Any] = field(default_factory=dict)


class Layer(nn.Module):
    """A layer of a frozen network. Called with the tensors that flow in, it gives what flows out."""

    def __init__(self, type_name: str | None = None) -> None:
        super().__init__()
        self.type_name = type_name
        self.steps: list[_Prepared] = []

    def forward(self, *inputs: torch.Tensor, program: int = 0, state: State | None = None) -> Any:
        """`program`: which of the layer's calls this is, where the network calls it several times."""
        if program >= len(self.steps):
            raise UserError("This layer never runs in the network as it was exported. Choose another.")
        return self.steps[program].run(inputs, state or State(inputs[0].device))


@dataclass(frozen=True)
class _Prepared:
    """A program with its functions, layers and weights looked up."""

    program: Program
    weights: tuple[tuple[str, nn.Module, str], ...]  # (value, owner, attribute)
    calls: tuple[Any, ...]  # a function for each Step, a layer for each Run

    def run(self, inputs: tuple[torch.Tensor, ...], state: State) -> Any:
        values = dict(zip(self.program.inputs, inputs, strict=True))
        for name, owner, attribute in self.weights:
            values[name] = getattr(owner, attribute)
        for step, call in zip(self.program.steps, self.calls, strict=True):
            if isinstance(step, Run):
                given = [values[name] for name in step.inputs]
                _bind(step.outputs, call(*given, program=step.program, state=state), values)
                del given
            else:
                result = _computed(step, call, values, state)
                _bind(step.node.outputs, result, state.numbers if step.is_number else values)
            for name in step.dead:
                values.pop(name, None)
        outputs = tuple(values[name] for name in self.program.outputs)
        return outputs[0] if len(outputs) == 1 else outputs


def _computed(step: Step, function: Any, values: dict[str, Any], state: State) -> Any:
    node = step.node
    arguments = [_given(argument, values, state) for argument in node.arguments]
    keywords = {name: _given(argument, values, state) for name, argument in node.keywords.items()}
    try:
        return function(*arguments, **keywords)
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except (RuntimeError, ValueError, TypeError, IndexError, ArithmeticError, NotImplementedError) as error:
        if "alloc" in str(error).lower():  # too little memory: the caller tries a smaller batch
            raise
        layer = f" in layer {shown(node.calls[-1].path)}" if node.calls else ""
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise UserError(f"{node.where or 'a node'}{layer}, operator {node.operator}, could not run: {reason}. "
                        "Check the input size, or export the network again.") from error


def _given(argument: Any, values: dict[str, Any], state: State) -> Any:
    """An argument with its references replaced by the values."""
    kind = type(argument)
    if kind is Ref:
        return values[argument]
    if kind is Number:
        return state.numbers[argument]
    if kind is list or kind is tuple:
        return kind([_given(part, values, state) for part in argument])
    return state.device if argument is DEVICE else argument


def _bind(names: Any, result: Any, values: dict[str, Any]) -> None:
    """Gives results their names; where there is one name in a tuple, the result is bare."""
    if isinstance(names, str):
        values[names] = result
    elif isinstance(names, tuple) and len(names) == 1:
        values[names[0]] = result
    elif names is not None:
        for name, part in zip(names, result, strict=True):
            _bind(name, part, values)


class GraphModule(Layer):
    """A frozen network. Layers keep the names they had; `notes` says what the graph has lost.

    batch: the (smallest, largest) batch that the graph accepts; larger ones run in parts, smaller
    ones are filled up, so a caller may give any. With parts, a hook sees one run a part.
    """

    def __init__(self, graph: Graph, type_name: str | None = None) -> None:
        super().__init__(type_name)
        if len(graph.nodes) > MOST_NODES:
            raise UserError(f"the graph has {len(graph.nodes):,} nodes, the limit is {MOST_NODES:,}. "
                            "Save the state dict, or a smaller network.")
        self.inputs: tuple[Input, ...] = graph.inputs
        self.batch = graph.inputs[0].sizes[0] if graph.inputs and graph.inputs[0].sizes else (1, UNBOUNDED)
        self.graph_outputs = tuple(map(str, graph.outputs))
        tree = nested(graph)
        self.notes = _notes(graph, tree)
        layers = {"": self}
        for path in dict.fromkeys([*_with_content(graph, tree), *tree.programs]):
            _add_layer(layers, path, tree.types.get(path))
        places = _add_weights(layers, graph.weights)
        for path, programs in tree.programs.items():
            layers[path].steps = [_prepared(program, layers, places) for program in programs]
        self.eval()

    def forward(self, *inputs: torch.Tensor, program: int = 0, state: State | None = None) -> Any:
        self._check(inputs)
        smallest, largest = self.batch
        count = inputs[0].shape[0] if inputs[0].dim() else 1
        if smallest <= count <= largest or not inputs[0].dim():
            return self._outputs(inputs)
        parts = [self._outputs(_filled(part, smallest))
                 for part in zip(*(given.split(largest) for given in inputs), strict=True)]
        if isinstance(parts[0], tuple):
            return tuple(torch.cat(several)[:count] for several in zip(*parts, strict=True))
        return torch.cat(parts)[:count]

    def _outputs(self, inputs: tuple[torch.Tensor, ...]) -> Any:
        """The outputs in the graph's order, which may name one value twice."""
        prepared = self.steps[0]
        wanted = dict(zip([given.name for given in self.inputs], inputs, strict=True))
        entering = tuple(wanted[name] for name in prepared.program.inputs)
        result = prepared.run(entering, State(inputs[0].device))
        if len(self.graph_outputs) == len(prepared.program.outputs):
            return result
        values: dict[str, Any] = {}
        _bind(prepared.program.outputs, result, values)
        return tuple(values[name] for name in self.graph_outputs)

    def _check(self, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs) != len(self.inputs):
            names = ", ".join(given.name for given in self.inputs)
            raise UserError(f"This network takes {len(self.inputs)} inputs ({names[:200]}), {len(inputs)} "
                            "given. Netlens runs networks with one input, the picture.")
        for tensor, expected in zip(inputs, self.inputs, strict=True):
            sizes = tuple(tensor.shape)
            fits = len(sizes) == len(expected.sizes) and all(
                low <= size <= high for size, (low, high) in zip(sizes[1:], expected.sizes[1:], strict=True))
            if not fits:
                raise UserError(f"This network was exported for inputs of {_described(expected.sizes)}, not "
                                f"{' × '.join(map(str, sizes))}. Set the input size in the model card, or "
                                "export it again with dynamic height and width.")


def _described(sizes: tuple[tuple[int, int], ...]) -> str:
    """Sizes in words: "N × 3 × 64 × (32 to 512)"."""
    def one(low: int, high: int) -> str:
        return str(low) if low == high else "any size" if high >= UNBOUNDED else f"({low} to {high})"

    return " × ".join(["N", *(one(*size) for size in sizes[1:])])


def _filled(inputs: tuple[torch.Tensor, ...], smallest: int) -> tuple[torch.Tensor, ...]:
    """The inputs with their last example repeated until the graph accepts the batch."""
    missing = smallest - len(inputs[0])
    if missing <= 0:
        return inputs
    return tuple(torch.cat([given, given[-1:].expand(missing, *given.shape[1:])]) for given in inputs)


def _with_content(graph: Graph, tree: Nested) -> list[str]:
    """Layers in the order of definition, without those of which the file holds no trace but the name."""
    holders = {weight.name.rpartition(".")[0] for weight in graph.weights.values()}
    full = {*tree.programs, *holders}
    prefixes = {".".join(parts[:n]) for path in full for parts in [path.split(".")] for n in range(len(parts) + 1)}
    return [path for path in graph.layers if path in prefixes]


def _add_layer(layers: dict[str, Layer], path: str, type_name: str | None) -> Layer:
    """The layer at a path, made with those it lies in where they are missing."""
    if path in layers:
        return layers[path]
    if path.count(".") >= DEEPEST or len(path) > 1000:
        raise UserError(f"the layer {shown(path)} lies deeper than {DEEPEST} layers. Export the network again.")
    parent, _, name = path.rpartition(".")
    layer = Layer(type_name)
    try:
        _add_layer(layers, parent, None).add_module(name, layer)
    except KeyError as error:
        raise UserError(f"the layer name {shown(path)} cannot be used ({error}). Rename the layer.") from error
    layers[path] = layer
    return layer


def _add_weights(layers: dict[str, Layer], weights: dict[str, Weight]) -> dict[str, tuple[nn.Module, str]]:
    """Registers each tensor under its name, tied ones as one object; where each value lies."""
    places: dict[str, tuple[nn.Module, str]] = {}
    parameters: dict[int, nn.Parameter] = {}
    for value, weight in weights.items():
        path, _, name = weight.name.rpartition(".")
        owner = _add_layer(layers, path, None)
        try:
            if weight.is_parameter:
                tied = parameters.setdefault(id(weight.tensor), nn.Parameter(weight.tensor, requires_grad=False))
                owner.register_parameter(name, tied)
            else:
                owner.register_buffer(name, weight.tensor)
        except KeyError as error:
            raise UserError(f"the tensor name {shown(weight.name)} cannot be used ({error}). Rename it.") from error
        places[value] = (owner, name)
    return places


def _prepared(program: Program, layers: dict[str, Layer], places: dict[str, tuple[nn.Module, str]]) -> _Prepared:
    calls = tuple(layers[step.path] if isinstance(step, Run) else resolve(step.node.operator, _place(step))
                  for step in program.steps)
    return _Prepared(program, tuple((name, *places[name]) for name in program.weights), calls)


def _place(step: Step) -> str:
    layer = f" in layer {shown(step.node.calls[-1].path)}" if step.node.calls else ""
    return f"{step.node.where or 'a node'}{layer}"


def _notes(graph: Graph, tree: Nested) -> tuple[str, ...]:
    parents = {path.rpartition(".")[0] for path in graph.layers}
    holders = {weight.name.rpartition(".")[0] for weight in graph.weights.values()}
    silent = [path for path in graph.layers if path and path not in {*tree.programs, *parents, *holders}]
    notes = []
    if silent:
        notes.append(f"{len(silent)} layers pass their input on or never run, so the file does not hold them: "
                     f"{', '.join(silent[:5])}{' and more' if len(silent) > 5 else ''}.")
    if tree.pieces:
        notes.append(f"{len(tree.pieces)} layers were recorded in pieces and run once a piece: "
                     f"{', '.join(tree.pieces[:5])}.")
    return tuple(notes)
