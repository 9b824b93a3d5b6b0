"""Grad-CAM, https://arxiv.org/abs/1610.02391: where a layer's maps speak for the class."""

import torch
from torch import nn
from torch.nn.functional import interpolate

from core.device import locked
from core.errors import UserError
from core.layers import differentiable
from core.saliency import Method
from core.saliency.maps import as_maps, map_layers
from core.saliency.score import target_score


def applies_to(model: nn.Module, layer: str | None, image: torch.Tensor) -> str | None:
    """Layers that give maps over the image, or tokens on the grid of patches."""
    if layer is None:
        return "Grad-CAM needs a layer that gives maps over the image."
    try:
        layers = map_layers(model, tuple(image.shape))
    except UserError as error:
        return str(error)
    return None if layer in layers else (
        f"Grad-CAM needs maps over the image, and the layer {layer} gives none. Choose one such as "
        f"{', '.join(list(layers)[-3:]) or '(this network has none)'}.")


def explain(model: nn.Module, image: torch.Tensor, target: int, layer: str | None,
            options: dict[str, float]) -> torch.Tensor:
    """The layer's maps weighted by their mean gradients, cut off at 0, float32 (H, W)."""
    if layer is None:
        raise UserError("Grad-CAM needs a layer that gives maps over the image.")
    with locked(model), torch.enable_grad(), differentiable(model, layer) as runs:
        score = target_score(model, image.detach(), target)
        gradient, = torch.autograd.grad(score, runs[-1:], allow_unused=True)
    if gradient is None:
        raise UserError(f"The score of the class does not depend on the layer {layer}. "
                        "Choose another layer.")
    sides = image.shape[2:]
    maps, gradients = as_maps(runs[-1].detach(), *sides), as_maps(gradient, *sides)  # (1, C, h, w)
    if maps is None or gradients is None:
        raise UserError(f"The layer {layer} gives no maps over the image. Choose another layer.")
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    cam = (weights * maps).sum(dim=1, keepdim=True).relu()
    return interpolate(cam.float(), size=sides, mode="bilinear", align_corners=False)[0, 0]


METHOD = Method(
    title="Grad-CAM",
    source="https://arxiv.org/abs/1610.02391",
    signed=False,
    needs_layer=True,
    caution="As coarse as the layer's maps, and smoothed to the image's size; empty where nothing "
            "in them speaks for the class. A transformer's tokens are laid on their patches, "
            "without the class token.",
    options={},
    applies_to=applies_to,
    explain=explain,
)
