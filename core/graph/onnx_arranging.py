"""ONNX's operators that arrange elements, by torch's.

https://onnx.ai/onnx/operators. A function takes the builder, the inputs, and the attributes as
keywords: an attribute that is no keyword is refused.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import torch

from core.graph.onnx_builder import MOST_KNOWN, Builder, refused
from core.graph.onnx_reductions import axes_of
from core.graph.onnx_sizes import Size, UndecidedError
from core.graph.onnx_values import Value
from core.graph.onnx_windows import torch_pads

Ints = list[int] | None
LONGEST = 1 << 16  # of an axis that is turned around
_PADDED = {"edge": "replicate", "reflect": "reflect", "wrap": "circular"}


def _same(b: Builder, x: Value) -> Value:
    return x


def _dropout(b: Builder, x: Value, *training: Value, ratio: float = 0.5, seed: int = 0) -> Value:
    return x


def _shape(b: Builder, x: Value, *, start: int = 0, end: int | None = None) -> Value:
    return b.known(b.sizes(x)[start:end], torch.int64)


def _size(b: Builder, x: Value) -> Value:
    return b.known(prod(b.sizes(x)), torch.int64, ())


def _reshape(b: Builder, x: Value, shape: Value, *, allowzero: int = 0) -> Value:
    own, wanted = b.sizes(x), b.numbers(shape, "sizes")
    keeps = [not isinstance(size, Size) and size == 0 and not allowzero for size in wanted]
    return b.node("reshape.default", x, [own[n] if keep else size for n, (size, keep)
                                         in enumerate(zip(wanted, keeps, strict=True))])


def _flatten(b: Builder, x: Value, *, axis: int = 1) -> Value:
    axis = axis % x.rank if axis < 0 else axis
    if axis == 1 and x.rank > 1:
        return b.node("flatten.using_ints", x, 1, -1)
    outer = b.sizes(x)[:axis]
    return b.node("reshape.default", x, [prod(outer), -1])


def _transpose(b: Builder, x: Value, *, perm: Ints = None) -> Value:
    return b.node("permute.default", x, perm or list(range(x.rank))[::-1])


def _squeeze(b: Builder, x: Value, where: Value | None = None, *, axes: Ints = None) -> Value:
    found = axes_of(b, x, axes if where is None else where)
    if not found and any(isinstance(size, Size) for size in b.sizes(x)):
        raise UndecidedError
    return b.node("squeeze.dims", x, found or [n for n, size in enumerate(x.shape) if size == 1])


def _unsqueeze(b: Builder, x: Value, where: Value | None = None, *, axes: Ints = None) -> Value:
    said = b.whole(where, "axes") if where is not None else axes or []
    for axis in sorted(axis % (x.rank + len(said)) for axis in said):
        x = b.node("unsqueeze.default", x, axis)
    return x


def _concat(b: Builder, *inputs: Value, axis: int) -> Value:
    return b.node("cat.default", list(inputs), axis)


def _split(b: Builder, x: Value, sizes: Value | None = None, *, axis: int = 0, split: Ints = None,
           num_outputs: int = 0, outputs: int) -> tuple[Value, ...]:
    """outputs: how many the node names."""
    parts = b.whole(sizes, "sizes") if sizes is not None else split
    if parts is None:
        whole, count = b.sizes(x)[axis], num_outputs or outputs
        if isinstance(whole, Size):
            raise UndecidedError
        if not 0 < count <= MOST_KNOWN:
            raise ValueError(f"it splits into {count:,} parts, the limit is {MOST_KNOWN:,}")
        each = -(-whole // count)
        parts = [each] * (count - 1) + [whole - each * (count - 1)]
    return b.nodes_of_list("split_with_sizes.default", len(parts), x, parts, axis)


def _slice(b: Builder, x: Value, first: Value | None = None, last: Value | None = None,
           where: Value | None = None, steps: Value | None = None, *, starts: Ints = None,
           ends: Ints = None, axes: Ints = None) -> Value:
    starts, ends = b.numbers(first, "starts") or starts or [], b.numbers(last, "ends") or ends or []
    axes = axes_of(b, x, axes if where is None else where) or list(range(len(starts)))
    strides = b.whole(steps, "steps") or [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, strides, strict=True):
        if step > 0:
            x = b.node("slice.Tensor", x, axis, start, end, step)
            continue
        size = b.sizes(x)[axis]
        if any(isinstance(part, Size) for part in (size, start, end)):
            raise UndecidedError
        chosen = range(size)[slice(start, None if end < -size else end, step)]
        if len(chosen) > LONGEST:
            raise ValueError(f"it picks {len(chosen):,} elements, the limit is {LONGEST:,}")
        x = b.node("index_select.default", x, axis, b.known(list(chosen), torch.int64))
    return x


def _expand(b: Builder, x: Value, shape: Value) -> Value:
    wanted, own = b.numbers(shape, "sizes"), b.sizes(x)
    missing = len(wanted) - len(own)
    wanted = [1] * -missing + wanted
    own = [1] * missing + own
    sizes = [_expanded_side(size, here) for size, here in zip(wanted, own, strict=True)]
    return b.node("expand.default", x, sizes)


def _expanded_side(wanted: int | Size, own: int | Size) -> int | Size:
    """-1 where it stays as it is. Raises ValueError where the two do not fit."""
    if own == 1:
        return wanted
    if isinstance(wanted, int) and isinstance(own, int) and wanted not in (1, own):
        raise ValueError(f"{own:,} values cannot be expanded to {wanted:,}")
    return -1


def _tile(b: Builder, x: Value, repeats: Value) -> Value:
    return b.node("repeat.default", x, b.numbers(repeats, "repeats"))


def _constant_of_shape(b: Builder, shape: Value, *, value: torch.Tensor | None = None,
                       name: str) -> Value:
    """name: of the node's output."""
    sizes = b.numbers(shape, "sizes")
    fill = 0.0 if value is None else value.reshape(-1)[0].item()
    dtype = torch.float32 if value is None else value.dtype
    if any(isinstance(size, Size) for size in sizes):
        return b.node("full.default", sizes, fill, dtype=dtype)
    return b.add_filled(name, sizes, fill, dtype)


def _range(b: Builder, start: Value, limit: Value, delta: Value) -> Value:
    given = [b.numbers(part, "limits")[0] for part in (start, limit, delta)]
    return b.node("arange.start_step", *given, dtype=start.dtype)


def _pad(b: Builder, x: Value, amounts: Value | None = None, fill: Value | None = None,
         where: Value | None = None, *, pads: Ints = None, mode: str = "constant",
         value: float = 0.0) -> Value:
    said = b.numbers(amounts, "pads") or pads or []
    axes = axes_of(b, x, where) or list(range(x.rank))
    every: list = [0] * 2 * x.rank
    for n, axis in enumerate(axes):
        every[axis], every[x.rank + axis] = said[n], said[len(axes) + n]
    if mode == "constant":
        number = value if fill is None else b.numbers(fill, "fill value")[0]
        return b.node("constant_pad_nd.default", x, torch_pads(every), number)
    ordered = torch_pads(every)
    while len(ordered) > 2 and ordered[-2:] == [0, 0]:
        ordered = ordered[:-2]
    if mode not in _PADDED:
        refused(b, f"the padding {mode[:20]!r}")
    return b.node("pad.default", x, ordered, _PADDED[mode])


def _depth_to_space(b: Builder, x: Value, *, blocksize: int, mode: str = "DCR") -> Value:
    if mode == "CRD":
        return b.node("pixel_shuffle.default", x, blocksize)
    n, c, h, w = b.sizes(x)
    parts = [n, blocksize, blocksize, c // blocksize**2, h, w]
    x = b.node("permute.default", b.node("reshape.default", x, parts), [0, 3, 4, 1, 5, 2])
    return b.node("reshape.default", x, [n, c // blocksize**2, h * blocksize, w * blocksize])


def _space_to_depth(b: Builder, x: Value, *, blocksize: int) -> Value:
    n, c, h, w = b.sizes(x)
    parts = [n, c, h // blocksize, blocksize, w // blocksize, blocksize]
    x = b.node("permute.default", b.node("reshape.default", x, parts), [0, 3, 5, 1, 2, 4])
    return b.node("reshape.default", x, [n, c * blocksize**2, h // blocksize, w // blocksize])


OPERATORS: dict[str, Callable[..., Any]] = {
    "Identity": _same, "Dropout": _dropout, "Shape": _shape, "Size": _size, "Reshape": _reshape,
    "Flatten": _flatten, "Transpose": _transpose, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze,
    "Concat": _concat, "Split": _split, "Slice": _slice, "Expand": _expand, "Tile": _tile,
    "Range": _range, "ConstantOfShape": _constant_of_shape, "Pad": _pad,
    "DepthToSpace": _depth_to_space, "SpaceToDepth": _space_to_depth,
}
