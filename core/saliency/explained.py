"""One explanation: the method's map, the prediction, and how far the map is to be trusted."""

import numpy as np
import torch
from torch import nn

from core.card import Card
from core.deletion import blurred, deletion_score, most_first, random_deletion_score
from core.device import device, float_type, locked
from core.errors import UserError
from core.inference import input_spec, log_probabilities_of
from core.layers import capture, differentiable, first_tensor, layer_type
from core.layers import layer as layer_called
from core.library import open_dataset, open_model
from core.one_pass.forward_pass import model_on_device
from core.plugins import discover
from core.preprocess import prepared
from core.saliency import Explanation, Method
from core.saliency.maps import as_maps, map_layers
from core.saliency.score import target_score

TOP = 5  # classes that a prediction names
LARGEST_BATCH = 16
LAST_LAYERS = 48  # that are looked at for one that shows places


def methods() -> dict[str, Method]:
    """Every method with what it does, by the name that links and the command line use."""
    return discover("core.saliency", "METHOD")


def explained(model_id: str, dataset_id: str, example: int, method: str, target: int | None,
              layer: str | None, options: dict[str, float]) -> Explanation:
    """What core.explain.explanation keeps."""
    chosen = methods()[method]
    model, card = model_on_device(model_id), open_model(model_id).card
    image = model_input(model_id, dataset_id, example)
    logs = class_log_probabilities(model, card, image)[0]
    best = np.argsort(-logs, kind="stable")[:TOP]
    target = int(best[0]) if target is None else target
    unit, notes = _output_of(model, image, target)
    if chosen.needs_layer and layer is None:
        layer = default_layer(model, image, unit)
    if (reason := chosen.applies_to(model, layer, image)) is not None:
        raise UserError(reason)
    settings = {name: option.default for name, option in chosen.options.items()} | options
    saliency = chosen.explain(model, image, unit, layer, settings)
    trust, said = _trust(model, card, image, target, saliency)
    values = saliency.cpu().numpy()
    prediction = tuple((int(k), float(np.exp(logs[k]))) for k in best)
    return Explanation(values, method, layer, target, prediction,
                       float(values.sum(dtype=np.float64)), float(values.min()),
                       float(values.max()), *trust, (*notes, *said))


def model_input(model_id: str, dataset_id: str, example: int) -> torch.Tensor:
    """An example as the network gets it, (1, C, H, W) on its device."""
    data, model = open_dataset(dataset_id), model_on_device(model_id)
    if not 0 <= example < len(data):
        raise UserError(f"{data.title} has no example {example}; they are numbered 0 to "
                        f"{len(data) - 1}.")
    spec, _ = input_spec(model_id, dataset_id)
    return prepared([data.image(example)], spec).to(device(), float_type(model))


def class_log_probabilities(model: nn.Module, card: Card, images: torch.Tensor) -> np.ndarray:
    """ln p of each class for inputs (B, C, H, W): float32 (B, K)."""
    parts = []
    for part in images.split(LARGEST_BATCH):
        with locked(model), torch.no_grad():
            parts.append(first_tensor(model(part)).flatten(1).float().cpu().numpy())
    return log_probabilities_of(np.concatenate(parts), card)


def _output_of(model: nn.Module, image: torch.Tensor, target: int) -> tuple[int, tuple[str, ...]]:
    """The network's output unit for a class: a network with one output gives the second class's."""
    with locked(model), torch.no_grad():
        outputs = first_tensor(model(image))[0].numel()
    if outputs > 1:
        return target, ()
    note = "The network has one output, so the map is of what speaks for the second class."
    return 0, (() if target == 1 else (note,))


def _trust(model: nn.Module, card: Card, image: torch.Tensor, target: int, saliency: torch.Tensor
           ) -> tuple[tuple[float | None, float | None], tuple[str, ...]]:
    if not torch.isfinite(saliency).all():
        return (None, None), ("The map holds NaN or infinity.",)
    if saliency.max() == saliency.min():
        return (None, None), ("The map is the same everywhere: in this layer nothing speaks for "
                              "the class, or its gradient is zero.",)

    def probability(images: torch.Tensor) -> np.ndarray:
        return np.exp(class_log_probabilities(model, card, images)[:, target])

    filler = blurred(image)
    return (deletion_score(probability, image, filler, most_first(saliency)),
            random_deletion_score(probability, image, filler)), ()


def default_layer(model: nn.Module, image: torch.Tensor, target: int) -> str:
    """The last layer that shows places: feature maps, or tokens of which not the class token alone
    reaches the score. Raises UserError where there is none."""
    layers = list(map_layers(model, tuple(image.shape)))[-LAST_LAYERS:]
    if not layers:
        raise UserError("No layer of this network gives maps over the image. Choose a method that "
                        "needs no layer.")
    sides = image.shape[2:]
    with (locked(model), torch.enable_grad(), differentiable(model, layers[0]) as runs,
          capture(model, layers[1:], keep=lambda output: output) as outputs):
        score = target_score(model, image, target)
        held = {layers[0]: runs[-1]} | {  # what is in a branch beside it needs no gradient
            name: outputs[name] for name in layers[1:] if outputs[name].requires_grad}
        gradients = torch.autograd.grad(score, list(held.values()), allow_unused=True)
    for name, gradient in reversed(list(zip(held, gradients, strict=True))):
        if gradient is None or not as_maps(gradient, *sides).any():
            continue
        projection = gradient.dim() == 3 and layer_type(layer_called(model, name)) == "Linear"
        if not projection:  # a query, key or value is but a part of what the tokens say
            return name
    return list(held)[-1]
