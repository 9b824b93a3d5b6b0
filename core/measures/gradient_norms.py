"""How much of the loss's gradient reaches the weights of each layer."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from core import store
from core.device import locked
from core.errors import UserError
from core.explained_errors import network_fault
from core.inference import SMALLEST, input_spec, pass_key
from core.jobs import Progress, demand
from core.labels import UNKNOWN, match_labels
from core.layers import first_tensor, layer_names, layer_type, watched
from core.library import open_dataset
from core.model_facts import model_facts
from core.one_pass.forward_pass import model_on_device
from core.one_pass.sampled_inputs import inputs_of, sampled
from core.places import path_of

SAMPLE = 32  # labelled examples
AT_ONCE = 8  # examples; their gradients are added up
FAR = 1000  # times the gradient of the last layer, or that part of it, is marked
Gradients = dict[str, torch.Tensor]


def gradient_norms(model_id: str, dataset_id: str) -> pd.DataFrame:
    """One row a layer with weights of its own, in the order of running, of the mean cross-entropy
    of a sample. May raise Working; UserError without labels.

    layer ("" is the network itself), type; gradient, weight: Euclidean norms; mark: see `marks`.
    attrs: examples, loss (nats).
    """
    key = pass_key(model_id, dataset_id, gradients=f"of {SAMPLE}, {store.code()}")
    title = f"Gradients of {path_of(model_id).name}"
    said = demand(key, title, "examples", partial(store.read_json, key),
                  partial(_measure, key, model_id, dataset_id))
    table = pd.DataFrame(said["rows"], columns=["layer", "type", "gradient", "weight"])
    table["mark"] = marks(table["gradient"].to_numpy(float))
    table.attrs |= {"examples": said["examples"], "loss": said["loss"]}
    return table


def marks(norms: np.ndarray) -> list[str]:
    """Beside the last layer that has a gradient, from where it flows back: vanishing is less than
    1 / FAR of it, exploding more than FAR times it; none: 0 or not reached; not finite; else empty.
    """
    known = norms[np.isfinite(norms) & (norms > 0)]
    last = float(known[-1]) if len(known) else 0.0
    return [_mark(float(norm), last) for norm in norms]


def _mark(norm: float, last: float) -> str:
    if not np.isfinite(norm):
        return "not finite"
    if norm == 0:
        return "none"
    if norm * FAR < last:
        return "vanishing"
    return "exploding" if norm > FAR * last else ""


def loss_sum(outputs: torch.Tensor, labels: torch.Tensor, meaning: str | None) -> torch.Tensor:
    """Cross-entropy in nats, added over the examples, of raw outputs (N, K) by what the card says
    they mean; one output alone is of the second of two classes."""
    if meaning in ("probabilities", "sigmoid"):
        both = torch.cat([1 - outputs, outputs], 1) if outputs.shape[1] == 1 else outputs
        logs = both.clamp(SMALLEST, 1).log()
    elif meaning == "log_probabilities":
        logs = outputs
    else:
        one = outputs.shape[1] == 1
        both = torch.cat([torch.zeros_like(outputs), outputs], 1) if one else outputs
        logs = both.log_softmax(1)
    return -logs.gather(1, labels[:, None]).sum()


def _measure(key: str, model_id: str, dataset_id: str, progress: Progress) -> None:
    rows = sampled(dataset_id, SAMPLE, labelled=True)
    spec, _ = input_spec(model_id, dataset_id)
    model, card = model_on_device(model_id), model_facts(model_id).card
    data, order = open_dataset(dataset_id), dict[str, None]()
    sums: Gradients = {}
    done, loss = 0, 0.0
    for part, inputs in inputs_of(model, dataset_id, spec, rows, AT_ONCE):
        def wanted(outputs: torch.Tensor, part: np.ndarray = part) -> torch.Tensor | None:
            truth = match_labels(outputs.shape[1], card.class_names, data.class_names, data.labels)
            labels = torch.from_numpy(truth.labels[part]).to(outputs.device)
            known = labels != UNKNOWN
            nonlocal done
            done += int(known.sum())
            return loss_sum(outputs[known], labels[known], card.output) if known.any() else None

        found, value = gradients(model, inputs, wanted, order)
        loss += value
        for name, gradient in found.items():
            sums[name] = sums[name] + gradient if name in sums else gradient
        progress(int(np.searchsorted(rows, part[-1])) + 1, len(rows))
    if not done:
        raise UserError("No label of the sample is a class of this model, so it has no loss. "
                        "Correct the class names in the model card.")
    table = list(_rows(model, sums, done, order))
    store.write_json(key, {"examples": done, "loss": loss / done, "rows": table})


def gradients(model: nn.Module, inputs: torch.Tensor, loss_of: Any,
              order: dict[str, None]) -> tuple[Gradients, float]:
    """Of a loss with respect to each parameter, by its first name, where it has any part in it;
    and the loss. `loss_of`: outputs (N, K) to a sum, or None; `order` receives the layers as they
    finish. The network is in evaluation mode."""
    named = {n: p for n, p in model.named_parameters() if p.is_floating_point()}

    def ran(name: str, *seen: Any) -> None:
        order.setdefault(name)

    with (network_fault(inputs), locked(model), _recording(list(named.values())),
          watched(model, layer_names(model), ran)):
        output = first_tensor(model(inputs))
        loss = None if output is None else loss_of(output.flatten(1).float())
        if loss is None:
            return {}, 0.0
        if not loss.requires_grad:
            raise UserError("This network cannot be differentiated: nothing links its weights to "
                            "its output. Open its state dict instead.")
        found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    kept = {name: gradient for name, gradient in zip(named, found, strict=True)
            if gradient is not None}
    return kept, float(loss.detach())


@contextmanager
def _recording(parameters: list[nn.Parameter]) -> Iterator[None]:
    """Gradients reach these parameters; afterwards they are frozen or not, as before."""
    before = [parameter.requires_grad for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.requires_grad_(True)
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):  # it wants training
            yield
    finally:
        for parameter, frozen in zip(parameters, before, strict=True):
            parameter.requires_grad_(frozen)


def _rows(model: nn.Module, sums: Gradients, examples: int,
          order: dict[str, None]) -> Iterator[dict[str, Any]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    modules = dict(model.named_modules())
    places = {name: place for place, name in enumerate(order)}
    with locked(model):
        for layer in sorted(modules, key=lambda name: places.get(name, len(places))):
            own = [p for p in modules[layer].parameters(recurse=False) if id(p) in names
                   and p.is_floating_point()]
            if own:
                reached = [sums[names[id(p)]] for p in own if names[id(p)] in sums]
                yield {"layer": layer, "type": layer_type(modules[layer]), "gradient":
                       _norm(reached) / examples, "weight": _norm(own)}


def _norm(tensors: list[torch.Tensor]) -> float:
    squares = [tensor.detach().to("cpu", torch.float64).square().sum() for tensor in tensors]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0
