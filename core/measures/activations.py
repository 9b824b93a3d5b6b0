"""What the layers of a network give over a sample of the data."""

from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import nn

from core import store
from core.errors import UserError
from core.inference import input_spec, pass_key
from core.jobs import Progress, demand
from core.layers import channels_first, first_tensor, layer_names, watched
from core.library import open_dataset
from core.measures.outputs import run_of
from core.measures.unit_statistics import UnitStatistics
from core.one_pass.forward_pass import model_on_device
from core.one_pass.sampled_inputs import inputs_of, sampled
from core.places import path_of

SAMPLE = 256  # examples


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
        with run_of(model, inputs), watched(model, layer_names(model), watch.keep):
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
