"""Plain gradient, https://arxiv.org/abs/1312.6034: which pixels would move the score the most."""

import torch
from torch import nn

from core.device import locked
from core.saliency import Method
from core.saliency.score import target_score


def applies_to(model: nn.Module, layer: str | None, image: torch.Tensor) -> str | None:
    """Any network with a floating-point input; the gradient's path is known once it is walked."""
    return None if image.is_floating_point() else "The gradient needs a floating-point input."


def explain(model: nn.Module, image: torch.Tensor, target: int, layer: str | None,
            options: dict[str, float]) -> torch.Tensor:
    """The largest |gradient| over the channels of each pixel, float32 (H, W)."""
    with locked(model), torch.enable_grad():
        pixels = image.detach().clone().requires_grad_()
        passed_on = pixels.clone()  # an in-place first layer must not write to a leaf
        score = target_score(model, passed_on, target)
        gradient, = torch.autograd.grad(score, pixels)
    return gradient[0].abs().amax(dim=0).float()  # (H, W)


METHOD = Method(
    title="Gradient",
    source="https://arxiv.org/abs/1312.6034",
    signed=False,
    needs_layer=False,
    caution="Shows what the score reacts to at this very image, not what it is made of; noisy, and "
            "blank where a unit is saturated.",
    options={},
    applies_to=applies_to,
    explain=explain,
)
