"""ONNX's operators that pick elements by their place, by torch's.

https://onnx.ai/onnx/operators. A function takes the builder, the inputs, and the attributes as
keywords: an attribute that is no keyword is refused.
"""

from collections.abc import Callable
from typing import Any

import torch

from core.graph.onnx_builder import MOST_KNOWN, Builder, refused
from core.graph.onnx_sizes import Size
from core.graph.onnx_values import Value


def _gather(b: Builder, x: Value, index: Value, *, axis: int = 0) -> Value:
    axis %= max(x.rank, 1)
    if index.is_known and index.rank == 0:
        return b.node("select.int", x, axis, b.whole(index, "index")[0])
    sizes = b.sizes(x)
    flat = _from_start(b, b.node("reshape.default", index, [-1]), sizes[axis])
    taken = b.node("index_select.default", x, axis, flat)
    if index.rank == 1:
        return taken
    return b.node("reshape.default", taken, [*sizes[:axis], *b.sizes(index), *sizes[axis + 1:]])


def _from_start(b: Builder, index: Value, size: int | Size) -> Value:
    """The index with what counts from the end counted from the start."""
    from_end = b.node("lt.Scalar", index, 0)
    return b.node("where.self", from_end, b.node("add.Scalar", index, size), index)


def _gather_elements(b: Builder, x: Value, index: Value, *, axis: int = 0) -> Value:
    return b.node("gather.default", x, axis, _from_start(b, index, b.sizes(x)[axis]))


def _nd_index(b: Builder, x: Value, index: Value) -> list[Value]:
    count = index.shape[-1]
    return [_from_start(b, b.node("select.int", index, -1, n), b.sizes(x)[n]) for n in range(count)]


def _gather_nd(b: Builder, x: Value, index: Value, *, batch_dims: int = 0) -> Value:
    if batch_dims:
        refused(b, "batch_dims")
    return b.node("index.Tensor", x, _nd_index(b, x, index))


def _scatter_nd(b: Builder, x: Value, index: Value, updates: Value, *,
                reduction: str = "none") -> Value:
    if reduction not in ("none", "add"):
        refused(b, f"the reduction {reduction[:20]!r}")
    return b.node("index_put.default", x, _nd_index(b, x, index), updates, reduction == "add")


def _scatter(b: Builder, x: Value, index: Value, updates: Value, *, axis: int = 0,
             reduction: str = "none") -> Value:
    index = _from_start(b, index, b.sizes(x)[axis])
    if reduction == "none":
        return b.node("scatter.src", x, axis, index, updates)
    if reduction != "add":
        refused(b, f"the reduction {reduction[:20]!r}")
    return b.node("scatter_add.default", x, axis, index, updates)


def _one_hot(b: Builder, index: Value, depth: Value, values: Value, *, axis: int = -1) -> Value:
    count = int(b.whole(depth, "depth")[0])
    if not 0 < count <= MOST_KNOWN:
        raise ValueError(f"its depth is {count:,}, the limit is {MOST_KNOWN:,}")
    places = b.known(list(range(count)), torch.int64)
    spread = b.node("unsqueeze.default", _from_start(b, index, count), -1)
    off, on = (b.node("select.int", values, 0, n) for n in (0, 1))
    hot = b.node("where.self", b.node("eq.Tensor", spread, places), on, off)
    return b.node("movedim.int", hot, -1, axis)


def _top_k(b: Builder, x: Value, count: Value | None = None, *, k: int = 0, axis: int = -1,
           largest: int = 1, sorted: int = 1) -> tuple[Value, ...]:
    wanted = k if count is None else b.numbers(count, "count")[0]
    return b.nodes_of_list("topk.default", 2, x, wanted, axis, bool(largest), bool(sorted))


def _cumulated(b: Builder, x: Value, axis: Value, *, exclusive: int = 0, reverse: int = 0) -> Value:
    where = b.whole(axis, "axis")[0]
    total = b.node("flip.default", x, [where]) if reverse else x
    total = b.node("cumsum.default", total, where)
    total = b.node("flip.default", total, [where]) if reverse else total
    return b.node("sub.Tensor", total, x) if exclusive else total


def _triangle(b: Builder, x: Value, diagonal: Value | None = None, *, upper: int = 1) -> Value:
    start = (b.whole(diagonal, "diagonal") or [0])[0]
    return b.node("triu.default" if upper else "tril.default", x, start)


OPERATORS: dict[str, Callable[..., Any]] = {
    "Gather": _gather, "GatherElements": _gather_elements, "GatherND": _gather_nd,
    "ScatterND": _scatter_nd, "ScatterElements": _scatter, "Scatter": _scatter,
    "OneHot": _one_hot, "TopK": _top_k, "CumSum": _cumulated, "Trilu": _triangle,
}
