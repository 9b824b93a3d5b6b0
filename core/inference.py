"""The one pass: predictions and any layers' activations of a model on a data set.

It runs once for all pages and sessions, in the background (core/jobs.py, core/one_pass).
What it gives is mapped from disk (core/store.py), so memory stays bounded whatever the data's size,
and what is kept is read without waking torch.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core import library, store
from core.cache import shared_resource
from core.card import Card, InputSpec
from core.errors import UserError
from core.jobs import Progress, demand
from core.library import open_dataset
from core.model_facts import model_facts
from core.places import content_of, path_of
from core.preprocess import completed
from core.trusted_code import code_digest
from core.weight_files.missing_network import MissingNetworkError

if TYPE_CHECKING:
    import torch

NO_CLASSES = (
    "This network has no classes: it ends in features, so nothing is predicted and nothing is "
    "right or wrong. See its layers on the pages Architecture and Embeddings; for predictions, "
    "open a file that was saved with the last layer, which gives the classes."
)
SOME = 8  # names in a message
SMALLEST = 1e-12  # probabilities below it are taken for it, so that losses stay finite
# A pooling maps a layer's output (N, C, ...) or, for tokens, (N, T, C) to (N, C).
POOLINGS: dict[str, Callable[["torch.Tensor"], "torch.Tensor"]] = {
    "mean": lambda x: x.flatten(2).mean(2) if x.dim() > 3 else x.mean(1) if x.dim() == 3 else x,
    "max": lambda x: x.flatten(2).amax(2) if x.dim() > 3 else x.amax(1) if x.dim() == 3 else x,
}


def dataset_for(model_id: str, path: Path, limit: int | None = None, first: bool = False) -> str:
    """The id of a data set as this model takes it: rows of numbers whose shape no file says are
    pictures of the shape of its input. May raise Working."""
    if open_dataset(library.dataset_id(path)).flat is None:
        return library.dataset_id(path, limit, first)
    spec = model_facts(model_id).card.input
    shape = (spec.channels, spec.height, spec.width)
    return library.dataset_id(path, limit, first, None if None in shape else shape)


def input_spec(model_id: str, dataset_id: str) -> tuple[InputSpec, tuple[str, ...]]:
    """How this data's pictures enter this model, and the keys that nobody has stated."""
    return completed(model_facts(model_id).card.input, _first_readable(dataset_id))


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


def pass_key(model_id: str, dataset_id: str, **more: str) -> str:
    """What a pass's results are kept by: bytes, data, and what of the card changes the numbers."""
    card = model_facts(model_id).card
    spec, _ = input_spec(model_id, dataset_id)
    return store.key(
        model=content_of(model_id),
        data=content_of(dataset_id),
        architecture=card.architecture,
        **({"code": digest} if (digest := code_digest(card.architecture)) else {}),
        input=asdict(spec),
        output=card.output,
        **more,
    )


def log_probabilities(model_id: str, dataset_id: str) -> np.ndarray:
    """ln p of each class, float32 (N, K), mapped from disk; NaN where a picture was unreadable.
    Raises UserError for a network without classes."""
    _check_classes(model_facts(model_id).card)
    return _arrays(model_id, dataset_id, ())["log_probabilities"]


def answered(model_id: str, dataset_id: str) -> np.ndarray:
    """Whether the network gave numbers for each example, bool (N,): not for unreadable ones."""
    return ~np.isnan(_arrays(model_id, dataset_id, ())["log_probabilities"][:, 0])


def predictions(model_id: str, dataset_id: str) -> np.ndarray:
    """Probability of each class, float32 (N, K)."""
    return np.exp(log_probabilities(model_id, dataset_id))


def activations(model_id: str, dataset_id: str, layer: str, pooling: str) -> np.ndarray:
    """A layer's pooled output, float32 (N, C), mapped from disk."""
    return _arrays(model_id, dataset_id, ((layer, pooling),))["activations"]


def _arrays(
    model_id: str, dataset_id: str, layers: tuple[tuple[str, str], ...]
) -> Mapping[str, np.ndarray]:
    """What is kept of the pass; with a layer, that layer's arrays. May raise Working."""
    layer = {"layer": layers[0][0], "pooling": layers[0][1]} if layers else {}
    facts = model_facts(model_id)
    if facts.weights_only:
        raise MissingNetworkError(path_of(model_id).name, _one_input(model_id, dataset_id))
    if layer:
        check_layer(model_id, layer["layer"])
    key = pass_key(model_id, dataset_id, **layer)
    model = facts.card.title or path_of(model_id).name
    title = f"Running {model} on {open_dataset(dataset_id).title}"
    return demand(
        key,
        title,
        "examples",
        partial(store.read, key),
        partial(_run, model_id, dataset_id, layers),
    )


def check_layer(model_id: str, layer: str) -> None:
    """Raises UserError that lists a few layers where the network has none of this name."""
    layers = model_facts(model_id).layers
    if layer not in layers:
        some = ", ".join(layers[-SOME:])
        raise UserError(f"This network has no layer {layer!r}. Its last ones are {some}.")


def _one_input(model_id: str, dataset_id: str) -> tuple[int, ...]:
    spec, _ = input_spec(model_id, dataset_id)
    return (1, spec.channels, spec.height, spec.width)


def _run(
    model_id: str, dataset_id: str, layers: tuple[tuple[str, str], ...], progress: Progress
) -> None:
    """The pass, and with it torch."""
    from core.one_pass.forward_pass import run_pass

    run_pass(model_id, dataset_id, layers, progress)


def log_probabilities_of(outputs: np.ndarray, card: Card) -> np.ndarray:
    """ln p, float32 (N, K), from raw outputs (N, K) by what the card says they mean.

    One output alone is the probability, or the logit, of the second of two classes. Raises
    UserError where they are no classes.
    """
    _check_classes(card)
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


def kept_of(outputs: np.ndarray, card: Card) -> np.ndarray:
    """What the pass keeps of raw outputs: ln p (N, K); of features only that there are some, as
    the certain answer of one class (N, 1)."""
    if card.has_classes:
        return log_probabilities_of(outputs, card)
    return np.zeros((len(outputs), 1), np.float32)


def _check_classes(card: Card) -> None:
    if not card.has_classes:
        raise UserError(NO_CLASSES)
