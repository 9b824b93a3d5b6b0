"""Data flow: which operations a network runs, in which layers, and which tensors pass between."""

from torch import nn

from core.cache import cached_result, shared_resource
from core.errors import UserError
from core.flow.operations import Call, Flow, Operation, Shape
from core.flow.recorder import MOST_OPERATIONS
from core.flow.run import caught, recorded
from core.flow.tidy import rearranged_at_once, without_unused
from core.input_shape import input_shape
from core.layers import layer_type
from core.library import open_outline
from core.measures.outputs import Output, example_input, run_of, shown
from core.one_pass.forward_pass import model_on_device
from core.weight_files.weights_only import WeightsOnly

UNKNOWN_SIZE = "The size of the input is not known. Give height and width in the sidebar."


@shared_resource(entries=8)
def data_flow(model_id: str, dataset_id: str | None = None) -> Flow:
    """The flow of the network behind an id, for one input of the size its card or data gives.

    Where none can be had, `missing` says why, and the operations are the layers by themselves.
    """
    return flow_of(open_outline(model_id).module, input_shape(model_id, dataset_id))


def flow_of(model: nn.Module, input_shape: Shape | None) -> Flow:
    """The flow of `model` for an input of that shape (1, C, H, W)."""
    parameters = {name: tensor.numel() for name, tensor in model.named_parameters()}
    types = {name: layer_type(module) for name, module in model.named_modules() if name}
    try:
        if input_shape is None and not isinstance(model, WeightsOnly):
            raise UserError(UNKNOWN_SIZE)
        everything, edges = recorded(model, input_shape or ())
    except UserError as error:
        layers = _layers_alone(model)
        more = (f"Drawn: the first {MOST_OPERATIONS:,} of {len(layers):,} layers.",)
        return Flow(layers[:MOST_OPERATIONS], (), parameters, types,
                    more if len(layers) > MOST_OPERATIONS else (), str(error))
    operations, edges = without_unused(everything, edges)
    unused = len(everything) - len(operations)
    operations, edges = rearranged_at_once(operations, edges)
    notes = (f"Operations left out, as nothing uses their results: {unused:,}.",) if unused else ()
    return Flow(tuple(operations), tuple(edges), parameters, types, notes)


@cached_result
def operation_output(model_id: str, dataset_id: str, example: int, position: int) -> Output:
    """What one operation of the flow gives for one example; its first tensor where it gives
    several. Raises UserError."""
    model = model_on_device(model_id)
    operation = data_flow(model_id, dataset_id).operations[position]
    image = example_input(model, model_id, dataset_id, example)[:1]
    with run_of(model, image):
        found = caught(model, image, operation)
    if found is None:
        raise UserError("For this example the network runs other operations than those drawn, so "
                        "this one cannot be shown. Choose another example, or click a layer.")
    return shown(found, tuple(image.shape[2:]))


def _layers_alone(model: nn.Module) -> tuple[Operation, ...]:
    """The innermost layers, and of the others what weights they hold themselves."""
    found = []
    for path, module in model.named_modules():
        inner = any(True for _ in module.children())
        own = [name for name, _ in module.named_parameters(path, recurse=False)]
        if own or (path and not inner):
            calls = tuple(Call(outer, 0) for outer in _with_outer(path))
            operator = "weights" if inner else layer_type(module)
            found.append(Operation(operator, calls, weights=frozenset(own)))
    return tuple(found)


def _with_outer(path: str) -> list[str]:
    """The layers that a layer lies in, outermost first, and itself."""
    ends = [place for place, letter in enumerate(path) if letter == "."]
    return [*(path[:end] for end in ends), path] if path else []
