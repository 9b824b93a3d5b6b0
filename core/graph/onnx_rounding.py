"""Rounded values of an ONNX graph: the file's whole numbers, held as the numbers they stand for.

So layers show what they mean. Gradients pass through the rounding as if it were not there.
"""

from dataclasses import replace

import numpy as np
import torch

from core.graph.onnx_builder import Builder, refused
from core.graph.onnx_sizes import Size
from core.graph.onnx_values import Rounding, Value

WIDE = torch.float32 if torch.backends.mps.is_available() else torch.float64  # which MPS lacks
WHOLE = (torch.int8, torch.uint8, torch.int16, torch.uint16)
# A float32 of this size has no places after the point: adding it rounds, halves to even, and
# unlike torch.round that has a gradient.
PLACELESS = 1.5 * 2**23


def nearest(b: Builder, x: Value) -> Value:
    """The nearest whole numbers of less than 22 bits."""
    return b.node("sub.Scalar", b.node("add.Scalar", x, PLACELESS), PLACELESS)


def rounded(b: Builder, steps: Value, scale: Value, zero: Value | None, dtype: torch.dtype | None,
            axis: int = 1) -> Value:
    """steps * scale, with steps made whole and cut to what the type holds above the zero point."""
    if dtype not in WHOLE:
        refused(b, "quantization of this kind")
    limits, offset = torch.iinfo(dtype), number(b, zero)
    if offset is not None:
        cut = b.node("clamp.default", steps, limits.min - offset, limits.max - offset)
    else:
        offsets = as_float(b, setting(b, zero, steps, axis))
        ends = [b.node("rsub.Scalar", offsets, end) for end in (limits.min, limits.max)]
        cut = b.node("clamp.Tensor", steps, *ends)
    value = b.node("mul.Tensor", nearest(b, cut), setting(b, scale, steps, axis))
    return replace(value, rounding=Rounding(scale, zero, axis))


def quantized(b: Builder, x: Value, scale: Value, zero: Value | None, dtype: torch.dtype | None,
              axis: int = 1) -> Value:
    steps = b.node("div.Tensor", as_float(b, x), setting(b, scale, x, axis))
    return rounded(b, steps, scale, zero, dtype, axis)


def steps_of(b: Builder, x: Value, zero: Value | None = None, axis: int = 1) -> Value:
    """What the file holds minus the zero point, in floating point."""
    if x.rounding is None:
        return _moved(b, "sub", as_float(b, x), zero, axis)
    own = x.rounding
    steps = nearest(b, b.node("div.Tensor", x, setting(b, own.scale, x, own.axis)))
    if is_same(b, zero, own.zero):
        return steps
    return _moved(b, "sub", _moved(b, "add", steps, own.zero, own.axis), zero, axis)


def real(b: Builder, x: Value, scale: Value, zero: Value | None, axis: int = 1) -> Value:
    """The numbers that whole numbers stand for."""
    if x.rounding and is_same(b, scale, x.rounding.scale) and is_same(b, zero, x.rounding.zero):
        return replace(x, rounding=None)
    steps = steps_of(b, x, zero, axis)
    return b.node("mul.Tensor", steps, setting(b, scale, x, axis))


def _moved(b: Builder, operator: str, x: Value, zero: Value | None, axis: int) -> Value:
    offset = number(b, zero)
    if offset is None:
        return b.node(f"{operator}.Tensor", x, as_float(b, setting(b, zero, x, axis)))
    return b.node(f"{operator}.Scalar", x, offset) if offset else x


def is_same(b: Builder, first: Value | None, second: Value | None) -> bool:
    """Whether two scales or zero points are certainly the same; one that is left out is zero."""
    numbers = number(b, first), number(b, second)
    if None in numbers:
        return bool(first and second and first.name and first.name == second.name)
    return numbers[0] == numbers[1]


def number(b: Builder, value: Value | None) -> float | None:
    """A scale's or zero point's only number, where the file has it."""
    if value is None:
        return 0.0
    array = held(b, value) if value.size == 1 else None
    return None if array is None else float(array.reshape(()))


def held(b: Builder, value: Value) -> np.ndarray | None:
    """The numbers, where they are the file's own."""
    if value.name is not None:
        return b.weights[value.name].tensor.numpy() if value.name in b.weights else None
    if any(isinstance(part, Size) for part in value.known.reshape(-1)):
        return None
    return torch.tensor(value.known.tolist(), dtype=value.dtype).numpy()


def setting(b: Builder, value: Value, x: Value, axis: int) -> Value:
    """A scale or zero point as it broadcasts to x: one number, or one for each place of an axis.

    It is no parameter of a layer.
    """
    value = b.tensor(value)
    if value.name in b.weights:
        b.weights[value.name] = replace(b.weights[value.name], is_parameter=False)
    shape = shape_along(value.shape, x.rank, axis)
    return value if shape == value.shape else b.node("reshape.default", value, list(shape))


def shape_along(shape: tuple[int, ...], rank: int, axis: int) -> tuple[int, ...]:
    if len(shape) > 1:
        raise ValueError("its scale has several axes, which is not supported")
    if not shape or shape == (1,):
        return ()
    if not -rank <= axis < rank:
        raise ValueError(f"it has no axis {axis}")
    return tuple(shape[0] if place == axis % rank else 1 for place in range(rank))


def as_float(b: Builder, x: Value) -> Value:
    return x if x.dtype == torch.float32 else b.node("to.dtype", x, torch.float32)
