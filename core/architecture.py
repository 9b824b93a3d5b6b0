"""Architecture: every layer of a network, its shapes, its parameters and what it costs."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
import torch
from torch import nn

from core.cache import cached_result
from core.errors import UserError
from core.input_shape import input_shape
from core.layers import layer_type
from core.library import open_model
from core.measures.dry_run import DryRun, Run, Shape, dry_run
from core.weight_files.weights_only import WeightsOnly

LONGEST_SETTINGS = 300  # characters
UNKNOWN_SIZE = (
    "The size of the input is not known, so shapes and costs are missing. Give height "
    "and width in the sidebar, or choose data."
)


@dataclass(frozen=True)
class Architecture:
    """What a network is made of. Where it cannot be run, what a run would tell is missing, `notes`
    says why, and `code` holds lines to copy that may help.

    table: one row a layer in the order of definition.
      name, type, depth (1 is the outermost), settings (as torch prints them).
      parameters, trainable, share (of the network's, 0 to 1), buffers, weight_bytes: of the layer
      and what is inside it, each tensor once; own_parameters: of the layer alone; dtype: of the
      parameters. No file says what was frozen, so only Keras's moving averages are not trainable.
      shared: whether one of its own tensors is also another layer's, so that shares overlap.
      input_shape, output_shape: of the first tensor, with 1 example; runs: 0 where never called.
      multiply_adds, activation_bytes: for one example, with what is inside the layer.
      note: why a row's shapes are missing or are not the whole story.
    totals: parameters, trainable, buffers, weight_bytes, and of a run multiply_adds and
      peak_activation_bytes.
    """

    table: pd.DataFrame
    totals: dict[str, int]
    notes: tuple[str, ...] = ()
    code: str = ""


@cached_result
def architecture(model_id: str, dataset_id: str | None = None) -> Architecture:
    """The network behind an id, for an input of the size that its card gives, else its data."""
    return architecture_of(open_model(model_id).module, input_shape(model_id, dataset_id))


def model_type(model_id: str) -> str:
    """The class of the whole network."""
    return layer_type(open_model(model_id).module)


def architecture_of(model: nn.Module, input_shape: Shape | None) -> Architecture:
    """The table of `model`, measured with an input of that shape (1, C, H, W)."""
    if input_shape is None and not isinstance(model, WeightsOnly):
        return Architecture(_table(model, None), _totals(model, None), (UNKNOWN_SIZE,))
    try:
        run = dry_run(model, input_shape or ())  # weights only say so whatever the input
    except UserError as error:
        code = getattr(error, "code", "")
        said = str(error).removesuffix(code).rstrip()
        return Architecture(_table(model, None), _totals(model, None), (said,), code)
    smallest = getattr(model, "batch", (1, None))[0]  # of an export
    several = f"This export takes {smallest} pictures at once: shapes and costs are of {smallest}."
    notes = (*run.notes, *([several] if smallest > 1 else []))
    return Architecture(_table(model, run), _totals(model, run), notes)


def _totals(model: nn.Module, run: DryRun | None) -> dict[str, int]:
    parameters, buffers = list(model.parameters()), list(model.buffers())
    totals = {
        "parameters": _numbers(parameters),
        "trainable": _numbers(_trained(parameters, _averages(model))),
        "buffers": _numbers(buffers),
        "weight_bytes": _bytes([*parameters, *buffers]),
    }
    if run is not None:
        totals |= {"multiply_adds": run.multiply_adds, "peak_activation_bytes": run.peak_bytes}
    return totals


def _table(model: nn.Module, run: DryRun | None) -> pd.DataFrame:
    total = max(_numbers(model.parameters()), 1)
    names = Counter(id(tensor) for _, tensor in model.named_parameters(remove_duplicate=False))
    layers = {name: module for name, module in model.named_modules() if name}
    averages = _averages(model)
    table = pd.DataFrame(
        [_weights(name, module, total, names, averages) for name, module in layers.items()],
        columns=[
            "name",
            "type",
            "depth",
            "settings",
            "parameters",
            "trainable",
            "share",
            "own_parameters",
            "shared",
            "buffers",
            "weight_bytes",
            "dtype",
        ],
    )
    runs = {name: _measured(name, module, run) for name, module in layers.items()}
    for column in ("input_shape", "output_shape", "note"):
        table[column] = pd.Series([row[column] for row in runs.values()], dtype=object)
    for column in ("runs", "multiply_adds", "activation_bytes"):
        table[column] = pd.array([row[column] for row in runs.values()], dtype="Int64")
    return table


def _weights(name: str, module: nn.Module, total: int, names: Counter[int],
             averages: set[int]) -> dict[str, object]:
    """A row's columns that need no run; `names` counts under how many names a tensor is found."""
    parameters, buffers = list(module.parameters()), list(module.buffers())
    own = list(module.parameters(recurse=False))
    return {
        "name": name,
        "type": layer_type(module),
        "depth": name.count(".") + 1,
        "settings": " ".join(module.extra_repr().split())[:LONGEST_SETTINGS],
        "parameters": _numbers(parameters),
        "trainable": _numbers(_trained(parameters, averages)),
        "share": _numbers(parameters) / total,
        "own_parameters": _numbers(own),
        "shared": any(names[id(tensor)] > 1 for tensor in own),
        "buffers": _numbers(buffers),
        "weight_bytes": _bytes([*parameters, *buffers]),
        "dtype": ", ".join(sorted({str(p.dtype).removeprefix("torch.") for p in parameters})),
    }


def _averages(model: nn.Module) -> set[int]:
    """The tensors, by id, that Keras keeps as weights and does not train."""
    return {id(getattr(module, name)) for module in model.modules()
            for name, variable in getattr(module, "named_variables", ())
            if not variable.trainable}


def _trained(parameters: list[nn.Parameter], averages: set[int]) -> list[nn.Parameter]:
    return [parameter for parameter in parameters if id(parameter) not in averages]


def _measured(name: str, module: nn.Module, run: DryRun | None) -> dict[str, object]:
    """A row's columns that a run gives; a list of layers, never called, costs what they do."""
    row = {
        "input_shape": None,
        "output_shape": None,
        "runs": None,
        "multiply_adds": None,
        "activation_bytes": None,
        "note": "",
    }
    if run is None:
        return row
    if (seen := run.layers.get(name)) is not None:
        return row | {
            "input_shape": seen.input_shape,
            "output_shape": seen.output_shape,
            "runs": seen.runs,
            "multiply_adds": seen.multiply_adds,
            "activation_bytes": seen.output_bytes,
            "note": _remark(seen),
        }
    inside = _outermost(name, module, run)
    if inside:
        return row | {
            "runs": 0,
            "multiply_adds": sum(part.multiply_adds for part in inside),
            "note": "Holds layers and is never called itself.",
        }
    return row | {"runs": 0, "note": "Never called for this input; one above may use its weights."}


def _outermost(name: str, module: nn.Module, run: DryRun) -> list[Run]:
    """Runs of the layers inside that ran, without those inside one that ran."""
    found: list[Run] = []
    for child, part in module.named_children():
        seen = run.layers.get(f"{name}.{child}")
        found += [seen] if seen else _outermost(f"{name}.{child}", part, run)
    return found


def _remark(seen: Run) -> str:
    if seen.output_shape is None:
        return "Gives no tensor."
    return f"Runs {seen.runs} times; the shapes are of its last run." if seen.runs > 1 else ""


def _numbers(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
