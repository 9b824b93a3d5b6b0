"""One run of a network for its data flow, without memory for numbers where it is large."""

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from core.device import float_type, locked
from core.errors import UserError
from core.flow.operations import INPUT, OUTPUT, Edge, Operation, Shape
from core.flow.recorder import Recorder, tensors_in
from core.graph.module import GraphModule
from core.layers import layer_names, watched
from core.measures.dry_run import is_small, named_tensors, on_meta, run_with
from core.measures.multiply_adds import MultiplyAdds

Recorded = tuple[list[Operation], list[Edge]]


def recorded(model: nn.Module, input_shape: Shape) -> Recorded:
    """All operations that the input reaches in one run, and the tensors between them; the model
    stays as it was. Raises UserError that says why it cannot run on such an input."""
    if not is_small(model, input_shape):
        try:
            return _recorded(model, input_shape, "meta")
        except UserError:
            raise
        except Exception:  # whatever a forward raises: with numbers it may run, else it is told
            pass
    place = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    try:
        return _recorded(model, input_shape, place)
    except UserError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:200].rstrip(".") or type(error).__name__
        side = " × ".join(map(str, input_shape))
        raise UserError(f"This network does not run on an input of {side}: {reason}. Correct the "
                        "input in the sidebar.") from error


def _recorded(model: nn.Module, input_shape: Shape, place: torch.device | str) -> Recorded:
    with locked(model), torch.no_grad():
        tensors = named_tensors(model)
        if place == "meta":
            tensors = on_meta(tensors)
        image = torch.zeros(input_shape, dtype=float_type(model), device=place)
        cost = MultiplyAdds()
        recorder = Recorder(_names(tensors), cost)
        with cost:
            _watch(recorder, model, tensors, image)
    return recorder.operations, list(recorder.edges)


def _names(tensors: dict[str, torch.Tensor]) -> dict[int, str]:
    """The first name of each tensor, by its id."""
    names: dict[int, str] = {}
    for name, tensor in tensors.items():
        names.setdefault(id(tensor), name)
    return names


def _watch(recorder: Recorder, model: nn.Module, tensors: dict[str, torch.Tensor],
           image: torch.Tensor) -> None:
    if isinstance(model, GraphModule):
        image = model.inputs[0].in_own_type(image)  # here, so that it is no operation
    recorder.keep(Operation(INPUT), (), (image,))
    with watched(model, layer_names(model), recorder.leave, recorder.enter), recorder:
        output = run_with(model, tensors, image)
    results = tensors_in(output)
    if not any(map(recorder.position, results)):
        raise UserError("What leaves this network cannot be traced back to its input.")
    recorder.keep(Operation(OUTPUT), results, results)


class _Catcher(Recorder):
    """Keeps what the operation with a number gives, before the next one may write into it."""

    def __init__(self, weights: dict[int, str], wanted: int) -> None:
        super().__init__(weights, MultiplyAdds())  # never entered: nothing is counted
        self.wanted = wanted
        self.caught: torch.Tensor | None = None

    def keep(self, operation: Operation, given: Iterable[torch.Tensor],
             made: Sequence[torch.Tensor]) -> None:
        super().keep(operation, given, made)
        if len(self.operations) == self.wanted + 1:
            self.caught = made[0].detach().float().cpu().clone()


def caught(model: nn.Module, image: torch.Tensor, operation: Operation) -> torch.Tensor | None:
    """What an operation of a recorded run gives for an image (1, C, H, W), on the CPU; its first
    tensor where there are several. None where the network runs otherwise for this image."""
    with locked(model), torch.no_grad():
        tensors = named_tensors(model)
        catcher = _Catcher(_names(tensors), operation.number)
        _watch(catcher, model, tensors, image)
    for seen in catcher.operations[operation.number : operation.number + 1]:
        if (seen.operator in operation.operator.split(", ") and seen.calls == operation.calls
                and seen.shapes == operation.shapes):
            return catcher.caught
    return None
