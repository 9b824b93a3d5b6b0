"""ONNX's convolution and pooling by torch's.

https://onnx.ai/onnx/operators. A function takes the builder, the inputs, and the attributes as
keywords: an attribute that is no keyword is refused.
"""

import math
from collections.abc import Callable
from typing import Any

from core.graph.onnx_builder import Builder, refused
from core.graph.onnx_sizes import Size, UndecidedError
from core.graph.onnx_values import Value

Ints = list[int] | None


def _windows(b: Builder, x: Value, kernel: list[int], strides: Ints, dilations: Ints, pads: Ints,
             auto_pad: str) -> tuple[list[int], list[int], list[int]]:
    """Strides, dilations, and pads (all starts, then all ends) of windows over the last axes."""
    count = len(kernel)
    if count not in (1, 2, 3) or x.rank != count + 2:
        refused(b, f"a window of {count} axes on a tensor of {x.rank}")
    strides, dilations = strides or [1] * count, dilations or [1] * count
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        starts, ends = [], []
        for size, window, stride, spread in zip(b.sizes(x)[2:], kernel, strides, dilations,
                                                strict=True):
            total = _same(size, (window - 1) * spread + 1, stride)
            few, many = total // 2, total - total // 2
            starts.append(few if auto_pad == "SAME_UPPER" else many)
            ends.append(many if auto_pad == "SAME_UPPER" else few)
        return strides, dilations, starts + ends
    if auto_pad not in ("NOTSET", "VALID", ""):
        refused(b, f"the padding {auto_pad[:20]!r}")
    return strides, dilations, (None if auto_pad == "VALID" else pads) or [0] * 2 * count


def _same(size: int | Size, window: int, stride: int) -> int:
    """How much padding keeps ceil(size / stride)."""
    if stride == 1:
        return window - 1
    if isinstance(size, Size):
        raise UndecidedError
    return max((-(-size // stride) - 1) * stride + window - size, 0)


def torch_pads(pads: list) -> list:
    """ONNX's order of pads as torch's: last axis first, start and end together."""
    count = len(pads) // 2
    return [pad for axis in reversed(range(count)) for pad in (pads[axis], pads[count + axis])]


def _padded(b: Builder, x: Value, pads: list[int], fill: float = 0.0) -> Value:
    return b.node("constant_pad_nd.default", x, torch_pads(pads), fill) if any(pads) else x


def _conv(b: Builder, x: Value, weight: Value, bias: Value | None = None, *,
          kernel_shape: Ints = None, strides: Ints = None, dilations: Ints = None,
          pads: Ints = None, group: int = 1, auto_pad: str = "NOTSET") -> Value:
    kernel = list(weight.shape[2:])
    strides, dilations, pads = _windows(b, x, kernel, strides, dilations, pads, auto_pad)
    count = len(kernel)
    if pads[:count] != pads[count:] or min(pads) < 0:
        x, pads = _padded(b, x, pads), [0] * count
    return b.node(f"conv{count}d.default", x, weight, bias, strides, pads[:count], dilations, group)


def _conv_transpose(b: Builder, x: Value, weight: Value, bias: Value | None = None, *,
                    kernel_shape: Ints = None, strides: Ints = None, dilations: Ints = None,
                    pads: Ints = None, group: int = 1, auto_pad: str = "NOTSET",
                    output_padding: Ints = None, output_shape: Ints = None) -> Value:
    count = weight.rank - 2
    if output_shape or auto_pad.startswith("SAME"):
        refused(b, "a transposed convolution that is told the size of its output")
    kernel = list(weight.shape[2:])
    strides, dilations, pads = _windows(b, x, kernel, strides, dilations, pads, auto_pad)
    extra = output_padding or [0] * count
    even = pads[:count] == pads[count:]
    y = b.node(f"conv_transpose{count}d.{'default' if count == 1 else 'input'}", x, weight, bias,
               strides, pads[:count] if even else [0] * count, extra, group, dilations)
    return y if even else b.node("constant_pad_nd.default", y, torch_pads([-pad for pad in pads]))


def _max_pool(b: Builder, x: Value, *, kernel_shape: list[int], strides: Ints = None,
              dilations: Ints = None, pads: Ints = None, ceil_mode: int = 0,
              auto_pad: str = "NOTSET", storage_order: int = 0) -> Value:
    strides, dilations, pads = _windows(b, x, kernel_shape, strides, dilations, pads, auto_pad)
    count = len(kernel_shape)
    if pads[:count] != pads[count:] or _too_wide(pads, kernel_shape):
        x, pads = _padded(b, x, pads, -math.inf), [0] * count
    return b.node(f"max_pool{count}d.default", x, kernel_shape, strides, pads[:count], dilations,
                  bool(ceil_mode))


def _too_wide(pads: list[int], kernel: list[int]) -> bool:
    """Whether torch's pooling would refuse the pads."""
    return min(pads) < 0 or any(2 * pad > size for pad, size in zip(pads, kernel * 2, strict=True))


def _average_pool(b: Builder, x: Value, *, kernel_shape: list[int], strides: Ints = None,
                  dilations: Ints = None, pads: Ints = None, ceil_mode: int = 0,
                  auto_pad: str = "NOTSET", count_include_pad: int = 0) -> Value:
    strides, dilations, pads = _windows(b, x, kernel_shape, strides, dilations, pads, auto_pad)
    if max(dilations) > 1:
        refused(b, "average pooling with dilation")
    count = len(kernel_shape)

    def pooled(over: Value, pads: list[int], include: bool = True) -> Value:
        return b.node(f"avg_pool{count}d.default", over, kernel_shape, strides, pads,
                      bool(ceil_mode), include)

    if pads[:count] == pads[count:] and not _too_wide(pads, kernel_shape):
        return pooled(x, pads[:count], bool(count_include_pad))
    ones = b.node("ones_like.default", x)
    share = pooled(_padded(b, ones, pads, float(count_include_pad)), [0] * count)
    return b.node("div.Tensor", pooled(_padded(b, x, pads), [0] * count), share)


def _global_pool(operator: str) -> Callable[[Builder, Value], Value]:
    return lambda b, x: b.node(operator, x, list(range(2, x.rank)), True)


OPERATORS: dict[str, Callable[..., Any]] = {
    "Conv": _conv, "ConvTranspose": _conv_transpose, "MaxPool": _max_pool,
    "AveragePool": _average_pool, "GlobalAveragePool": _global_pool("mean.dim"),
    "GlobalMaxPool": _global_pool("amax.default"),
}
