"""A frozen network as a torch module with its layers as sub-modules, so that plain hooks work."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from core.errors import UserError
from core.files.text_of_files import shown
from core.graph.nesting import Program, Run, Step, nested
from core.graph.nodes import DEEPEST, MOST_NODES, UNBOUNDED, Graph, Input, Node, Weight
from core.graph.operators import resolve
from core.graph.running import State, bind, computed, described
from core.graph.settings import settings_of

Sizes = tuple[tuple[int, int], ...]


class Layer(nn.Module):
    """A layer of a frozen network. Called with the tensors that flow in, it gives what flows out.

    type_name: the class it had, None where the file does not say.
    """

    def __init__(self, type_name: str | None = None) -> None:
        super().__init__()
        self.type_name = type_name
        self.programs: list[_Prepared] = []

    def extra_repr(self) -> str:
        """What its operator was told, as torch's own layers say it."""
        return self.programs[0].settings() if self.programs else ""

    def forward(self, *inputs: torch.Tensor, program: int = 0, state: State | None = None) -> Any:
        """`program`: which of its calls this is, where the layer is called several times."""
        if program >= len(self.programs):
            raise UserError("This layer never runs in the network as it was exported. "
                            "Choose another.")
        return self.programs[program].run(inputs, state or State(inputs[0].device))


@dataclass(frozen=True)
class _Prepared:
    """A program with its functions, layers and weights looked up.

    weights: (value, owner, attribute). calls: a function for each Step, a layer for each Run.
    """

    program: Program
    weights: tuple[tuple[str, nn.Module, str], ...]
    calls: tuple[Any, ...]

    def settings(self) -> str:
        """See settings_of."""
        shapes = {name: tuple(getattr(owner, attribute).shape)
                  for name, owner, attribute in self.weights}
        return settings_of((step.node for step in self.program.steps if isinstance(step, Step)),
                           shapes)

    def run(self, inputs: tuple[torch.Tensor, ...], state: State) -> Any:
        values: dict[str, Any] = dict(zip(self.program.inputs, inputs, strict=True))
        for name, owner, attribute in self.weights:
            values[name] = getattr(owner, attribute)
        for step, call in zip(self.program.steps, self.calls, strict=True):
            if isinstance(step, Run):
                given = [values[name] for name in step.inputs]
                result = call(*given, program=step.program, state=state)
                del given
                bind(step.outputs, result if len(step.outputs) != 1 else (result,), values)
            else:
                result = computed(step.node, call, values, state)
                bind(step.node.outputs, result, state.numbers if step.is_number else values)
            del result
            for name in step.dead:
                values.pop(name, None)
        outputs = tuple(values[name] for name in self.program.outputs)
        return outputs[0] if len(outputs) == 1 else outputs


class GraphModule(Layer):
    """A frozen network. Layers keep the names they had; `notes` says what the graph has lost.

    batch: the (smallest, largest) batch that the graph accepts; larger ones run in parts and
    smaller ones are filled up, so a caller may give any. A hook then sees one run for each part.
    """

    def __init__(self, graph: Graph, type_name: str | None = None) -> None:
        super().__init__(type_name)
        if len(graph.nodes) > MOST_NODES:
            raise UserError(f"the graph has {len(graph.nodes):,} nodes, the limit is "
                            f"{MOST_NODES:,}. Save the network's state dict.")
        self.inputs: tuple[Input, ...] = graph.inputs
        self.batch = graph.inputs[0].sizes[0] if graph.inputs[0].sizes else (1, UNBOUNDED)
        self.results = tuple(map(str, graph.outputs))
        tree = nested(graph)
        self.pieces = tree.pieces
        layers: dict[str, Layer] = {"": self}
        for path in dict.fromkeys([*graph.layers_kept(), *tree.programs]):
            _add_layer(layers, path, tree.types.get(path))
        places = _add_weights(layers, graph.weights)
        for path, programs in tree.programs.items():
            layers[path].programs = [_prepared(program, layers, places) for program in programs]
        self.eval()

    def forward(self, *inputs: torch.Tensor, program: int = 0, state: State | None = None) -> Any:
        self._check(inputs)
        inputs = tuple(expected.in_own_type(tensor)
                       for tensor, expected in zip(inputs, self.inputs, strict=True))
        smallest, largest = self.batch
        count = inputs[0].shape[0] if inputs[0].dim() else smallest
        if smallest <= count <= largest:
            return self._outputs(inputs)
        parts = [self._outputs(_filled(part, smallest))
                 for part in zip(*(given.split(largest) for given in inputs), strict=True)]
        if isinstance(parts[0], tuple):
            return tuple(torch.cat(several)[:count] for several in zip(*parts, strict=True))
        return torch.cat(parts)[:count]

    def _outputs(self, inputs: tuple[torch.Tensor, ...]) -> Any:
        """One tensor, or all in the graph's order, which may name one value twice."""
        prepared = self.programs[0]
        wanted = dict(zip([given.name for given in self.inputs], inputs, strict=True))
        entering = tuple(wanted[name] for name in prepared.program.inputs)
        result = prepared.run(entering, State(inputs[0].device))
        results = result if isinstance(result, tuple) else (result,)
        values = dict(zip(prepared.program.outputs, results, strict=True))
        outputs = tuple(values[name] for name in self.results)
        return outputs[0] if len(outputs) == 1 else outputs

    def _check(self, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs) != len(self.inputs):
            names = ", ".join(given.name for given in self.inputs)
            raise UserError(f"This network takes {len(self.inputs)} inputs ({names[:200]}), it was "
                            f"given {len(inputs)}. Export it with one input, the picture.")
        for tensor, expected in zip(inputs, self.inputs, strict=True):
            if not _fits(tuple(tensor.shape), expected.sizes):
                raise UserError(_unfit(expected, tuple(tensor.shape)))


def _unfit(expected: Input, shape: tuple[int, ...]) -> str:
    """Why an input does not fit, and what to do; claims of the file only what it says."""
    sizes = f"{_in_words(expected.sizes)}, not {' × '.join(map(str, shape))}"
    if expected.is_said:
        return (f"This network was exported for inputs of {sizes}. Set the input size in the model "
                "card, or export it again with dynamic height and width.")
    return (f"This network was read for inputs of {sizes}, and the file does not say its size. Set "
            "the input size in the model card: the file is then read anew for it.")


def _fits(shape: tuple[int, ...], sizes: Sizes) -> bool:
    """Whether all but the batch have sizes that the network was exported for."""
    return len(shape) == len(sizes) and all(
        low <= size <= high for size, (low, high) in zip(shape[1:], sizes[1:], strict=True))


def _in_words(sizes: Sizes) -> str:
    """Sizes in words: "N × 3 × 64 × (32 to 512)"."""

    def one(low: int, high: int) -> str:
        return str(low) if low == high else "any" if high >= UNBOUNDED else f"({low} to {high})"

    return " × ".join(["N", *(one(*size) for size in sizes[1:])])


def _filled(inputs: tuple[torch.Tensor, ...], smallest: int) -> tuple[torch.Tensor, ...]:
    """The inputs with their last example repeated until the graph accepts the batch."""
    missing = smallest - len(inputs[0])
    if missing <= 0:
        return inputs
    return tuple(torch.cat([given, given[-1:].expand(missing, *given.shape[1:])])
                 for given in inputs)


def _add_layer(layers: dict[str, Layer], path: str, type_name: str | None) -> Layer:
    """The layer at a path, made with those it lies in where they are missing."""
    if path in layers:
        return layers[path]
    if path.count(".") >= DEEPEST:
        raise UserError(f"the layer {shown(path)} lies deeper than {DEEPEST} layers. "
                        "Export the network again.")
    parent, _, name = path.rpartition(".")
    layer = Layer(type_name)
    try:
        _add_layer(layers, parent, None).add_module(name, layer)
    except KeyError as error:
        raise UserError(f"the layer name {shown(path)} cannot be used ({error}). "
                        "Rename the layer and export again.") from error
    layers[path] = layer
    return layer


def _add_weights(layers: dict[str, Layer],
                 weights: dict[str, Weight]) -> dict[str, tuple[nn.Module, str]]:
    """Registers each tensor under its name, tied ones as one object; where each value lies."""
    places: dict[str, tuple[nn.Module, str]] = {}
    parameters: dict[int, nn.Parameter] = {}
    for value, weight in weights.items():
        path, _, name = weight.name.rpartition(".")
        owner = _add_layer(layers, path, None)
        places[value] = (owner, name)
        if name in owner._parameters or name in owner._buffers:
            continue  # two values of one tensor
        try:
            if weight.is_parameter:
                tied = parameters.setdefault(id(weight.tensor),
                                             nn.Parameter(weight.tensor, requires_grad=False))
                owner.register_parameter(name, tied)
            else:
                owner.register_buffer(name, weight.tensor)
        except KeyError as error:
            raise UserError(f"the tensor name {shown(weight.name)} cannot be used ({error}). "
                            "Rename it and export again.") from error
    return places


def _prepared(program: Program, layers: dict[str, Layer],
              places: dict[str, tuple[nn.Module, str]]) -> _Prepared:
    calls = tuple(layers[step.path] if isinstance(step, Run) else _function(step.node)
                  for step in program.steps)
    return _Prepared(program, tuple((name, *places[name]) for name in program.weights), calls)


def _function(node: Node) -> Callable[..., Any]:
    try:
        return resolve(node.operator)
    except UserError:
        return resolve(node.operator, described(node))
