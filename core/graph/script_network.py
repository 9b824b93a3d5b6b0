"""A TorchScript program as a graph: its `forward` followed on an input of given sizes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from core.dataset_files.archives import Archive
from core.errors import UserError
from core.graph.nodes import Graph, Input, Ref
from core.graph.script_evaluator import Evaluator
from core.graph.script_objects import Objects, Pickles
from core.graph.script_pickles import example_inputs
from core.graph.script_recorder import Recorder
from core.graph.script_source import AGAIN, Function, Sources
from core.graph.script_values import DoesNotFitError, TensorValue
from core.graph.shapes import Shapes

Given = tuple[tuple[int, ...], torch.dtype]  # an input's sizes, batch first, and type
_FAILURES = (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError,
             ArithmeticError, NotImplementedError)


@dataclass(frozen=True)
class Followed:
    """training: layers that were saved in training mode. any_batch: whether other batches take
    the same nodes."""

    graph: Graph
    training: tuple[str, ...]
    any_batch: bool


class Program:
    """A TorchScript archive, read and not followed yet.

    recorded: sizes and types of the inputs of a trace, None where the file does not say them.
    """

    def __init__(self, archive: Archive) -> None:
        self._pickles, self._sources = Pickles(archive), Sources(archive)
        stored = example_inputs(archive)
        self.recorded: list[Given] | None = stored and [(part.shape, part.dtype) for part in stored]
        self.type_name = self._pickles.root.name.rpartition(".")[2]

    def input_names(self) -> list[str]:
        """The inputs of `forward` that have no default."""
        signature = self._forward().body.args
        names = [parameter.arg for parameter in signature.args][1:]
        return names[:len(names) - len(signature.defaults)]

    def tensors(self) -> list[torch.Tensor]:
        """Every tensor of the modules, as they are defined; a frozen program's constants."""
        recorder = Recorder()
        objects = Objects(self._pickles, self._sources, recorder)
        if not recorder.trained:
            objects.take_constants()
        return [weight.tensor for weight in recorder.weights.values()]

    def followed(self, given: list[Given]) -> Followed:
        """The network for inputs of these sizes. Raises DoesNotFitError where it takes others."""
        found, recorder, objects = self._graph(given)
        any_batch = True
        if recorder.decided:  # by a size: see whether another batch decides otherwise
            larger = [((shape[0] + 1, *shape[1:]), dtype) for shape, dtype in given]
            try:
                any_batch = self._graph(larger)[0].nodes == found.nodes
            except DoesNotFitError:
                any_batch = False
        return Followed(found, tuple(objects.training), any_batch)

    def _forward(self) -> Function:
        found = self._sources.class_named(self._pickles.root.name).method("forward")
        if found is None:
            raise UserError(f"its program has no `forward`, so there is no network to run. {AGAIN}")
        return found

    def _graph(self, given: list[Given]) -> tuple[Graph, Recorder, Objects]:
        recorder = Recorder()
        objects = Objects(self._pickles, self._sources, recorder)
        names = self.input_names() or ["input"]
        inputs = [recorder.given(f"input.{name}", *one)
                  for name, one in zip(names, given, strict=True)]
        named = [(value.name, *one) for value, one in zip(inputs, given, strict=True)]
        evaluator = Evaluator(self._sources, objects, recorder)
        try:
            with torch.no_grad(), Shapes():
                result = evaluator.call_method(objects.root, "forward", inputs, {})
        except (*_FAILURES, RecursionError, MemoryError) as error:
            reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
            raise DoesNotFitError(f"the program could not be followed for this input, "
                                  f"{recorder.where}: {reason}. Check the input size.") from error
        outputs = tuple(dict.fromkeys(value.name for value in _tensors(result, recorder)))
        if not outputs:
            raise UserError("the program gives no tensor. Save a network that returns one.")
        graph = Graph(tuple(recorder.nodes),
                      tuple(_input(*one, self.recorded is not None) for one in named), outputs,
                      recorder.weights, tuple(objects.layers))
        return graph, recorder, objects


def _tensors(result: Any, recorder: Recorder) -> Iterator[TensorValue]:
    """The tensors in what `forward` returns, in order."""
    recorder.step()
    if isinstance(result, TensorValue):
        yield result
    elif isinstance(result, (list, tuple, dict)):
        for part in result.values() if isinstance(result, dict) else result:
            yield from _tensors(part, recorder)


def _input(name: Ref, shape: tuple[int, ...], dtype: torch.dtype, is_said: bool) -> Input:
    """Fixed as it was followed; whether the batch is free is checked afterwards."""
    return Input(name, tuple((size, size) for size in shape), shape, dtype, is_said)
