"""Architecture: every layer of a network, its shapes, its parameters and what it costs."""

from dataclasses import dataclass

import pandas as pd
from torch import nn

from core.cache import cached_result
from core.device import locked
from core.errors import UserError
from core.input_shape import input_shape
from core.layers import layer_type
from core.library import open_outline
from core.measures.dry_run import DryRun, Peak, Run, Shape, dry_run, peak
from core.measures.parameter_counts import (
    numbers,
    said_trainable,
    size,
    trained,
    unique,
    weight_rows,
)
from core.weight_files.weights_only import WeightsOnly

COLUMNS = ["name", "type", "depth", "settings", "parameters", "trainable", "share",
           "own_parameters", "same_as", "buffers", "weight_bytes", "dtype", "is_tensor"]
GROUP = "Group"  # the type of a row of weights alone: what their names have in common
NOT_RUN = {
    "input_shape": None,
    "output_shape": None,
    "runs": None,
    "multiply_adds": None,
    "activation_bytes": None,
    "note": "",
}
UNKNOWN_SIZE = (
    "The size of the input is not known, so shapes and costs are missing. Give height "
    "and width in the sidebar, or choose data."
)


@dataclass(frozen=True)
class Architecture:
    """What a network is made of. Where it cannot be run, what a run would tell is missing, `notes`
    says why, and `code` holds lines to copy that may help.

    table: one row a layer in the order of definition, and one for each parameter beside layers.
      name, type, depth (1 is the outermost), settings (as torch prints them).
      parameters, buffers, weight_bytes: of the layer and what is inside it, each tensor once;
      dtype: of the parameters; trainable: missing where the file does not say.
      own_parameters: of the row alone, without those of a row before it: they add up to the
      network's. share: of those and the ones inside it, 0 to 1.
      same_as: names of what has the same weights, or is the same layer. is_tensor: a parameter.
      input_shape, output_shape: of the first tensor, with 1 example; runs: 0 where never called.
      multiply_adds, activation_bytes: for one example, with what is inside the layer.
      note: why a row's shapes are missing or are not the whole story.
    totals: parameters, trainable (where the file says it), buffers, parameter_bytes, weight_bytes
      (both), and of a run multiply_adds and peak_activation_bytes.
    output_shape: of the whole network, with 1 example. is_network: else these are weights alone,
    and the rows are groups of them.
    """

    table: pd.DataFrame
    totals: dict[str, int]
    notes: tuple[str, ...] = ()
    code: str = ""
    output_shape: Shape | None = None
    is_network: bool = True


@cached_result
def architecture(model_id: str, dataset_id: str | None = None) -> Architecture:
    """The network behind an id, for an input of the size that its card gives, else its data."""
    return architecture_of(open_outline(model_id).module, input_shape(model_id, dataset_id))


@cached_result
def peak_memory(model_id: str, dataset_id: str | None, batch: int) -> Peak:
    """What of a batch must be in memory at once. Raises UserError where the network cannot run."""
    known = architecture(model_id, dataset_id).totals.get("peak_activation_bytes")
    if batch == 1 and known is not None:
        return Peak(known, batch)
    shape = input_shape(model_id, dataset_id)
    if shape is None:
        raise UserError(UNKNOWN_SIZE)
    return peak(open_outline(model_id).module, shape, batch)


def model_type(model_id: str) -> str:
    """The class of the whole network."""
    return layer_type(open_outline(model_id).module)


def architecture_of(model: nn.Module, input_shape: Shape | None) -> Architecture:
    """The table of `model`, measured with an input of that shape (1, C, H, W)."""
    if input_shape is None and not isinstance(model, WeightsOnly):
        return Architecture(_table(model, None), _totals(model, None), (UNKNOWN_SIZE,))
    try:
        run = dry_run(model, input_shape or ())  # weights only say so whatever the input
    except UserError as error:
        code = getattr(error, "code", "")
        said = str(error).removesuffix(code).rstrip()
        return Architecture(_table(model, None), _totals(model, None), (said,), code,
                            is_network=not isinstance(model, WeightsOnly))
    smallest = getattr(model, "batch", (1, None))[0]  # of an export
    several = f"This export takes {smallest} pictures at once: shapes and costs are of {smallest}."
    notes = (*run.notes, *([several] if smallest > 1 else []))
    return Architecture(_table(model, run), _totals(model, run), notes,
                        output_shape=run.output_shape)


def _totals(model: nn.Module, run: DryRun | None) -> dict[str, int]:
    with locked(model):  # a dry run lends the model other tensors for a while
        parameters, buffers = unique(model.parameters()), unique(model.buffers())
        learned = trained(parameters, said_trainable(model))
    totals = {
        "parameters": numbers(parameters),
        "buffers": numbers(buffers),
        "parameter_bytes": size(parameters),
        "weight_bytes": size([*parameters, *buffers]),
    }
    if learned is not None:
        totals["trainable"] = learned
    if run is not None:
        totals |= {"multiply_adds": run.multiply_adds, "peak_activation_bytes": run.peak_bytes}
    return totals


def _table(model: nn.Module, run: DryRun | None) -> pd.DataFrame:
    with locked(model):
        rows = weight_rows(model)
    table = pd.DataFrame(rows, columns=COLUMNS)
    if isinstance(model, WeightsOnly):
        table["type"] = table["type"].where(table["is_tensor"].astype(bool), GROUP)
    table["trainable"] = table["trainable"].astype("Int64")
    table["is_tensor"] = table["is_tensor"].astype(bool)
    modules = dict(model.named_modules())
    seen = [NOT_RUN if row["is_tensor"] else _measured(row["name"], modules[row["name"]], run)
            for row in rows]
    for column in ("input_shape", "output_shape", "note"):
        table[column] = pd.Series([row[column] for row in seen], dtype=object)
    for column in ("runs", "multiply_adds", "activation_bytes"):
        table[column] = pd.array([row[column] for row in seen], dtype="Int64")
    return table


def _measured(name: str, module: nn.Module, run: DryRun | None) -> dict[str, object]:
    """A row's columns that a run gives; a list of layers, never called, costs what they do."""
    if run is None:
        return NOT_RUN
    if (seen := run.layers.get(name)) is not None:
        return NOT_RUN | {
            "input_shape": seen.input_shape,
            "output_shape": seen.output_shape,
            "runs": seen.runs,
            "multiply_adds": seen.multiply_adds,
            "activation_bytes": seen.output_bytes,
            "note": _remark(seen),
        }
    inside = _outermost(name, module, run)
    if inside:
        return NOT_RUN | {
            "runs": 0,
            "multiply_adds": sum(part.multiply_adds for part in inside),
            "note": "Holds layers and is never called itself.",
        }
    return NOT_RUN | {
        "runs": 0, "note": "Never called for this input; one above may use its weights."}


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
