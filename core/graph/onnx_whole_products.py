"""Convolutions and matrix products of whole numbers, by torch's.

https://onnx.ai/onnx/operators, and for those of the domain com.microsoft
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from core.graph.onnx_builder import Builder, refused
from core.graph.onnx_quantized import quantized_by_range
from core.graph.onnx_rounding import WIDE, as_float, held, number, rounded, setting, steps_of
from core.graph.onnx_values import Value
from core.graph.onnx_whole_weights import WholeWeights, layer_name, whole_weights
from core.graph.onnx_windows import OPERATORS as WINDOWS

Ints = list[int] | None
EXACT = 1 << 24  # up to this, sums of whole numbers are exact in single precision


def _range(b: Builder, x: Value, zero: Value | None) -> tuple[float, float]:
    """Between what x minus its zero point lies."""
    offset = number(b, zero)
    kind = zero.dtype if zero is not None else x.dtype
    if offset is None or kind not in (torch.int8, torch.uint8):
        return -255.0, 255.0
    return torch.iinfo(kind).min - offset, torch.iinfo(kind).max - offset


def _only(b: Builder, value: Value | None, what: str) -> Value | None:
    """A scale or zero point that is one number."""
    if value is not None and value.size != 1:
        refused(b, f"{what} for each row")
    return value


def _wide(b: Builder, x: Value, dtype: torch.dtype) -> Value:
    return x if x.dtype == dtype else b.node("to.dtype", x, dtype)


def _convolved(b: Builder, x: Value, x_zero: Value | None, weight: WholeWeights | None,
               bias: WholeWeights | None, **windows: Any) -> Value:
    """The sums, exactly."""
    if weight is None:
        refused(b, "a convolution with computed weights")
    most = weight.largest_sum(tuple(range(1, weight.steps.ndim)), *_range(b, x, x_zero))
    most += 0 if bias is None or bias.is_outline else np.abs(bias.steps.astype(np.float64)).max()
    dtype = torch.float32 if most <= EXACT else WIDE
    steps = _wide(b, steps_of(b, x, _only(b, x_zero, "a zero point")), dtype)
    return WINDOWS["Conv"](b, steps, weight.tensor(b, dtype), bias and bias.tensor(b, dtype),
                           **windows)


def _conv_integer(b: Builder, x: Value, weight: Value, x_zero: Value | None = None,
                  weight_zero: Value | None = None, *, kernel_shape: Ints = None,
                  strides: Ints = None, dilations: Ints = None, pads: Ints = None, group: int = 1,
                  auto_pad: str = "NOTSET") -> Value:
    weights = whole_weights(b, weight, weight_zero, None, 0)
    return _convolved(b, x, x_zero, weights, None, strides=strides, dilations=dilations, pads=pads,
                      group=group, auto_pad=auto_pad)


def _qlinear_conv(b: Builder, x: Value, x_scale: Value, x_zero: Value, weight: Value,
                  weight_scale: Value, weight_zero: Value, scale: Value, zero: Value,
                  bias: Value | None = None, *, kernel_shape: Ints = None, strides: Ints = None,
                  dilations: Ints = None, pads: Ints = None, group: int = 1,
                  auto_pad: str = "NOTSET") -> Value:
    weights = whole_weights(b, weight, weight_zero, weight_scale, 0)
    sums = _convolved(b, x, x_zero, weights,
                      _bias(b, bias, _product(b, x_scale, weight_scale)), strides=strides,
                      dilations=dilations, pads=pads, group=group, auto_pad=auto_pad)
    factor = _product(b, x_scale, weight_scale) / _scale(b, scale)
    return _rescaled(b, sums, factor, 1, scale, zero)


def _bias(b: Builder, bias: Value | None, scale: np.ndarray) -> WholeWeights | None:
    if bias is None:
        return None
    name = f"{layer_name(b, bias, 'bias')}_scale"
    scales = b.add_weight(name, torch.from_numpy(np.asarray(scale)), is_literal=True)
    found = whole_weights(b, bias, None, scales, -1, "bias")
    return found or refused(b, "a computed bias")


def _scale(b: Builder, scale: Value) -> np.ndarray:
    found = held(b, scale)
    return refused(b, "a computed scale") if found is None else found.astype(np.float32)


def _product(b: Builder, first: Value, second: Value, alpha: float = 1.0) -> np.ndarray:
    """Two scales multiplied: one number, or one for each channel."""
    one = np.float32(alpha) * _scale(b, _only(b, first, "a scale")).reshape(())
    found = np.asarray(one * _scale(b, second))
    return found.reshape(()) if found.size == 1 else found


def _factored(b: Builder, sums: Value, factor: np.ndarray, axis: int) -> Value:
    value = b.add_weight("factor", torch.from_numpy(np.asarray(factor)), is_literal=True)
    return b.node("mul.Tensor", as_float(b, sums), setting(b, value, sums, axis))


def _rescaled(b: Builder, sums: Value, factor: np.ndarray, axis: int, scale: Value,
              zero: Value | None) -> Value:
    """The sums as the multiples of a scale that are nearest to sums * factor * scale."""
    dtype = zero.dtype if zero is not None else torch.uint8
    return rounded(b, _factored(b, sums, factor, axis), scale, zero, dtype)


def _multiplied(b: Builder, x: Value, x_zero: Value | None, y: Value, y_zero: Value | None,
                y_scale: Value | None, bias: WholeWeights | None = None, *,
                turned: tuple[int, int] = (0, 0)) -> Value:
    """The sums of a matrix product, exactly. turned: which of the two are transposed."""
    _only(b, x_zero, "a zero point")
    along = -2 if turned[1] else -1  # the axis of the scales, that of the result's columns
    weights = whole_weights(b, y, y_zero, y_scale, along)
    low, high = _range(b, x, x_zero)
    if weights is not None:
        most = weights.largest_sum((-3 - along if y.rank > 1 else 0,), low, high)
    else:
        most = x.shape[-2 if turned[0] else -1] * max(high, -low) * max(
            map(abs, _range(b, y, _only(b, y_zero, "a zero point"))))
    most += 0 if bias is None or bias.is_outline else np.abs(bias.steps.astype(np.float64)).max()
    dtype = torch.float32 if most <= EXACT else WIDE
    first = _wide(b, steps_of(b, x, x_zero), dtype)
    second = weights.tensor(b, dtype) if weights else _wide(b, steps_of(b, y, y_zero), dtype)
    added = bias and bias.tensor(b, dtype)
    if turned == (0, 1) and (added is None or added.rank == 1):
        return b.node("linear.default", first, second, added)
    first, second = (b.node("t.default", part) if turn else part
                     for part, turn in zip((first, second), turned, strict=True))
    sums = b.node("matmul.default", first, second)
    return sums if added is None else b.node("add.Tensor", sums, added)


def _matmul_integer(b: Builder, x: Value, y: Value, x_zero: Value | None = None,
                    y_zero: Value | None = None) -> Value:
    return _multiplied(b, x, x_zero, y, y_zero, None)


def _qlinear_matmul(b: Builder, x: Value, x_scale: Value, x_zero: Value, y: Value, y_scale: Value,
                    y_zero: Value, scale: Value, zero: Value) -> Value:
    sums = _multiplied(b, x, x_zero, y, y_zero, y_scale)
    factor = _product(b, x_scale, y_scale) / _scale(b, scale)
    return _rescaled(b, sums, factor, -1, scale, zero)


def _qgemm(b: Builder, x: Value, x_scale: Value, x_zero: Value, y: Value, y_scale: Value,
           y_zero: Value, bias: Value | None = None, scale: Value | None = None,
           zero: Value | None = None, *, alpha: float = 1.0, transA: int = 0,  # noqa: N803
           transB: int = 0) -> Value:  # noqa: N803
    factor = _product(b, x_scale, y_scale, alpha)
    sums = _multiplied(b, x, x_zero, y, y_zero, y_scale, _bias(b, bias, factor),
                       turned=(int(transA), int(transB)))
    if scale is None:
        return _factored(b, sums, factor, -1)
    return _rescaled(b, sums, factor / _scale(b, scale), -1, scale, zero)


def _matmul_to_float(b: Builder, x: Value, y: Value, x_scale: Value, y_scale: Value,
                     x_zero: Value | None = None, y_zero: Value | None = None,
                     bias: Value | None = None) -> Value:
    sums = as_float(b, _multiplied(b, x, x_zero, y, y_zero, y_scale))
    factor = b.node("mul.Tensor", _only(b, x_scale, "a scale"), setting(b, y_scale, sums, -1))
    product = b.node("mul.Tensor", sums, factor)
    return product if bias is None else b.node("add.Tensor", product, bias)


def _dynamic_matmul(b: Builder, x: Value, y: Value, y_scale: Value, y_zero: Value | None = None,
                    bias: Value | None = None) -> Value:
    whole, scale, zero = quantized_by_range(b, x)
    return _matmul_to_float(b, whole, y, scale, y_scale, zero, y_zero, bias)


OPERATORS: dict[str, Callable[..., Any]] = {
    "QLinearConv": _qlinear_conv, "QLinearMatMul": _qlinear_matmul,
    "ConvInteger": _conv_integer, "MatMulInteger": _matmul_integer,
    "com.microsoft.QGemm": _qgemm, "com.microsoft.MatMulIntegerToFloat": _matmul_to_float,
    "com.microsoft.DynamicQuantizeMatMul": _dynamic_matmul,
}
