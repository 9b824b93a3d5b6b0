"""What the layers of a network give: for one example, and over a sample of the data."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from core import store
from core.cache import cached_result
from core.device import device, float_type, locked
from core.errors import UserError
from core.explained_errors import network_fault
from core.inference import input_spec, pass_key
from core.jobs import Progress, demand
from core.layers import channels_first, first_tensor, layer_names, watched
from core.library import open_dataset, path_of
from core.measures.unit_statistics import UnitStatistics
from core.one_pass.forward_pass import model_on_device
from core.one_pass.sampled_inputs import inputs_of, sampled
from core.preprocess import prepared
from core.weight_pictures import heat_map_of

SAMPLE = 256  # examples
MAPS, TOKENS, VECTOR = "maps", "tokens", "vector"


@dataclass(frozen=True)
class Output:
    """What a layer gave for one example, float32: maps (C, h, w), tokens (T, C), a vector (C,).

    runs: how often it ran; this is its last run. note: what of it is left out.
    """

    values: np.ndarray
    kind: str
    runs: int = 1
    note: str = ""


@cached_result
def output_of(model_id: str, dataset_id: str, example: int, layer: str) -> Output:
    """What one layer gives for one example. Raises UserError."""
    model = model_on_device(model_id)
    runs: list[torch.Tensor] = []

    def keep(name: str, module: nn.Module, inputs: tuple, output: Any) -> None:
        if (tensor := first_tensor(output)) is not None:  # at once: it may be overwritten
            runs.append(tensor.float().cpu())

    image = _image(model, model_id, dataset_id, example)
    with _run_of(model, image), watched(model, [layer], keep):
        model(image)
    if not runs:
        raise UserError(f"The layer {layer!r} gives no numbers for this example. Choose another.")
    return _shown(runs[-1], tuple(image.shape[2:]), len(runs))


def _shown(output: torch.Tensor, sides: tuple[int, int], runs: int) -> Output:
    output, note = channels_first(output, *sides), ""
    if output.dim() > 3:
        if len(output) > 1:
            note = f"It gives {len(output):,} windows of the example; this is the first."
        values, kind = output[0].flatten(2) if output.dim() > 4 else output[0], MAPS
    elif output.dim() == 3:
        values, kind = output.flatten(0, 1), TOKENS
    else:
        values, kind = output.flatten(), VECTOR
    return Output(values.contiguous().numpy(), kind, runs, note)


def output_heat_map(found: Output) -> tuple[np.ndarray, tuple[float, float]]:
    """Tokens by features, or a vector as one row, made small enough to draw: cells (rows, columns),
    each the mean of a block (rows, columns)."""
    drawn = heat_map_of(torch.from_numpy(np.atleast_2d(found.values)))
    return drawn.cells, drawn.block


@cached_result
def output_ranges(model_id: str, dataset_id: str, example: int) -> pd.DataFrame:
    """One row a layer that runs, in the order in which they finish: layer, kind, shape (of
    `Output.values`), low and high (of its finite numbers, NaN where there is none)."""
    model = model_on_device(model_id)
    image = _image(model, model_id, dataset_id, example)
    rows: dict[str, dict[str, Any]] = {}

    def keep(name: str, module: nn.Module, inputs: tuple, output: Any) -> None:
        if (tensor := first_tensor(output)) is not None:
            rows.pop(name, None)
            shown = _shown(tensor.detach().cpu().float(), tuple(image.shape[2:]), 1)
            finite = shown.values[np.isfinite(shown.values)]
            ends = (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)
            rows[name] = {"layer": name, "kind": shown.kind, "shape": shown.values.shape,
                          "low": ends[0], "high": ends[1]}

    with _run_of(model, image), watched(model, layer_names(model), keep):
        model(image)
    return pd.DataFrame(list(rows.values()), columns=["layer", "kind", "shape", "low", "high"])


def _image(model: nn.Module, model_id: str, dataset_id: str, example: int) -> torch.Tensor:
    data = open_dataset(dataset_id)
    if not 0 <= example < len(data):
        raise UserError(f"{data.title} has no example {example}; they are numbered 0 to "
                        f"{len(data) - 1}.")
    spec, _ = input_spec(model_id, dataset_id)
    image = prepared([data.image(example)], spec)
    smallest, _ = getattr(model, "batch", (1, None))
    return image.expand(smallest, *image.shape[1:]).to(device(), float_type(model))


@contextmanager
def _run_of(model: nn.Module, inputs: torch.Tensor) -> Iterator[None]:
    """Around a forward pass: alone in the model, no gradients, faults in a person's words."""
    with network_fault(inputs), locked(model), torch.no_grad():
        yield


def _key(model_id: str, dataset_id: str) -> str:
    return pass_key(model_id, dataset_id, activations=f"of {SAMPLE}, {store.code()}")


def activation_statistics(model_id: str, dataset_id: str) -> pd.DataFrame:
    """One row a layer and run, in the order of running, over a sample of the data. May raise
    Working. Columns: layer, run (from 1), and what UnitStatistics.row says; `examples`, of how
    many, is in attrs."""
    title = f"Measuring activations of {path_of(model_id).name}"
    key = _key(model_id, dataset_id)
    find = partial(store.read_json, key)
    return _table(demand(key, title, "examples", find,
                         partial(_measure, key, model_id, dataset_id)))


def measured_statistics(model_id: str, dataset_id: str | None) -> pd.DataFrame | None:
    """What `activation_statistics` gives where it was measured before, else None: no work."""
    said = store.read_json(_key(model_id, dataset_id)) if dataset_id else None
    return None if said is None else _table(said)


def _table(said: dict[str, Any]) -> pd.DataFrame:
    table = pd.DataFrame(said["rows"])
    table.attrs["examples"] = said["examples"]
    return table


def _measure(key: str, model_id: str, dataset_id: str, progress: Progress) -> None:
    rows = sampled(dataset_id, SAMPLE)
    spec, _ = input_spec(model_id, dataset_id)
    model, done = model_on_device(model_id), 0
    watch = _Watch((spec.height, spec.width))
    for part, inputs in inputs_of(model, dataset_id, spec, rows):
        watch.begin(len(inputs))
        with _run_of(model, inputs), watched(model, layer_names(model), watch.keep):
            model(inputs)
        done += len(part)
        progress(done, len(rows))
    if not done:
        raise UserError(f"No picture of {open_dataset(dataset_id).title} could be read. Choose "
                        "other data.")
    store.write_json(key, {"examples": done, "rows": watch.rows()})


class _Watch:
    """Adds up what each run of each layer gives."""

    def __init__(self, sides: tuple[int, int]) -> None:
        self.sides = sides
        self.found: dict[tuple[str, int], UnitStatistics] = {}

    def begin(self, examples: int) -> None:
        """A new batch."""
        self.examples, self.runs = examples, {}
        self.last: tuple[torch.Tensor | None, int] = (None, 0)

    def keep(self, name: str, module: nn.Module, inputs: tuple, output: Any) -> None:
        """A hook: what holds layers and passes on what the last one gave is not counted again."""
        if (tensor := first_tensor(output)) is None or not tensor.is_floating_point():
            return
        seen = tensor is self.last[0] and tensor._version == self.last[1]
        self.last = (tensor, tensor._version)
        if seen and any(True for _ in module.children()):
            return
        self.runs[name] = run = self.runs.get(name, 0) + 1
        output = channels_first(tensor, *self.sides)
        if (name, run) not in self.found:
            self.found[name, run] = UnitStatistics(module, output)
        self.found[name, run].add(output, self.examples)

    def rows(self) -> list[dict[str, Any]]:
        return [{"layer": name, "run": run} | found.row()
                for (name, run), found in self.found.items()]
