"""ONNX's rounding to whole numbers and back, by torch's: what quantized networks are made of.

https://onnx.ai/onnx/operators
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from core.files.file_map import FEW, outlined
from core.graph.onnx_builder import Builder, refused
from core.graph.onnx_rounding import held, quantized, real, shape_along
from core.graph.onnx_values import Value
from core.graph.onnx_whole_weights import layer_name

CODES = {2: torch.uint8, 3: torch.int8, 4: torch.uint16, 5: torch.int16}  # of TensorProto


def _quantize(b: Builder, x: Value, scale: Value, zero: Value | None = None, *, axis: int = 1,
              saturate: int = 1, block_size: int = 0, output_dtype: int = 0,
              precision: int = 0) -> Value:
    if block_size or precision:
        refused(b, "quantization of this kind")
    dtype = zero.dtype if zero is not None else CODES.get(output_dtype or 2)
    return quantized(b, x, scale, zero, dtype, axis)


def _dequantize(b: Builder, x: Value, scale: Value, zero: Value | None = None, *, axis: int = 1,
                block_size: int = 0, output_dtype: int = 0) -> Value:
    if block_size or output_dtype not in (0, 1):
        refused(b, "quantization of this kind")
    if not x.dtype.is_floating_point and held(b, x) is not None and held(b, scale) is not None:
        offset = np.zeros((), np.int32) if zero is None else held(b, zero)
        if offset is not None:
            return _weight(b, x, held(b, scale), offset, axis)
    return real(b, x, scale, zero, axis)


def _weight(b: Builder, x: Value, scale: np.ndarray, zero: np.ndarray, axis: int) -> Value:
    """The numbers that the network computes with, as a tensor of its own."""
    whole = held(b, x)
    b.spend_memory(whole.size)
    scale, zero = (part.reshape(shape_along(part.shape, whole.ndim, axis))
                   for part in (scale, zero))
    found = np.zeros(whole.shape, np.float32)  # which take no memory yet
    if not outlined() or whole.nbytes <= FEW:
        np.multiply((whole.astype(np.int32) - zero).astype(np.float32), scale, out=found)
    return b.add_weight(layer_name(b, x, ""), torch.from_numpy(found))


def quantized_by_range(b: Builder, x: Value) -> tuple[Value, Value, Value]:
    """x in bytes, their scale and their zero point, all by the smallest and largest number in x."""
    steps, none, one = (b.known(part, torch.float32, ()) for part in (255.0, 0.0, 1.0))
    fixed = b.node("detach.default", x)
    low = b.node("clamp_max.default", b.node("amin.default", fixed), 0.0)
    high = b.node("clamp_min.default", b.node("amax.default", fixed), 0.0)
    scale = b.node("div.Tensor", b.node("sub.Tensor", high, low), steps)
    scale = b.node("where.self", b.node("eq.Tensor", high, low), one, scale)
    first = b.node("div.Tensor", b.node("sub.Tensor", none, low), scale)
    zero = b.node("clamp.default", b.node("round.default", first), 0, 255)
    return quantized(b, x, scale, zero, torch.uint8), scale, zero


OPERATORS: dict[str, Callable[..., Any]] = {
    "QuantizeLinear": _quantize, "DequantizeLinear": _dequantize,
    "DynamicQuantizeLinear": quantized_by_range,
}
