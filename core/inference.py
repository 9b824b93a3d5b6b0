"""The one pass: predictions and any layers' activations of a model on a data set, streamed to disk.

It runs once for all pages and sessions, in the background (core/jobs.py); what it gives is mapped
from disk (core/store.py), so memory stays bounded whatever the data's size.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import numpy as np
import torch
from torch import nn

from core import store
from core.batches import BatchPlan, out_of_memory
from core.cache import shared_resource
from core.card import Card, InputSpec
from core.dataset_formats import DataSet
from core.device import device, float_type, locked
from core.errors import UserError
from core.jobs import Progress, demand
from core.layers import capture, channels_first, first_tensor, layer_names
from core.library import content_of, open_dataset, open_model, path_of
from core.preprocess import completed, resized, scaled

FEATURE_LAYERS = 4  # captured with the first pass, so that maps of them need no second one
SMALLEST = 1e-12  # probabilities below it are taken for it, so that losses stay finite
DECODERS = 4
FAULTS = (
    RuntimeError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    NotImplementedError,
)  # what a forward pass raises on an input that does not suit it

# A pooling maps a layer's output (N, C, ...) or, for tokens, (N, T, C) to (N, C).
POOLINGS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "mean": lambda x: x.flatten(2).mean(2) if x.dim() > 3 else x.mean(1) if x.dim() == 3 else x,
    "max": lambda x: x.flatten(2).amax(2) if x.dim() > 3 else x.amax(1) if x.dim() == 3 else x,
}


def input_spec(model_id: str, dataset_id: str) -> tuple[InputSpec, tuple[str, ...]]:
    """How this data's pictures enter this model, and the keys that nobody has stated."""
    return completed(open_model(model_id).card.input, _first_readable(dataset_id))


@shared_resource(entries=8)
def _first_readable(dataset_id: str) -> np.ndarray:
    data = open_dataset(dataset_id)
    if len(data) == 0:
        raise UserError(f"{data.title} holds no examples. Choose other data in the sidebar.")
    for row in range(min(len(data), 100)):
        try:
            return data.image(row)
        except UserError as error:
            last = error
    raise last


@shared_resource(entries=2)
def model_on_device(model_id: str) -> nn.Module:
    """The model where it runs; the same object for all, so use it inside device.locked."""
    return open_model(model_id).module.to(device())


def pass_key(model_id: str, dataset_id: str, **more: str) -> str:
    """What a pass's results are kept by: bytes, data, and what of the card changes the numbers."""
    card = open_model(model_id).card
    spec, _ = input_spec(model_id, dataset_id)
    return store.key(
        model=content_of(model_id),
        data=content_of(dataset_id),
        architecture=card.architecture,
        input=vars(spec),
        output=card.output,
        **more,
    )


def log_probabilities(model_id: str, dataset_id: str) -> np.ndarray:
    """ln p of each class, float32 (N, K), mapped from disk; NaN where a picture was unreadable."""
    return _arrays(model_id, dataset_id, ())["log_probabilities"]


def predictions(model_id: str, dataset_id: str) -> np.ndarray:
    """Probability of each class, float32 (N, K)."""
    return np.exp(log_probabilities(model_id, dataset_id))


def activations(model_id: str, dataset_id: str, layer: str, pooling: str) -> np.ndarray:
    """A layer's pooled output, float32 (N, C), mapped from disk."""
    return _arrays(model_id, dataset_id, ((layer, pooling),))["activations"]


def feature_layers(model: nn.Module) -> list[str]:
    """The last few stages before the output: where what a network tells apart takes shape."""
    stages, prefix = list(model.named_children()), ""
    while len(stages) == 1 and len(list(stages[0][1].children())) > 1:
        prefix += f"{stages[0][0]}."
        stages = list(stages[0][1].named_children())
    return [prefix + name for name, _ in stages][:-1][-FEATURE_LAYERS:]


def _arrays(
    model_id: str, dataset_id: str, layers: tuple[tuple[str, str], ...]
) -> Mapping[str, np.ndarray]:
    """What is kept of the pass; with a layer, that layer's arrays. May raise Working."""
    layer = {"layer": layers[0][0], "pooling": layers[0][1]} if layers else {}
    if layer and layer["layer"] not in layer_names(open_model(model_id).module):
        raise UserError(f"This network has no layer {layer['layer']!r}. Choose one from the list.")
    key = pass_key(model_id, dataset_id, **layer)
    model = open_model(model_id).card.title or path_of(model_id).name
    title = f"Running {model} on {open_dataset(dataset_id).title}"
    return demand(
        key,
        title,
        "examples",
        partial(store.read, key),
        partial(_run, model_id, dataset_id, layers),
    )


def _run(
    model_id: str, dataset_id: str, layers: tuple[tuple[str, str], ...], progress: Progress
) -> None:
    """The pass itself; it leaves one result for the predictions and one for each layer."""
    model, data, card = (
        model_on_device(model_id),
        open_dataset(dataset_id),
        open_model(model_id).card,
    )
    spec, _ = input_spec(model_id, dataset_id)
    wanted = layers or tuple((name, "mean") for name in feature_layers(model))
    keys = {
        name: pass_key(model_id, dataset_id, layer=name, pooling=pooling)
        for name, pooling in wanted
    }
    with ExitStack() as results, _Decoder(data, spec) as decoder:
        files = {"": results.enter_context(store.writing(pass_key(model_id, dataset_id)))}
        arrays: dict[str, np.ndarray] = {}
        pools = {name: POOLINGS[pooling] for name, pooling in wanted}
        for start, outputs in batches(model, decoder, len(data), pools, progress):
            for name, values in outputs.items():
                if name == "":
                    values = log_probabilities_of(values, card)
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
    model: nn.Module, decoder: "_Decoder", examples: int, pools: dict, progress: Progress
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """(first row, {"": outputs (n, K), layer: pooled activations (n, C)}) in order of rows.

    The batch size is found on the way, by timing the first batches (core/batches.py).
    """
    plan, start = BatchPlan(model, examples), 0
    kind, place = float_type(model), device()
    progress(0, examples)
    while start < examples:
        size = min(plan.size, examples - start)
        inputs = _filled(decoder.take(start, size), plan.fixed)
        try:
            with plan.timed(size):
                outputs = _forward(model, inputs.to(place, kind, memory_format=plan.layout), pools)
        except UserError as error:  # a frozen graph says by itself what failed
            if plan.recovers(error):
                continue
            raise
        except FAULTS as error:
            if plan.recovers(error):
                continue
            raise UserError(_does_not_run(error, inputs)) from error
        yield start, {name: values[:size] for name, values in outputs.items()}
        start += size
        progress(start, examples)


def _does_not_run(error: Exception, inputs: torch.Tensor) -> str:
    """Why a batch failed, in one sentence, and what to do."""
    shape = " × ".join(map(str, inputs.shape[1:]))
    if out_of_memory(error):
        return f"There is too little memory on this device for even one input of {shape}."
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
    return (
        f"The network does not run on an input of {shape}: {reason}. Correct the input's size and "
        "channels in the model card."
    )


def _filled(inputs: torch.Tensor, size: int | None) -> torch.Tensor:
    """The last batch of a network that takes one size only, filled with copies of its last row."""
    missing = (size or 0) - len(inputs)
    return (
        torch.cat([inputs, inputs[-1:].expand(missing, *inputs.shape[1:])])
        if missing > 0
        else inputs
    )


def _forward(model: nn.Module, inputs: torch.Tensor, pools: dict) -> dict[str, np.ndarray]:
    captured: dict[str, torch.Tensor] = {}
    sides = inputs.shape[2:]
    with locked(model), torch.inference_mode(), ExitStack() as hooks:
        held = [
            hooks.enter_context(
                capture(model, [name], lambda x, pool=pool: pool(channels_first(x, *sides)))
            )
            for name, pool in pools.items()
        ]
        output = first_tensor(model(inputs))
        for part in held:
            captured |= part
    if output is None or output.dim() < 2 or len(output) != len(inputs):
        shape = None if output is None else tuple(output.shape)
        raise UserError(
            f"The network's output has the shape {shape}; a classifier gives (examples, "
            "classes). Netlens reads image classifiers."
        )
    rows = {"": output.flatten(1)} | {
        n: t.flatten(1) for n, t in captured.items() if len(t) == len(inputs)
    }
    return {name: tensor.float().cpu().numpy() for name, tensor in rows.items()}


def log_probabilities_of(outputs: np.ndarray, card: Card) -> np.ndarray:
    """ln p, float32 (N, K), from raw outputs (N, K) by what the card says they mean.

    One output alone is the probability, or the logit, of the second of two classes.
    """
    x = outputs.astype(np.float64)
    if card.output in ("probabilities", "sigmoid"):
        logs = np.log(np.clip(np.hstack([1 - x, x]) if x.shape[1] == 1 else x, SMALLEST, 1))
    elif card.output == "log_probabilities":
        logs = x
    else:
        x = np.hstack([np.zeros_like(x), x]) if x.shape[1] == 1 else x
        top = x.max(1, keepdims=True)
        logs = x - top - np.log(np.exp(x - top).sum(1, keepdims=True))
    return np.maximum(logs, np.log(SMALLEST)).astype(np.float32)


class _Decoder:
    """Decodes ahead while the network computes; remembers what was unreadable."""

    def __init__(self, data: DataSet, spec: InputSpec) -> None:
        self.data, self.spec = data, spec
        self.bad: dict[int, str] = {}
        self.ahead: dict[int, object] = {}
        self.lock = threading.Lock()

    def __enter__(self) -> "_Decoder":
        self.pool = ThreadPoolExecutor(DECODERS, thread_name_prefix="netlens-decode")
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)

    def take(self, start: int, size: int) -> torch.Tensor:
        """Inputs of rows start … start + size, float32 (size, C, H, W)."""
        rows = range(start, start + size)
        futures = [
            self.ahead.pop(row, None) or self.pool.submit(self._picture, row) for row in rows
        ]
        following = range(start + size, min(start + 3 * size, len(self.data)))
        pictures = [future.result() for future in futures]
        for row in following:
            if row not in self.ahead:
                self.ahead[row] = self.pool.submit(self._picture, row)
        return scaled(pictures, self.spec)

    def unreadable(self, start: int, size: int) -> np.ndarray:
        """Positions in the batch of pictures that could not be read."""
        return np.array([row - start for row in self.bad if start <= row < start + size], dtype=int)

    def _picture(self, row: int) -> np.ndarray:
        try:
            return resized(
                self.data.image(row), self.spec
            )  # here, so that large pictures do not wait
        except UserError as error:
            self.bad[row] = str(error)
            return np.zeros((self.spec.height, self.spec.width, self.spec.channels), np.uint8)
