"""Saliency: one file a method; each answers which pixels moved the score of a class."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class Option:
    """A setting a person may change: shown as a slider from low to high."""

    title: str
    low: float
    high: float
    default: float
    help: str = ""


@dataclass(frozen=True)
class Description:
    """What a page needs to know of a method.

    signed: whether the map's sign means for and against. needs_layer: whether a layer is chosen.
    caution: one sentence on how the map may mislead. source: link to the paper.
    """

    title: str
    source: str
    signed: bool
    needs_layer: bool
    caution: str
    options: dict[str, Option]


@dataclass(frozen=True)
class Method(Description):
    """One way to explain a prediction.

    explain: (model, image (1, C, H, W) as the model wants it, target class, layer name or None,
    options by name) -> float32 (H, W), raw: neither scaled nor clipped. Raises UserError.
    applies_to: (model, layer name or None, image) -> None, or one sentence on why not.
    """

    applies_to: "Callable[[nn.Module, str | None, torch.Tensor], str | None]"
    explain: "Callable[[nn.Module, torch.Tensor, int, str | None, dict[str, float]], torch.Tensor]"


@dataclass(frozen=True)
class Explanation:
    """What one method says of one example.

    map: float32 (H, W), raw, over the input that the network gets. target: the class explained;
    the map is of its raw output, as the file gives it. prediction: (class, probability) of the
    most probable classes, best first. total, low, high: sum and extremes of the map.
    deletion: area under the class's probability while the pixels that the map marks are blurred
    out, most marked first, 0 to 1; the map found what counts where it is clearly below
    random_deletion, the same in random order. None where the map has no order.
    """

    map: np.ndarray
    method: str
    layer: str | None
    target: int
    prediction: tuple[tuple[int, float], ...]
    total: float
    low: float
    high: float
    deletion: float | None
    random_deletion: float | None
    notes: tuple[str, ...] = ()
