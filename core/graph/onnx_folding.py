"""Operators on values that reading the file tells, such as sizes: done at once, not on each run.

Elements are Python numbers, or Sizes, which write the arithmetic down.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from core.graph.checked_operators import LARGEST_NUMBER
from core.graph.onnx_builder import MOST_KNOWN, Builder
from core.graph.onnx_numbers import divided, is_float, larger, power, root, rounded, smaller
from core.graph.onnx_sizes import Size
from core.graph.onnx_tensors import WORKING
from core.graph.onnx_values import Value

MOST_PARTS = 256  # of a split of known numbers; sizes are split into a few


def fold(builder: Builder, name: str, inputs: list[Value | None],
         attributes: dict[str, Any]) -> tuple[Value, ...] | None:
    """The results of an operator whose inputs are all known; None where it must be a node."""
    if name not in _FOLDED or not inputs or not all(
            value.is_known if value else name == "Clip" for value in inputs):
        return None
    if name == "Reshape" and not inputs[0].is_literal and inputs[0].dtype.is_floating_point:
        return None  # a bias stays a layer's parameter
    function, dtype = _FOLDED[name]
    result_type = dtype or inputs[1 if name == "Where" else 0].dtype
    if name == "Cast":
        result_type = WORKING.get(attributes["to"])
    elif name == "ConstantOfShape":
        result_type = attributes["value"].dtype if "value" in attributes else torch.float32
    builder.spend(sum(value.size for value in inputs if value))
    try:
        results = function(builder, *(value and value.known for value in inputs), **attributes)
    except TypeError:
        return None  # attributes of another kind: the operator itself says which
    several = results if isinstance(results, list) else [results]
    if result_type is None or sum(np.size(part) for part in several) > MOST_KNOWN:
        return None
    for part in several:
        for number in np.ravel(part):
            _bounded(number)
    return tuple(builder.known(part, result_type, np.shape(part)) for part in several)


def _bounded(number: Any) -> Any:
    if isinstance(number, int) and abs(number) >= LARGEST_NUMBER:
        raise ValueError("a number has more than 64 bits")
    return number


def _each(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """A function of numbers, for each element."""
    each = np.frompyfunc(function, function.__code__.co_argcount, 1)

    def compute(builder: Builder, *arrays: np.ndarray) -> np.ndarray:
        if math.prod(np.broadcast_shapes(*(a.shape for a in arrays))) > MOST_KNOWN:
            raise TypeError
        return np.asarray(each(*arrays), object)

    return compute


def _cast(builder: Builder, x: np.ndarray, *, to: int, saturate: int = 1) -> np.ndarray:
    dtype = WORKING[to]

    def one(a: Any) -> Any:
        if isinstance(a, Size):
            name = "sym_float" if dtype.is_floating_point else "trunc" if is_float(a) else ""
            return a.computed(name, a) if name else a
        return bool(a) if dtype == torch.bool else float(a) if dtype.is_floating_point else int(a)

    return np.asarray(np.frompyfunc(one, 1, 1)(x), object)


def _clipped(builder: Builder, x: np.ndarray, low: np.ndarray | None = None,
             high: np.ndarray | None = None, *, min: float | None = None,
             max: float | None = None) -> np.ndarray:
    for pair, bound in ((larger, min if low is None else low),
                        (smaller, max if high is None else high)):
        x = x if bound is None else np.frompyfunc(pair, 2, 1)(x, bound)
    return np.asarray(x, object)


def _remainder(builder: Builder, x: np.ndarray, y: np.ndarray, *, fmod: int = 0) -> np.ndarray:
    if fmod or not np.all(y):
        raise TypeError
    return _each(lambda a, b: a % b)(builder, x, y)


def _turned(builder: Builder, x: np.ndarray, *, perm: list[int] | None = None) -> np.ndarray:
    return x.transpose(perm)


def _axes_removed(builder: Builder, x: np.ndarray, where: np.ndarray | None = None, *,
                  axes: list[int] | None = None) -> np.ndarray:
    axes = axes if where is None else where.reshape(-1).tolist()
    return x.squeeze(None if axes is None else tuple(axes))


def _axes_added(builder: Builder, x: np.ndarray, where: np.ndarray | None = None, *,
                axes: list[int] | None = None) -> np.ndarray:
    return np.expand_dims(x, tuple(axes if where is None else where.reshape(-1).tolist()))


def _sliced(builder: Builder, x: np.ndarray, *inputs: np.ndarray, starts: list[int] | None = None,
            ends: list[int] | None = None, axes: list[int] | None = None) -> np.ndarray:
    told = [part.reshape(-1).tolist() for part in inputs]
    starts, ends, axes, steps = (*told, *(starts, ends, axes, None)[len(told):])
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes or range(len(starts)), starts, ends,
                                      steps or [1] * len(starts), strict=True):
        index[axis] = slice(start, None if step < 0 and end < -x.shape[axis] else end, step)
    return x[tuple(index)]


def _reshaped(builder: Builder, x: np.ndarray, shape: np.ndarray, *,
              allowzero: int = 0) -> np.ndarray:
    wanted = shape.reshape(-1).tolist()
    return x.reshape([x.shape[n] if size == 0 and not allowzero else size
                      for n, size in enumerate(wanted)])


def _split(builder: Builder, x: np.ndarray, sizes: np.ndarray, *,
           axis: int = 0) -> list[np.ndarray]:
    if len(sizes) > MOST_PARTS:
        raise TypeError
    return np.split(x, np.cumsum(sizes.reshape(-1).tolist())[:-1], axis)


def _reduced(function: Callable[[Any, Any], Any]) -> Callable[..., np.ndarray]:
    """Of one axis of sizes, as exports do it."""
    pair = np.frompyfunc(function, 2, 1)

    def compute(builder: Builder, x: np.ndarray, where: np.ndarray | None = None, *,
                axes: list[int] | None = None, keepdims: int = 1) -> np.ndarray:
        said = axes if where is None else where.reshape(-1).tolist()
        if x.ndim != 1 or not x.size or said not in (None, [0], [-1]):
            raise TypeError
        return np.asarray(pair.reduce(x, keepdims=bool(keepdims)), object)

    return compute


def _filled(builder: Builder, shape: np.ndarray, *,
            value: torch.Tensor | None = None) -> np.ndarray:
    sizes = shape.reshape(-1).tolist()
    if any(isinstance(size, Size) for size in sizes) or math.prod(sizes) > 64:
        raise TypeError
    filled = np.empty(sizes, object)
    filled[...] = 0.0 if value is None else value.reshape(-1)[0].item()
    return filled


def _counted(builder: Builder, start: np.ndarray, limit: np.ndarray,
             delta: np.ndarray) -> np.ndarray:
    low, high, step = (part.reshape(-1)[0] for part in (start, limit, delta))
    if any(isinstance(part, Size) for part in (low, high, step)):
        raise TypeError
    count = max(0, math.ceil((high - low) / step))
    if count > MOST_KNOWN:
        raise TypeError
    return np.array([low + n * step for n in range(count)], object)


def _expanded(builder: Builder, x: np.ndarray, shape: np.ndarray) -> np.ndarray:
    sizes = shape.reshape(-1).tolist()
    if any(isinstance(size, Size) for size in sizes):
        raise TypeError
    wanted = np.broadcast_shapes(x.shape, tuple(sizes))
    if math.prod(wanted) > MOST_KNOWN:
        raise TypeError
    return np.broadcast_to(x, wanted)


def _taken(builder: Builder, x: np.ndarray, index: np.ndarray, *, axis: int = 0) -> np.ndarray:
    if index.size * (x.size // max(x.shape[axis], 1)) > MOST_KNOWN:
        raise TypeError
    return np.take(x, index.astype(np.int64), axis)


def _joined(builder: Builder, *parts: np.ndarray, axis: int) -> np.ndarray:
    if sum(part.size for part in parts) > MOST_KNOWN:
        raise TypeError
    return np.concatenate(parts, axis)


_SAME, _TRUTH, _INT = None, torch.bool, torch.int64
_FOLDED: dict[str, tuple[Callable[..., Any], torch.dtype | None]] = {
    "Add": (_each(lambda a, b: a + b), _SAME), "Sub": (_each(lambda a, b: a - b), _SAME),
    "Mul": (_each(lambda a, b: a * b), _SAME), "Div": (_each(divided), _SAME),
    "Neg": (_each(lambda a: -a), _SAME), "Mod": (_remainder, _SAME), "Transpose": (_turned, _SAME),
    "Sqrt": (_each(root), _SAME),
    "Pow": (_each(power), _SAME), "Floor": (_each(rounded("floor")), _SAME),
    "Ceil": (_each(rounded("ceil")), _SAME), "Cast": (_cast, _SAME),
    "Clip": (_clipped, _SAME), "Max": (_each(larger), _SAME), "Min": (_each(smaller), _SAME),
    "Reciprocal": (_each(lambda a: divided(1.0, a)), _SAME),
    "Equal": (_each(lambda a, b: a == b), _TRUTH), "Less": (_each(lambda a, b: a < b), _TRUTH),
    "Greater": (_each(lambda a, b: a > b), _TRUTH), "Not": (_each(lambda a: not a), _TRUTH),
    "And": (_each(lambda a, b: a and b), _TRUTH), "Or": (_each(lambda a, b: a or b), _TRUTH),
    "Where": (_each(lambda c, a, b: a if c else b), _SAME),
    "Squeeze": (_axes_removed, _SAME), "Unsqueeze": (_axes_added, _SAME),
    "Slice": (_sliced, _SAME), "Gather": (_taken, _SAME), "Concat": (_joined, _SAME),
    "Reshape": (_reshaped, _SAME), "Split": (_split, _SAME), "Expand": (_expanded, _SAME),
    "ReduceProd": (_reduced(lambda a, b: _bounded(a * b)), _SAME),
    "ReduceSum": (_reduced(lambda a, b: a + b), _SAME),
    "ReduceMax": (_reduced(larger), _SAME), "ReduceMin": (_reduced(smaller), _SAME),
    "ConstantOfShape": (_filled, _INT), "Range": (_counted, _SAME),
}
