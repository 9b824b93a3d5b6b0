"""Saliency: one file a method; each answers which pixels moved the score of a class."""

from collections.abc import Callable
from dataclasses import dataclass

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
class Method:
    """One way to explain a prediction.

    explain: (model, image (1, C, H, W) as the model wants it, target class, layer name or None,
    options by name) -> float32 (H, W), raw: neither scaled nor clipped. Raises UserError.
    signed: whether the map's sign means for and against. needs_layer: whether a layer is chosen.
    applies_to: (model, layer name or None, image) -> None, or one sentence on why not.
    caution: one sentence on how the map may mislead. source: link to the paper.
    """

    title: str
    source: str
    signed: bool
    needs_layer: bool
    caution: str
    options: dict[str, Option]
    applies_to: Callable[[nn.Module, str | None, torch.Tensor], str | None]
    explain: Callable[[nn.Module, torch.Tensor, int, str | None, dict[str, float]], torch.Tensor]
