"""Operators with checks of our own: bounded arithmetic, and torch's that check too little."""

import math
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

aten = torch.ops.aten
MOST_PARTS = 10_000  # tensors that one split may give
LARGEST_NUMBER = 1 << 63


def _power(base: float, exponent: float) -> float:
    """base ** exponent where that is a real number and cheap, as in `width ** -0.5`."""
    if abs(base) >= 1 << 31 or abs(exponent) > 32:
        raise ValueError("a number is too large")
    if base == 0 and exponent < 0:
        raise ValueError("a negative power of 0")
    if base < 0 and not float(exponent).is_integer():
        raise ValueError("a root of a negative number")
    return base ** exponent


def _shifted_left(number: int, places: int) -> int:
    if abs(number) >= 1 << 31 or places > 32:
        raise ValueError("a number is too large")
    return number << places


def _bounded(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`function` of numbers only, with results within 64 bits."""

    def compute(*numbers: Any) -> Any:
        parts = numbers[0] if name == "sym_sum" else numbers
        if not all(isinstance(part, (int, float)) for part in parts):
            raise TypeError("arithmetic on what is no number")
        result = function(*numbers)
        if isinstance(result, int) and abs(result) >= LARGEST_NUMBER:
            raise ValueError("a number is too large")
        return result

    return compute


_OF_PYTHON = "eq ne le ge lt gt neg pos mul add sub floordiv mod truediv and_ or_ rshift"
_ARITHMETIC = {name: getattr(operator, name) for name in _OF_PYTHON.split()}
_ARITHMETIC |= {
    "trunc": math.trunc, "floor": math.floor, "ceil": math.ceil, "sqrt": math.sqrt, "round": round,
    "sym_int": int, "sym_float": float, "sym_max": max, "sym_min": min, "sym_not": operator.not_,
    "sym_ite": lambda condition, yes, no: yes if condition else no, "sym_sqrt": math.sqrt,
    "sym_sum": sum, "pow": _power, "lshift": _shifted_left,
}
SYMBOLIC = {name: _bounded(function, name) for name, function in _ARITHMETIC.items()}


def _checked_count(parts: int) -> None:
    if parts > MOST_PARTS:
        raise ValueError(f"it makes a list of {parts:,} tensors, the limit is {MOST_PARTS:,}")


def _split(tensor: torch.Tensor, size: int | list[int], dim: int = 0) -> tuple[torch.Tensor, ...]:
    _checked_count(tensor.shape[dim] // max(size, 1) if isinstance(size, int) else len(size))
    return tensor.split(size, dim)


def _chunk(tensor: torch.Tensor, chunks: int, dim: int = 0) -> tuple[torch.Tensor, ...]:
    _checked_count(chunks)
    return tensor.chunk(chunks, dim)


def _tensor_split(tensor: torch.Tensor, sections: int | list[int],
                  dim: int = 0) -> tuple[torch.Tensor, ...]:
    _checked_count(sections if isinstance(sections, int) else len(sections))
    return tensor.tensor_split(sections, dim)


def _unbind(tensor: torch.Tensor, dim: int = 0) -> tuple[torch.Tensor, ...]:
    _checked_count(tensor.shape[dim])
    return tensor.unbind(dim)


# What decomposed exports call in place of the public operators, and what checks too little
# (https://github.com/pytorch/pytorch/security/policy): run as the public operators, with the
# statistics that nobody reads left empty.
def _batch_norm(x: torch.Tensor, weight: Any, bias: Any, mean: torch.Tensor, variance: torch.Tensor,
                momentum: float, eps: float) -> tuple[torch.Tensor, ...]:
    normed = functional.batch_norm(x, mean, variance, weight, bias, False, momentum, eps)
    return normed, x.new_zeros(0), x.new_zeros(0)


def _layer_norm(x: torch.Tensor, shape: list[int], weight: Any, bias: Any, eps: float
                ) -> tuple[torch.Tensor, ...]:
    return functional.layer_norm(x, shape, weight, bias, eps), x.new_zeros(0), x.new_zeros(0)


def _group_norm(x: torch.Tensor, weight: Any, bias: Any, n: int, c: int, hw: int, group: int,
                eps: float) -> tuple[torch.Tensor, ...]:
    return functional.group_norm(x, group, weight, bias, eps), x.new_zeros(0), x.new_zeros(0)


def _attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, dropout_p: float = 0.0,
               is_causal: bool = False, *, attn_mask: torch.Tensor | None = None,
               scale: float | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    attended = functional.scaled_dot_product_attention(query, key, value, attn_mask,
                                                       is_causal=is_causal, scale=scale)
    return attended, query.new_zeros(0)


def _zeroed(make: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """`empty` and its like as zeros: never show what was in memory before."""

    def zeros(*sizes: Any, memory_format: Any = None, **options: Any) -> torch.Tensor:
        return make(*sizes, **options)

    return zeros


REPLACED: dict[str, Callable[..., Any]] = {
    "split": _split, "split_with_sizes": _split, "chunk": _chunk, "tensor_split": _tensor_split,
    "unbind": _unbind, "empty": _zeroed(aten.zeros), "empty_like": _zeroed(aten.zeros_like),
    "new_empty": _zeroed(aten.new_zeros), "_native_batch_norm_legit_no_training": _batch_norm,
    "native_layer_norm": _layer_norm, "native_group_norm": _group_norm,
    "_scaled_dot_product_flash_attention_for_cpu": _attention, "_unsafe_view": aten.reshape,
    "_adaptive_avg_pool2d": aten.adaptive_avg_pool2d,
    "_adaptive_avg_pool3d": aten.adaptive_avg_pool3d,
}
