"""What a network is made of: measured on the network itself, by running it without numbers."""

import pandas as pd
from torch import nn

from core.device import locked
from core.errors import UserError
from core.layers import layer_type
from core.measures.architecture_record import UNKNOWN_SIZE, Architecture
from core.measures.dry_run import DryRun, Run, Shape, dry_run
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


def architecture_of(model: nn.Module, input_shape: Shape | None) -> Architecture:
    """The table of `model`, measured with an input of that shape (1, C, H, W)."""
    weights_only = isinstance(model, WeightsOnly)
    run, notes, code = None, (UNKNOWN_SIZE,), ""
    if input_shape is not None or weights_only:
        try:
            run = dry_run(model, input_shape or ())  # weights only say so whatever the input
            notes = (*run.notes, *_batch_note(model))
        except UserError as error:
            code = getattr(error, "code", "")
            notes = (str(error).removesuffix(code).rstrip(),)
    return Architecture(_table(model, run), _totals(model, run), layer_type(model), input_shape,
                        notes, code, run.output_shape if run else None, not weights_only)


def _batch_note(model: nn.Module) -> list[str]:
    smallest = getattr(model, "batch", (1, None))[0]  # of an export
    said = f"This export takes {smallest} pictures at once: shapes and costs are of {smallest}."
    return [said] if smallest > 1 else []


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
