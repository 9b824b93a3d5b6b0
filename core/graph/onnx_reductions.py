"""ONNX's reductions over axes by torch's.

https://onnx.ai/onnx/operators. A function takes the builder, the inputs, and the attributes as
keywords: an attribute that is no keyword is refused.
"""

from collections.abc import Callable
from typing import Any

from core.graph.onnx_builder import Builder, refused
from core.graph.onnx_values import Value

Lowering = Callable[..., Any]


def axes_of(b: Builder, x: Value, axes: Value | list[int] | None) -> list[int]:
    """Axes from an input or an attribute, from 0 on."""
    said = b.whole(axes, "axes") if isinstance(axes, Value) else axes
    return [axis % max(x.rank, 1) for axis in said or []]


def _reduction(lower: Callable[[Builder, Value, list[int], bool], Value]) -> Lowering:
    def reduce(b: Builder, x: Value, where: Value | None = None, *, axes: list[int] | None = None,
               keepdims: int = 1, noop_with_empty_axes: int = 0) -> Value:
        found = axes_of(b, x, axes if where is None else where)
        if not found and noop_with_empty_axes:
            return x
        return lower(b, x, found or list(range(x.rank)), bool(keepdims))

    return reduce


def _reduced(operator: str) -> Lowering:
    return _reduction(lambda b, x, axes, keep: b.node(operator, x, axes, keep))


def _product(b: Builder, x: Value, axes: list[int], keep: bool) -> Value:
    for axis in sorted(axes, reverse=True):
        x = b.node("prod.dim_int", x, axis, keep)
    return x


def _sum_of(first: str) -> Callable[[Builder, Value, list[int], bool], Value]:
    return lambda b, x, axes, keep: _sum(b, b.node(f"{first}.default", x), axes, keep)


def _then(after: str, lower: Callable[..., Value]) -> Callable[..., Value]:
    return lambda *given: given[0].node(f"{after}.default", lower(*given))


def _sum(b: Builder, x: Value, axes: list[int], keep: bool) -> Value:
    return b.node("sum.dim_IntList", x, axes, keep)


def _index_of(name: str) -> Lowering:
    def lower(b: Builder, x: Value, *, axis: int = 0, keepdims: int = 1,
              select_last_index: int = 0) -> Value:
        if select_last_index:
            refused(b, "select_last_index")
        return b.node(f"{name}.default", x, axis, bool(keepdims))

    return lower


OPERATORS: dict[str, Lowering] = {
    "ReduceMean": _reduced("mean.dim"), "ReduceSum": _reduced("sum.dim_IntList"),
    "ReduceMax": _reduced("amax.default"), "ReduceMin": _reduced("amin.default"),
    "ReduceProd": _reduction(_product), "ReduceLogSumExp": _reduced("logsumexp.default"),
    "ReduceL1": _reduction(_sum_of("abs")), "ReduceSumSquare": _reduction(_sum_of("square")),
    "ReduceL2": _reduction(_then("sqrt", _sum_of("square"))),
    "ReduceLogSum": _reduction(_then("log", _sum)), "ArgMax": _index_of("argmax"),
    "ArgMin": _index_of("argmin"),
}
