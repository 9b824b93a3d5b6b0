"""Operators of the domain com.microsoft, which onnxruntime's tools write, by torch's.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from core.graph.onnx_builder import Builder, refused
from core.graph.onnx_elementwise import OPERATORS as ELEMENTWISE
from core.graph.onnx_layers import OPERATORS as LAYERS
from core.graph.onnx_quantized import OPERATORS as QUANTIZING
from core.graph.onnx_rounding import (
    WIDE,
    as_float,
    nearest,
    number,
    quantized,
    real,
    rounded,
    steps_of,
)
from core.graph.onnx_sizes import Size
from core.graph.onnx_values import Value
from core.graph.onnx_windows import OPERATORS as WINDOWS

Ints = list[int] | None


def _again(b: Builder, y: Value, scale: Value, zero: Value | None) -> Value:
    return quantized(b, y, scale, zero, zero.dtype if zero is not None else torch.uint8)


def _add(b: Builder, x: Value, x_scale: Value, x_zero: Value, y: Value, y_scale: Value,
         y_zero: Value, scale: Value, zero: Value | None = None) -> Value:
    """In onnxruntime's order and with its fused steps, since halves are common here."""
    x_step, y_step, step = (np.float32(_number(b, part)) for part in (x_scale, y_scale, scale))
    factors = x_step / step, y_step / step
    fixed = np.float32(_number(b, zero)) - (factors[0] * np.float32(_number(b, x_zero))
                                            + factors[1] * np.float32(_number(b, y_zero)))
    wide = [b.node("mul.Scalar", b.node("to.dtype", steps_of(b, part), WIDE), float(factor))
            for part, factor in zip((x, y), factors, strict=True)]
    alone = [part.shape[-1:] in ((), (1,)) for part in (x, y)]
    last, first = wide if alone != [True, False] else reversed(wide)
    total = as_float(b, b.node("add.Scalar", first, float(fixed)))
    total = as_float(b, b.node("add.Tensor", last, total))
    return _cut_above(b, total, scale, zero)


def _mul(b: Builder, x: Value, x_scale: Value, x_zero: Value, y: Value, y_scale: Value,
         y_zero: Value, scale: Value, zero: Value | None = None) -> Value:
    x_step, y_step, step = (np.float32(_number(b, part)) for part in (x_scale, y_scale, scale))
    product = b.node("mul.Tensor", steps_of(b, x, x_zero), steps_of(b, y, y_zero))
    scaled = b.node("mul.Scalar", product, float(x_step * y_step / step))
    return _cut_above(b, b.node("add.Scalar", scaled, _number(b, zero)), scale, zero)


def _number(b: Builder, value: Value | None) -> float:
    found = number(b, value)
    return refused(b, "a scale or zero point that is computed or not one number") \
        if found is None else found


def _cut_above(b: Builder, above: Value, scale: Value, zero: Value | None) -> Value:
    """What already holds the zero point: so halves become even with it, unlike elsewhere."""
    steps = b.node("sub.Scalar", nearest(b, above), _number(b, zero))
    return rounded(b, steps, scale, zero, zero.dtype if zero is not None else torch.uint8)


def _global_pool(b: Builder, x: Value, x_scale: Value, x_zero: Value, scale: Value, zero: Value, *,
                 channels_last: int = 0) -> Value:
    if channels_last:
        refused(b, "channels last")
    axes, steps = list(range(2, x.rank)), steps_of(b, x, x_zero)
    sizes, factor = b.sizes(x)[2:], np.float32(_number(b, x_scale))
    if any(isinstance(size, Size) for size in sizes):
        steps, count = b.node("mean.dim", steps, axes, True), 1
    else:
        steps, count = b.node("sum.dim_IntList", steps, axes, True), int(np.prod(sizes))
    factor = factor / (np.float32(_number(b, scale)) * np.float32(count))
    scaled = b.node("mul.Scalar", steps, float(factor))
    return rounded(b, scaled, scale, zero, zero.dtype)


def _average_pool(b: Builder, x: Value, x_scale: Value, x_zero: Value | None, scale: Value,
                  zero: Value | None = None, *, kernel_shape: list[int], strides: Ints = None,
                  pads: Ints = None, ceil_mode: int = 0, auto_pad: str = "NOTSET",
                  count_include_pad: int = 0, channels_last: int = 0) -> Value:
    if channels_last:
        refused(b, "channels last")
    pooled = WINDOWS["AveragePool"](
        b, real(b, x, x_scale, x_zero), kernel_shape=kernel_shape, strides=strides, pads=pads,
        ceil_mode=ceil_mode, auto_pad=auto_pad, count_include_pad=count_include_pad)
    steps = b.node("div.Tensor", pooled, b.tensor(scale))
    return _cut_above(b, b.node("add.Scalar", steps, _number(b, zero)), scale, zero)


def _concat(b: Builder, scale: Value, zero: Value, *parts: Value, axis: int) -> Value:
    whole = [real(b, *parts[place:place + 3]) for place in range(0, len(parts), 3)]
    return _again(b, b.node("cat.default", whole, axis), scale, zero)


def _where(b: Builder, condition: Value, x: Value, x_scale: Value, x_zero: Value, y: Value,
           y_scale: Value, y_zero: Value, scale: Value, zero: Value) -> Value:
    parts = real(b, x, x_scale, x_zero), real(b, y, y_scale, y_zero)
    return _again(b, b.node("where.self", condition, *parts), scale, zero)


def _sigmoid(b: Builder, x: Value, x_scale: Value, x_zero: Value | None, scale: Value,
             zero: Value | None = None) -> Value:
    return _again(b, b.node("sigmoid.default", real(b, x, x_scale, x_zero)), scale, zero)


def _leaky(b: Builder, x: Value, x_scale: Value, x_zero: Value | None, scale: Value,
           zero: Value | None = None, *, alpha: float = 0.01) -> Value:
    found = b.node("leaky_relu.default", real(b, x, x_scale, x_zero), alpha)
    return _again(b, found, scale, zero)


def _softmax(b: Builder, x: Value, x_scale: Value, x_zero: Value | None, scale: Value,
             zero: Value | None = None, *, axis: int | None = None, opset: int) -> Value:
    if opset < 13 and (axis is None or axis % x.rank != x.rank - 1):
        refused(b, "softmax over several axes")
    shares = b.node("softmax.int", real(b, x, x_scale, x_zero), -1 if axis is None else axis)
    whole = float(np.floor(np.float32(1) / np.float32(_number(b, scale))))  # as onnxruntime does
    return rounded(b, b.node("mul.Scalar", shares, whole), scale, zero,
                   zero.dtype if zero is not None else torch.uint8)


def _activated(b: Builder, x: Value, activation: str, numbers: list[float]) -> Value:
    names = {"Relu": (), "Sigmoid": (), "Tanh": (), "LeakyRelu": ("alpha",),
             "HardSigmoid": ("alpha", "beta"), "Clip": ("min", "max")}
    if activation not in names:
        refused(b, f"the activation {activation[:20]!r}")
    given = dict(zip(names[activation], numbers, strict=False))
    return ELEMENTWISE[activation](b, x, **given)


def _fused_conv(b: Builder, x: Value, weight: Value, bias: Value | None = None,
                other: Value | None = None, *, activation: str = "",
                activation_params: list[float] | None = None, kernel_shape: Ints = None,
                strides: Ints = None, dilations: Ints = None, pads: Ints = None, group: int = 1,
                auto_pad: str = "NOTSET") -> Value:
    found = WINDOWS["Conv"](b, x, weight, bias, strides=strides, dilations=dilations, pads=pads,
                            group=group, auto_pad=auto_pad)
    found = found if other is None else b.node("add.Tensor", found, other)
    return _activated(b, found, activation, activation_params or []) if activation else found


def _fused_gemm(b: Builder, x: Value, weight: Value, bias: Value | None = None, *,
                activation: str = "", activation_alpha: float | None = None,
                activation_beta: float | None = None, activation_gamma: float = 0.0,
                alpha: float = 1.0, beta: float = 1.0, transA: int = 0,  # noqa: N803
                transB: int = 0) -> Value:  # noqa: N803
    found = LAYERS["Gemm"](b, x, weight, bias, alpha=alpha, beta=beta, transA=transA,
                           transB=transB)
    numbers = [part for part in (activation_alpha, activation_beta) if part is not None]
    return _activated(b, found, activation, numbers) if activation else found


def _fused_matmul(b: Builder, x: Value, y: Value, *, alpha: float = 1.0, transA: int = 0,  # noqa: N803
                  transB: int = 0, transBatchA: int = 0,  # noqa: N803
                  transBatchB: int = 0) -> Value:  # noqa: N803
    if transBatchA or transBatchB:
        refused(b, "a product whose batch axes are turned")
    x, y = (b.node("transpose.int", part, -1, -2) if turned and part.rank > 1 else part
            for part, turned in ((x, transA), (y, transB)))
    product = b.node("matmul.default", x, y)
    return product if alpha == 1.0 else b.node("mul.Scalar", product, alpha)


def _gelu(approximate: str) -> Callable[..., Value]:
    def lower(b: Builder, x: Value, bias: Value | None = None) -> Value:
        x = x if bias is None else b.node("add.Tensor", x, bias)
        return b.node("gelu.default", x, approximate=approximate)

    return lower


def _quick_gelu(b: Builder, x: Value, *, alpha: float = 1.702) -> Value:
    return ELEMENTWISE["Swish"](b, x, alpha=alpha)


def _skip_norm(b: Builder, x: Value, skip: Value, weight: Value, shift: Value | None = None,
               bias: Value | None = None, *, epsilon: float = 1e-12) -> tuple[Value, ...]:
    if b.sizes(x) != b.sizes(skip):
        skip = b.node("expand_as.default", skip, x)
    total = b.node("add.Tensor", x, skip)
    total = total if bias is None else b.node("add.Tensor", total, bias)
    return (LAYERS["LayerNormalization"](b, total, weight, shift, epsilon=epsilon),)


_ALL: dict[str, Callable[..., Any]] = {
    "QLinearAdd": _add, "QLinearMul": _mul, "QLinearGlobalAveragePool": _global_pool,
    "QLinearAveragePool": _average_pool, "QLinearConcat": _concat, "QLinearWhere": _where,
    "QLinearSigmoid": _sigmoid, "QLinearLeakyRelu": _leaky, "QLinearSoftmax": _softmax,
    "QuantizeLinear": QUANTIZING["QuantizeLinear"],
    "DequantizeLinear": QUANTIZING["DequantizeLinear"], "FusedConv": _fused_conv,
    "FusedGemm": _fused_gemm, "FusedMatMul": _fused_matmul, "Gelu": _gelu("none"),
    "BiasGelu": _gelu("none"), "FastGelu": _gelu("tanh"), "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_norm,
}
OPERATORS = {f"com.microsoft.{name}": function for name, function in _ALL.items()}
