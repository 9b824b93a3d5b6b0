"""Arithmetic on numbers and on Sizes, as ONNX defines it."""

import math
from collections.abc import Callable
from typing import Any

from core.graph.onnx_sizes import Size, UndecidedError


def divided(a: Any, b: Any) -> Any:
    """The quotient; of whole numbers, rounded toward zero."""
    if isinstance(a, float) or isinstance(b, float) or is_float(a) or is_float(b):
        return a / b if isinstance(b, Size) or b else math.nan
    quotient = a // b
    if not isinstance(quotient, Size) and a % b and (a < 0) != (b < 0):
        return quotient + 1  # toward zero
    return quotient


def is_float(number: Any) -> bool:
    return isinstance(number, Size) and any(isinstance(value, float) for value in number.values)


def root(a: Any) -> Any:
    return a.computed("sqrt", a) if isinstance(a, Size) else math.sqrt(a) if a >= 0 else math.nan


def power(a: Any, b: Any) -> Any:
    if isinstance(a, Size) or isinstance(b, Size):
        if b == 0.5:
            return root(a)
        raise UndecidedError
    if isinstance(b, int) and not (abs(a) < 1 << 31 and 0 <= b <= 32):
        raise ValueError("a number is too large")
    return a ** b


def rounded(name: str) -> Callable[[Any], Any]:
    def compute(a: Any) -> Any:
        if isinstance(a, Size):
            return a.computed(name, a) if is_float(a) else a
        return getattr(math, name)(a)

    return compute


def larger(a: Any, b: Any) -> Any:
    first = next((part for part in (a, b) if isinstance(part, Size)), None)
    return first.computed("sym_max", a, b) if first is not None else max(a, b)


def smaller(a: Any, b: Any) -> Any:
    first = next((part for part in (a, b) if isinstance(part, Size)), None)
    return first.computed("sym_min", a, b) if first is not None else min(a, b)
