"""A run for its shapes only: what passes through a network, and what computing it costs.

Large networks run on torch's meta device, where a tensor has a shape and no memory.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.utils._pytree import tree_leaves

from core.device import float_type, locked
from core.errors import UserError
from core.layers import first_tensor, layer_names, watched
from core.measures.architecture_record import Peak, Shape
from core.measures.memory_meter import Meter
from core.weight_files.weights_only import WeightsOnly

SMALL_WEIGHTS = 64 << 20  # bytes
SMALL_INPUT = 3 * 256 * 256  # numbers


@dataclass(frozen=True)
class Run:
    """What one layer did: shapes of its first input and output tensors in its last run, None
    where it had none; `multiply_adds` of all its runs, with those of the layers inside it."""

    input_shape: Shape | None
    output_shape: Shape | None
    output_bytes: int
    multiply_adds: int
    runs: int = 1


@dataclass(frozen=True)
class DryRun:
    """layers: in the order in which they finished; those that never ran are missing.

    multiply_adds: convolutions and matrix products, attention and recurrent layers included;
    nothing elementwise.
    peak_bytes: the most that input and activations hold at once, without gradients and without
    what an operator needs for itself. output_shape: of the network's first output.
    """

    layers: Mapping[str, Run]
    multiply_adds: int
    peak_bytes: int
    output_shape: Shape | None = None
    notes: tuple[str, ...] = ()


def dry_run(model: nn.Module, input_shape: Shape) -> DryRun:
    """What a run on one input costs; the network stays as it was. Raises UserError that says why it
    cannot run on such an input."""
    if isinstance(model, WeightsOnly):
        model(torch.empty(input_shape, device="meta"))  # raises
    place = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    if is_small(model, input_shape):
        return _on_zeros(model, input_shape, place)
    try:
        return _run(model, input_shape, "meta")
    except UserError:
        raise
    except Exception:  # whatever a forward raises: with numbers it may run, else its reason is told
        measured = _on_zeros(model, input_shape, place)
    return replace(measured, notes=(*measured.notes,
                                    "Shapes and costs are of a run on zeros, as this network does "
                                    "not run without numbers.",))


def peak(model: nn.Module, input_shape: Shape, batch: int) -> Peak:
    """What a batch of inputs needs at once: measured without numbers, so that no memory is taken,
    else `batch` times what one example needs. Raises UserError as `dry_run` does."""
    smallest, largest = getattr(model, "batch", (1, None))  # of an export
    run_as = max(smallest, min(batch, largest or batch))
    notes = () if run_as == batch else (
        f"This export takes {_numbers_taken(smallest, largest)} pictures at once; of "
        f"{batch:,} the figure is that of {run_as:,}.",)
    shape = (run_as, *input_shape[1:])
    if run_as == 1 or is_small(model, shape):
        return Peak(dry_run(model, shape).peak_bytes, run_as, notes)
    try:
        return Peak(_run(model, shape, "meta").peak_bytes, run_as, notes)
    except UserError:
        raise
    except Exception:  # whatever a forward raises without numbers; with them memory could run out
        one = dry_run(model, (smallest, *input_shape[1:])).peak_bytes
    return Peak(one * run_as // smallest, run_as, (
        *notes, "This network does not run without numbers, so this is the memory of one pass "
                "times the examples, at most a little too much."))


def _numbers_taken(smallest: int, largest: int) -> str:
    return str(smallest) if smallest == largest else f"{smallest:,} to {largest:,}"


def is_small(model: nn.Module, input_shape: Shape) -> bool:
    """Whether a run on zeros takes milliseconds: the meta device would first import torch's
    compiler, 1.5 s and 160 MB."""
    tensors = list(model.parameters())
    return (sum(tensor.nbytes for tensor in tensors) <= SMALL_WEIGHTS
            and math.prod(input_shape) <= SMALL_INPUT
            and not any(tensor.is_meta for tensor in tensors))


def _on_zeros(model: nn.Module, input_shape: Shape, place: torch.device) -> DryRun:
    try:
        return _run(model, input_shape, place)
    except UserError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:200].rstrip(".") or type(error).__name__
        raise UserError(f"This network does not run on an input of {_times(input_shape)}: "
                        f"{reason}. Correct the input in the sidebar.") from error


def _run(model: nn.Module, input_shape: Shape, place: torch.device | str) -> DryRun:
    with locked(model), torch.no_grad():
        image = torch.zeros(input_shape, dtype=float_type(model), device=place)
        tensors = named_tensors(model)
        if place == "meta":
            tensors = on_meta(tensors)
        meter = Meter(list(tensors.values()))
        meter.hold(image)
        layers: dict[str, Run] = {}
        begun: dict[str, list[int]] = defaultdict(list)

        def after(name: str, module: nn.Module, inputs: tuple, output: Any) -> None:
            cost = meter.total - begun[name].pop()
            earlier = layers.pop(name, Run(None, None, 0, 0, runs=0))
            layers[name] = Run(
                _shape(first_tensor(inputs)), _shape(first_tensor(output)), _bytes(output),
                earlier.multiply_adds + cost, earlier.runs + 1)

        with watched(model, layer_names(model), after,
                     before=lambda name: begun[name].append(meter.total)), meter:
            output = run_with(model, tensors, image)
        notes = (f"Not among the multiply-adds, as no formula for them is known here: "
                 f"{', '.join(sorted(meter.uncounted))}.",) if meter.uncounted else ()
        return DryRun(layers, meter.total, meter.peak, _shape(first_tensor(output)), notes)


def run_with(model: nn.Module, tensors: dict[str, torch.Tensor], image: torch.Tensor) -> Any:
    """What the network gives with other tensors under its names; weights alone raise what is
    missing, and their names, which may be any, are not looked up."""
    if isinstance(model, WeightsOnly):
        return model(image)
    # Each slot is given once: torch ties by itself wrongly where a module has two names, and would
    # leave it on the meta device.
    return functional_call(model, tensors, (image,), tie_weights=False)


def named_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers by name, once for each module that holds them."""
    return {f"{prefix}.{name}" if prefix else name: tensor
            for prefix, module in model.named_modules()
            for name, tensor in (*module._parameters.items(), *module._buffers.items())
            if tensor is not None}


def on_meta(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    copies = {id(tensor): tensor if tensor.is_meta else torch.empty_like(tensor, device="meta")
              for tensor in tensors.values()}
    return {name: copies[id(tensor)] for name, tensor in tensors.items()}


def _shape(tensor: torch.Tensor | None) -> Shape | None:
    return None if tensor is None else tuple(tensor.shape)


def _bytes(output: Any) -> int:
    return sum(part.numel() * part.element_size() for part in tree_leaves(output)
               if isinstance(part, torch.Tensor))


def _times(shape: Shape) -> str:
    return " × ".join(str(side) for side in shape)
