"""ONNX's operators on each element, by torch's.

https://onnx.ai/onnx/operators. A function takes the builder, the inputs, and the attributes as
keywords: an attribute that is no keyword is refused.
"""

import math
from collections.abc import Callable
from typing import Any

import torch

from core.graph.onnx_builder import Builder, refused
from core.graph.onnx_tensors import WORKING
from core.graph.onnx_values import Value

Lowering = Callable[..., Any]


def _unary(name: str) -> Lowering:
    def lower(b: Builder, x: Value) -> Value:
        return b.node(f"{name}.default", x)

    return lower


def _binary(name: str) -> Lowering:
    """The second operand may be a plain number; the first only where the order does not matter."""

    def lower(b: Builder, x: Value, y: Value) -> Value:
        if name in ("add", "mul") and x.is_known:
            x, y = y, x
        other = b.operand(y, x)
        return b.node(f"{name}.{'Tensor' if isinstance(other, Value) else 'Scalar'}", x, other)

    return lower


def _logical(name: str) -> Lowering:
    def lower(b: Builder, x: Value, y: Value) -> Value:
        return b.node(f"{name}.default", x, y)

    return lower


def _of_several(name: str) -> Lowering:
    def lower(b: Builder, first: Value, *others: Value) -> Value:
        for other in others:
            first = b.node(name, first, other)
        return first

    return lower


def _mean(b: Builder, *inputs: Value) -> Value:
    return b.node("div.Scalar", _of_several("add.Tensor")(b, *inputs), len(inputs))


def _div(b: Builder, x: Value, y: Value) -> Value:
    if x.dtype.is_floating_point:
        return _binary("div")(b, x, y)
    return b.node("div.Tensor_mode", x, y, rounding_mode="trunc")


def _pow(b: Builder, x: Value, y: Value) -> Value:
    if x.dtype.is_floating_point or not y.dtype.is_floating_point:
        other = b.operand(y, x)
        kind = "Tensor" if isinstance(other, Value) else "Scalar"
        result = b.node(f"pow.Tensor_{kind}", x, other)
        return result if result.dtype == x.dtype else _to(b, result, x.dtype)
    return _to(b, b.node("pow.Tensor_Tensor", x, y), x.dtype)


def _mod(b: Builder, x: Value, y: Value, *, fmod: int = 0) -> Value:
    return b.node("fmod.Tensor" if fmod else "remainder.Tensor", x, y)


def _to(b: Builder, x: Value, dtype: torch.dtype) -> Value:
    return x if x.dtype == dtype else b.node("to.dtype", x, dtype)


def _cast(b: Builder, x: Value, *, to: int, saturate: int = 1) -> Value:
    if to not in WORKING:
        refused(b, f"a cast to the element type {to}")
    return _to(b, x, WORKING[to])


def _cast_like(b: Builder, x: Value, y: Value, *, saturate: int = 1) -> Value:
    return _to(b, x, y.dtype)


def _clip(b: Builder, x: Value, low: Value | None = None, high: Value | None = None, *,
          min: float | None = None, max: float | None = None) -> Value:
    low = min if low is None else b.operand(low, x)
    high = max if high is None else b.operand(high, x)
    if low is None and high is None:
        return x
    if isinstance(low, Value) or isinstance(high, Value):
        return b.node("clamp.Tensor", x, low, high)
    return b.node("clamp.default", x, low, high)


def _leaky(b: Builder, x: Value, *, alpha: float = 0.01) -> Value:
    return b.node("leaky_relu.default", x, alpha)


def _elu(b: Builder, x: Value, *, alpha: float = 1.0) -> Value:
    return b.node("elu.default", x, alpha)


def _celu(b: Builder, x: Value, *, alpha: float = 1.0) -> Value:
    return b.node("celu.default", x, alpha)


def _selu(b: Builder, x: Value, *, alpha: float = 1.67326319217681884765625,
          gamma: float = 1.05070102214813232421875) -> Value:
    return b.node("elu.default", x, alpha, gamma)


def _thresholded(b: Builder, x: Value, *, alpha: float = 1.0) -> Value:
    return b.node("threshold.default", x, alpha, 0.0)


def _hard_sigmoid(b: Builder, x: Value, *, alpha: float = 0.2, beta: float = 0.5) -> Value:
    if math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:
        return b.node("hardsigmoid.default", x)
    moved = b.node("add.Scalar", b.node("mul.Scalar", x, alpha), beta)
    return b.node("clamp.default", moved, 0.0, 1.0)


def _gelu(b: Builder, x: Value, *, approximate: str = "none") -> Value:
    return b.node("gelu.default", x, approximate=approximate)


def _swish(b: Builder, x: Value, *, alpha: float = 1.0) -> Value:
    if alpha == 1.0:
        return b.node("silu.default", x)
    return b.node("mul.Tensor", x, b.node("sigmoid.default", b.node("mul.Scalar", x, alpha)))


def _softsign(b: Builder, x: Value) -> Value:
    return b.node("div.Tensor", x, b.node("add.Scalar", b.node("abs.default", x), 1.0))


def _prelu(b: Builder, x: Value, slope: Value) -> Value:
    negative = b.node("mul.Tensor", b.node("clamp_max.default", x, 0.0), slope)
    return b.node("add.Tensor", b.node("relu.default", x), negative)


def _where(b: Builder, condition: Value, x: Value, y: Value) -> Value:
    return b.node("where.self", condition, x, y)


def _shrink(b: Builder, x: Value, *, bias: float = 0.0, lambd: float = 0.5) -> Value:
    if bias != lambd:
        return b.node("hardshrink.default", x, lambd) if bias == 0 else refused(b, "this bias")
    return b.node("softshrink.default", x, lambd)


_PLAIN = {
    "Abs": "abs", "Neg": "neg", "Exp": "exp", "Log": "log", "Sqrt": "sqrt", "Floor": "floor",
    "Reciprocal": "reciprocal", "Ceil": "ceil", "Round": "round", "Sign": "sign", "Sin": "sin",
    "Cos": "cos", "Tan": "tan", "Asin": "asin", "Acos": "acos", "Atan": "atan", "Sinh": "sinh",
    "Cosh": "cosh", "Erf": "erf", "IsNaN": "isnan", "Sigmoid": "sigmoid", "Tanh": "tanh",
    "Relu": "relu", "HardSwish": "hardswish", "Mish": "mish", "Softplus": "softplus",
    "Not": "logical_not", "BitwiseNot": "bitwise_not",
}
_OF_TWO = {
    "Add": "add", "Sub": "sub", "Mul": "mul", "Equal": "eq", "Greater": "gt", "Less": "lt",
    "GreaterOrEqual": "ge", "LessOrEqual": "le", "BitwiseAnd": "bitwise_and",
    "BitwiseOr": "bitwise_or", "BitwiseXor": "bitwise_xor",
}
OPERATORS: dict[str, Lowering] = {
    **{name: _unary(plain) for name, plain in _PLAIN.items()},
    **{name: _binary(plain) for name, plain in _OF_TWO.items()},
    **{name: _logical(f"logical_{name.lower()}") for name in ("And", "Or", "Xor")},
    "Div": _div, "Pow": _pow, "Mod": _mod, "Cast": _cast, "CastLike": _cast_like, "Clip": _clip,
    "Sum": _of_several("add.Tensor"), "Mean": _mean, "Max": _of_several("maximum.default"),
    "Min": _of_several("minimum.default"), "LeakyRelu": _leaky, "Elu": _elu, "Celu": _celu,
    "Selu": _selu, "ThresholdedRelu": _thresholded, "HardSigmoid": _hard_sigmoid, "Gelu": _gelu,
    "Swish": _swish, "Softsign": _softsign, "PRelu": _prelu, "Where": _where, "Shrink": _shrink,
}
