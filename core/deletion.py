"""Deletion, https://arxiv.org/abs/1806.07421: does the score fall when what a map marks is gone?"""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import interpolate

STEPS = 10
RANDOM_ORDERS = 3
COARSER = 8  # what is removed is replaced by the image at an eighth of its size, enlarged again


def deletion_score(probability: Callable[[torch.Tensor], np.ndarray], image: torch.Tensor,
                   filler: torch.Tensor, order: torch.Tensor) -> float:
    """Area under the class's probability while pixels are removed in order (H·W,), 0 to 1.

    The lower, the earlier the pixels that count went. `probability`: images (B, C, H, W) to (B,).
    """
    return float(np.trapezoid(probability(removed(image, filler, order)), dx=1 / STEPS))


def random_deletion_score(probability: Callable[[torch.Tensor], np.ndarray], image: torch.Tensor,
                          filler: torch.Tensor) -> float:
    """The mean deletion score of random orders, always the same ones."""
    seeded = torch.Generator().manual_seed(0)
    pixels = image.shape[2] * image.shape[3]
    orders = [torch.randperm(pixels, generator=seeded) for _ in range(RANDOM_ORDERS)]
    return float(np.mean([deletion_score(probability, image, filler, order) for order in orders]))


def most_first(saliency: torch.Tensor) -> torch.Tensor:
    """Pixels of a map (H, W) in the order in which deletion removes them."""
    return saliency.flatten().argsort(descending=True, stable=True)


def removed(image: torch.Tensor, filler: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """The image (1, C, H, W) with 0, 1/10, … all of its pixels replaced: (11, C, H, W)."""
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    share = torch.linspace(0, 1, STEPS + 1, device=order.device) * len(order)
    gone = (rank < share.round()[:, None]).view(-1, 1, *image.shape[2:])  # (11, 1, H, W)
    return torch.where(gone.to(image.device), filler, image)


def blurred(image: torch.Tensor) -> torch.Tensor:
    """The image (1, C, H, W) without detail, with its colours where they were."""
    coarse = [max(1, side // COARSER) for side in image.shape[2:]]
    return interpolate(interpolate(image, size=coarse, mode="area"), size=image.shape[2:],
                       mode="bilinear", align_corners=False)
