"""Weights of an ONNX file that are whole numbers, shown as the numbers that they stand for."""

import re
from dataclasses import dataclass

import numpy as np
import torch

from core.files.file_map import FEW, outlined
from core.graph.nodes import Ref
from core.graph.onnx_builder import Builder, refused
from core.graph.onnx_rounding import held, setting, shape_along
from core.graph.onnx_values import Value
from core.graph.onnx_weight_names import DOTTED

ENDINGS = re.compile(r"(_Transposed(_\d+)?)?(_quantized|_quant)$")  # of names that quantizing gives


def layer_name(b: Builder, value: Value, slot: str) -> str:
    """What a tensor is called: as the file does, where that names a layer, or for its layer."""
    said = ENDINGS.sub("", str(value.name))
    is_kept = "." in said and DOTTED.fullmatch(said)
    return f"{b.calls[-1].path}.{slot}" if slot and b.calls and not is_kept else said


@dataclass
class WholeWeights:
    """A tensor of the file: its numbers minus the zero point, with the scale where it is known.

    axis: that of the scales. slot: what it is to its layer.
    """

    value: Value
    steps: np.ndarray
    scale: Value | None
    axis: int
    slot: str = "weight"

    @property
    def is_outline(self) -> bool:
        return outlined() and self.value.size > FEW

    def largest_sum(self, axes: tuple[int, ...], low: float, high: float) -> float:
        """The largest sum over these axes of its products with numbers in a range."""
        if self.is_outline:
            return 0.0
        above = np.maximum(self.steps, 0).sum(axes, dtype=np.float64)
        below = above - self.steps.sum(axes, dtype=np.float64)
        return float(np.maximum(high * above - low * below, high * below - low * above).max())

    def tensor(self, b: Builder, dtype: torch.dtype) -> Value:
        """Its whole numbers as a value: computed on each run from those they stand for, where
        that gives them back."""
        b.spend_memory(self.value.size)
        name = layer_name(b, self.value, self.slot)
        shown = self._shown(b)
        if shown is None:
            return b.add_weight(name, torch.from_numpy(self.steps).to(dtype))
        own = b.add_weight(name, torch.from_numpy(shown))
        steps = b.node("true_divide.Tensor", own, setting(b, self.scale, own, self.axis))
        steps = b.node("round.default", steps)
        return steps if steps.dtype == dtype else b.node("to.dtype", steps, dtype)

    def _shown(self, b: Builder) -> np.ndarray | None:
        """The numbers they stand for; None where the scale is unknown, or too small or large."""
        if self.scale is None or (scale := held(b, self.scale)) is None:
            return None
        if self.is_outline:
            return np.zeros(self.steps.shape, np.float32)  # which take no memory
        scale = scale.reshape(shape_along(scale.shape, self.steps.ndim, self.axis))
        for kind in (np.float32, np.float64):
            with np.errstate(all="ignore"):
                shown = self.steps.astype(kind) * scale.astype(kind)
                if np.array_equal(np.rint(shown / scale), self.steps):
                    return shown
        return None


def whole_weights(b: Builder, value: Value, zero: Value | None, scale: Value | None, axis: int,
                  slot: str = "weight") -> WholeWeights | None:
    """None where the network computes them."""
    whole = None if value.rounding else held(b, value)
    if whole is None:
        return None
    offset = np.zeros((), np.int32) if zero is None else held(b, zero)
    if offset is None:
        refused(b, "a computed zero point of weights")
    if outlined() and value.size > FEW:
        steps = np.zeros(value.shape, np.int32)  # which take no memory
    else:
        steps = whole.astype(np.int32) - offset.reshape(shape_along(offset.shape, value.rank, axis))
    return WholeWeights(value, steps, scale or _named_scale(b, value, axis), axis, slot)


def _named_scale(b: Builder, value: Value, axis: int) -> Value | None:
    """The scale beside weights whose operator does not read it, by its usual name."""
    name = str(value.name).removesuffix("_quantized") + "_scale"
    found = b.weights[name].tensor if name in b.weights else None
    if found is None or found.dtype != torch.float32 or found.dim() > 1:
        return None
    fits = found.numel() in (1, value.shape[axis])
    return Value(Ref(name), tuple(found.shape), found.dtype) if fits else None
