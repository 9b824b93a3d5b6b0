"""The pass itself: batches through a network, and what comes out, on disk from the first byte."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from torch import nn

from core import store
from core.cache import shared_resource
from core.device import device, float_type, locked
from core.errors import UserError
from core.explained_errors import FAULTS, why_it_failed
from core.inference import POOLINGS, input_spec, kept_of, pass_key
from core.jobs import Progress
from core.layers import channels_first, first_tensor, watched
from core.library import open_dataset, open_model
from core.model_facts import model_facts
from core.one_pass.batches import BatchPlan
from core.one_pass.decoder import Decoder
from core.one_pass.workers import Workers, workers

BATCHES_AHEAD = 2  # decoded while the network computes, or as many as it runs at once


@shared_resource(entries=2)
def model_on_device(model_id: str) -> nn.Module:
    """The model where it runs; the same object for all, so use it inside device.locked."""
    return open_model(model_id).module.to(device())


def run_pass(
    model_id: str, dataset_id: str, layers: tuple[tuple[str, str], ...], progress: Progress
) -> None:
    """The pass itself; it leaves one result for the predictions and one for each layer."""
    model, data, card = (
        model_on_device(model_id),
        open_dataset(dataset_id),
        open_model(model_id).card,
    )
    spec, _ = input_spec(model_id, dataset_id)
    wanted = layers or tuple((name, "mean") for name in model_facts(model_id).feature_layers)
    keys = {
        name: pass_key(model_id, dataset_id, layer=name, pooling=pooling)
        for name, pooling in wanted
    }
    with ExitStack() as results, Decoder(data, spec) as decoder:
        files = {"": results.enter_context(store.writing(pass_key(model_id, dataset_id)))}
        arrays: dict[str, np.ndarray] = {}
        pools = {name: POOLINGS[pooling] for name, pooling in wanted}
        for start, outputs in batches(model, decoder, len(data), pools, progress):
            for name, values in outputs.items():
                if name == "":
                    values = kept_of(values, card)
                    values[decoder.unreadable(start, len(values))] = np.nan
                if name not in arrays:
                    file = files.setdefault(name, None) or results.enter_context(
                        store.writing(keys[name])
                    )
                    label = "activations" if name else "log_probabilities"
                    arrays[name] = file.array(label, (len(data), *values.shape[1:]), "float32")
                arrays[name][start : start + len(values)] = values
        if lost := [name for name, _ in layers if name not in arrays]:
            raise UserError(
                f"The layer {lost[0]} does not give one row for each example. Choose another layer."
            )


def batches(
    model: nn.Module, decoder: Decoder, examples: int, pools: dict, progress: Progress
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """(first row, {"": outputs (n, K), layer: pooled activations (n, C)}) in order of rows.

    The batch size is found on the way, by timing the first batches (core/one_pass/batches.py).
    """
    with workers() as team:
        plan, kind, start = BatchPlan(model, examples, team.count), float_type(model), 0
        progress(0, examples)
        while start < examples:
            end = min(start + plan.size * plan.batches, examples)
            rows = [range(first, min(first + plan.size, end))
                    for first in range(start, end, plan.size)]
            ahead = plan.size * max(BATCHES_AHEAD, plan.batches)
            parts = [decoder.take(part.start, len(part), ahead) for part in rows]
            try:
                with plan.timed(end - start):
                    found = _forward(model, kind, decoder, parts, plan, pools, team)
            except UserError as error:  # a frozen graph says by itself what failed
                if plan.recovers(error):
                    continue
                raise
            except FAULTS as error:
                if plan.recovers(error):
                    continue
                raise UserError(why_it_failed(error, decoder.inputs(parts[0]))) from error
            yield start, _joined(found, end - start)
            start = end
            progress(start, examples)


def _joined(found: list[dict[str, np.ndarray]], examples: int) -> dict[str, np.ndarray]:
    """What all batches of a round have, in order of rows, without what filled the last of them."""
    names = [name for name in found[0] if all(name in outputs for outputs in found)]
    return {name: np.concatenate([outputs[name] for outputs in found])[:examples] for name in names}


def _filled(inputs: torch.Tensor, size: int | None) -> torch.Tensor:
    """The last batch of a network that takes one size only, filled with copies of its last row."""
    missing = (size or 0) - len(inputs)
    return (
        torch.cat([inputs, inputs[-1:].expand(missing, *inputs.shape[1:])])
        if missing > 0
        else inputs
    )


def _forward(
    model: nn.Module,
    kind: torch.dtype,
    decoder: Decoder,
    parts: list,
    plan: BatchPlan,
    pools: dict,
    team: Workers,
) -> list[dict[str, np.ndarray]]:
    """For each part its outputs and pooled activations, as `batches` gives them."""
    place, running = device(), threading.local()

    def seen(name: str, layer: nn.Module, given: tuple, output: Any) -> None:
        if (tensor := first_tensor(output)) is not None:  # at once: it may be overwritten in place
            running.pooled[name] = pools[name](channels_first(tensor, *running.sides))

    def run(part: Any) -> dict[str, np.ndarray]:
        inputs = _filled(decoder.inputs(part), plan.fixed)
        running.pooled, running.sides = {}, inputs.shape[2:]
        with torch.inference_mode():
            inputs = inputs.to(place, kind, memory_format=plan.layout)
            return _rows(first_tensor(model(inputs)), running.pooled, len(inputs))

    with locked(model), watched(model, pools, seen):
        return team.run(run, parts)


def _rows(
    output: torch.Tensor | None, pooled: dict[str, torch.Tensor], examples: int
) -> dict[str, np.ndarray]:
    if output is None or output.dim() < 2 or len(output) != examples:
        shape = None if output is None else tuple(output.shape)
        raise UserError(
            f"The network's output has the shape {shape}; a classifier gives (examples, "
            "classes). Netlens reads image classifiers."
        )
    rows = {"": output.flatten(1)} | {
        name: tensor.flatten(1) for name, tensor in pooled.items() if len(tensor) == examples
    }
    return {name: tensor.float().cpu().numpy() for name, tensor in rows.items()}
