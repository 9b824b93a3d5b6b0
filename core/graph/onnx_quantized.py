"""ONNX's rounding to whole numbers and back (the QDQ form of quantized networks), by torch's.

https://onnx.ai/onnx/operators. Rounded values stay in floating point, which holds them exactly, and
gradients pass through the rounding as if it were not there (a straight-through estimate).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from core.files.file_map import FEW, outlined
from core.graph.onnx_builder import Builder, refused
from core.graph.onnx_values import Value

WHOLE = (torch.int8, torch.uint8, torch.int16, torch.uint16)
CODES = {2: torch.uint8, 3: torch.int8, 4: torch.uint16, 5: torch.int16}  # of TensorProto
ENDINGS = ("_quantized", "_quant")  # of names that quantizing programs give to weights


def _quantize(b: Builder, x: Value, scale: Value, zero: Value | None = None, *, axis: int = 1,
              saturate: int = 1, block_size: int = 0, output_dtype: int = 0,
              precision: int = 0) -> Value:
    dtype = zero.dtype if zero is not None else CODES.get(output_dtype or 2)
    if dtype not in WHOLE or block_size or precision:
        refused(b, "quantization of this kind")
    limits = torch.iinfo(dtype)
    divided = b.node("div.Tensor", x, _along(b, scale, x, axis))
    lost = b.node("sub.Tensor", divided, b.node("detach.default", divided))  # 0, with a gradient
    rounded = b.node("add.Tensor", b.node("round.default", divided), lost)
    if zero is not None:
        rounded = b.node("add.Tensor", rounded, _as_float(b, _along(b, zero, x, axis)))
    return b.node("clamp.default", rounded, limits.min, limits.max)


def _dequantize(b: Builder, x: Value, scale: Value, zero: Value | None = None, *, axis: int = 1,
                block_size: int = 0, output_dtype: int = 0) -> Value:
    if block_size or output_dtype not in (0, 1):
        refused(b, "quantization of this kind")
    if not x.dtype.is_floating_point and (of_file := _held(b, x, scale, zero)) is not None:
        return _weight(b, x, of_file, axis)
    x = _as_float(b, x)
    if zero is not None:
        x = b.node("sub.Tensor", x, _as_float(b, _along(b, zero, x, axis)))
    return b.node("mul.Tensor", x, _along(b, scale, x, axis))


def _held(b: Builder, *values: Value | None) -> list[np.ndarray | None] | None:
    """The numbers, where all of them are the file's own."""
    names = [None if value is None else str(value.name) for value in values]
    if any(name is not None and name not in b.weights for name in names):
        return None
    return [None if name is None else b.weights[name].tensor.numpy() for name in names]


def _weight(b: Builder, x: Value, arrays: list[np.ndarray | None], axis: int) -> Value:
    """The numbers that the network computes with, as a tensor of its own."""
    whole, scale, zero = arrays
    b.spend_memory(whole.size)
    shape = _shape_along(scale.shape, whole.ndim, axis)
    found = np.zeros(whole.shape, np.float32)  # which take no memory yet
    if not outlined() or whole.nbytes <= FEW:
        centred = whole if zero is None else whole.astype(np.int32) - zero.reshape(shape)
        np.multiply(centred.astype(np.float32), scale.reshape(shape), out=found)
    name = next((str(x.name).removesuffix(end) for end in ENDINGS if str(x.name).endswith(end)),
                str(x.name))
    return b.add_weight(name, torch.from_numpy(found))


def _along(b: Builder, value: Value, x: Value, axis: int) -> Value:
    """A scale or zero point as it broadcasts to x: one number, or one for each place of an axis."""
    shape = _shape_along(value.shape, x.rank, axis)
    return value if shape == value.shape else b.node("reshape.default", value, list(shape))


def _shape_along(shape: tuple[int, ...], rank: int, axis: int) -> tuple[int, ...]:
    if len(shape) > 1:
        raise ValueError("its scale has several axes, which is not supported")
    if not shape or shape == (1,):
        return ()
    if not -rank <= axis < rank:
        raise ValueError(f"it has no axis {axis}")
    return tuple(shape[0] if place == axis % rank else 1 for place in range(rank))


def _as_float(b: Builder, x: Value) -> Value:
    return x if x.dtype.is_floating_point else b.node("to.dtype", x, torch.float32)


OPERATORS: dict[str, Callable[..., Any]] = {
    "QuantizeLinear": _quantize, "DequantizeLinear": _dequantize,
}
