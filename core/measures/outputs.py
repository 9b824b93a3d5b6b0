"""What the layers of a network give for one example."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from core.cache import cached_result
from core.device import device, float_type, locked
from core.errors import UserError
from core.explained_errors import network_fault
from core.inference import input_spec
from core.layers import channels_first, first_tensor, layer_names, watched
from core.library import open_dataset
from core.one_pass.forward_pass import model_on_device
from core.preprocess import prepared
from core.weight_pictures import heat_map_of

MAPS, TOKENS, VECTOR = "maps", "tokens", "vector"


@dataclass(frozen=True)
class Output:
    """What a layer gave for one example, float32: maps (C, h, w), tokens (T, C), a vector (C,).

    run: from 1, which of the `runs` that the layer had. note: what of it is left out.
    """

    values: np.ndarray
    kind: str
    run: int = 1
    runs: int = 1
    note: str = ""


@cached_result
def output_of(model_id: str, dataset_id: str, example: int, layer: str, run: int = 0) -> Output:
    """What one layer gives for one example in a run of it, from 1; 0 for its last. Raises
    UserError."""
    model, runs = model_on_device(model_id), 0
    kept: dict[int, torch.Tensor] = {}

    def keep(name: str, module: nn.Module, inputs: tuple, output: Any) -> None:
        nonlocal runs
        runs += 1
        wanted = run in (0, runs)
        if wanted and (tensor := first_tensor(output)) is not None:
            kept.clear()
            kept[runs] = of_one(tensor, len(image)).clone()  # at once: it may be overwritten

    image = example_input(model, model_id, dataset_id, example)
    with run_of(model, image), watched(model, [layer], keep):
        model(image)
    if not kept:
        raise UserError(f"{_named(layer, run)} gives no numbers for this example. Choose another.")
    (number, tensor), = kept.items()
    return shown(tensor, tuple(image.shape[2:]), number, runs)


def _named(layer: str, run: int) -> str:
    return f"Run {run} of the layer {layer!r}" if run else f"The layer {layer!r}"


def of_one(output: torch.Tensor, batch: int) -> torch.Tensor:
    """The first example's part of what was given for a batch, float32 on the CPU."""
    part = output[: max(1, len(output) // batch)] if output.dim() else output
    return part.detach().float().cpu()


def shown(output: torch.Tensor, sides: tuple[int, int], run: int = 1, runs: int = 1) -> Output:
    """A tensor on the CPU as maps, tokens or a vector; sides: height and width of the input."""
    output, note = channels_first(output, *sides), ""
    if output.dim() > 3:
        if len(output) > 1:
            note = f"It gives {len(output):,} parts such as windows; this is the first."
        values, kind = output[0].flatten(2) if output.dim() > 4 else output[0], MAPS
    elif output.dim() == 3:
        values, kind = output.flatten(0, 1), TOKENS
    else:
        values, kind = output.flatten(), VECTOR
    return Output(values.contiguous().numpy(), kind, run, runs, note)


def output_heat_map(found: Output) -> tuple[np.ndarray, tuple[float, float]]:
    """Tokens by features, or a vector as one row, made small enough to draw: cells (rows, columns),
    each the mean of a block (rows, columns)."""
    drawn = heat_map_of(torch.from_numpy(np.atleast_2d(found.values)))
    return drawn.cells, drawn.block


@cached_result
def output_ranges(model_id: str, dataset_id: str, example: int) -> pd.DataFrame:
    """One row a layer and run, in the order in which they finish: layer, run (from 1), kind, shape
    (of `Output.values`), low and high (of its finite numbers, NaN where there is none)."""
    model = model_on_device(model_id)
    image = example_input(model, model_id, dataset_id, example)
    rows: list[dict[str, Any]] = []
    runs: Counter[str] = Counter()

    def keep(name: str, module: nn.Module, inputs: tuple, output: Any) -> None:
        runs[name] += 1
        if (tensor := first_tensor(output)) is not None:
            found = shown(of_one(tensor, len(image)), tuple(image.shape[2:]))
            finite = found.values[np.isfinite(found.values)]
            ends = (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)
            rows.append({"layer": name, "run": runs[name], "kind": found.kind,
                         "shape": found.values.shape, "low": ends[0], "high": ends[1]})

    with run_of(model, image), watched(model, layer_names(model), keep):
        model(image)
    return pd.DataFrame(rows, columns=["layer", "run", "kind", "shape", "low", "high"])


def example_input(model: nn.Module, model_id: str, dataset_id: str,
                  example: int) -> torch.Tensor:
    """One example as the model wants it, on its device, as often as an export insists on."""
    data = open_dataset(dataset_id)
    if not 0 <= example < len(data):
        raise UserError(f"{data.title} has no example {example}; they are numbered 0 to "
                        f"{len(data) - 1}.")
    spec, _ = input_spec(model_id, dataset_id)
    image = prepared([data.image(example)], spec)
    smallest, _ = getattr(model, "batch", (1, None))
    return image.expand(smallest, *image.shape[1:]).to(device(), float_type(model))


@contextmanager
def run_of(model: nn.Module, inputs: torch.Tensor) -> Iterator[None]:
    """Around a forward pass: alone in the model, no gradients, faults in a person's words."""
    with network_fault(inputs), locked(model), torch.no_grad():
        yield
