"""ONNX's layers by torch's: convolution, pooling, normalisation, matrix products, attention.

https://onnx.ai/onnx/operators. A function takes the builder, the inputs, and the attributes as
keywords: an attribute that is no keyword is refused.
"""

import math
from collections.abc import Callable
from typing import Any

from core.errors import UserError
from core.graph.onnx_builder import Builder, Value
from core.graph.onnx_sizes import Size, UndecidedError

Ints = list[int] | None


def _refused(b: Builder, what: str) -> Any:
    raise UserError(f"{b.where}: {what} is not supported. Save the network's state dict.")


def _windows(b: Builder, x: Value, kernel: list[int], strides: Ints, dilations: Ints, pads: Ints,
             auto_pad: str) -> tuple[list[int], list[int], list[int]]:
    """Strides, dilations, and pads (all starts, then all ends) of windows over the last axes."""
    count = len(kernel)
    if count not in (1, 2, 3) or x.rank != count + 2:
        _refused(b, f"a window of {count} axes on a tensor of {x.rank}")
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
        _refused(b, f"the padding {auto_pad[:20]!r}")
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
        _refused(b, "a transposed convolution that is told the size of its output")
    strides, dilations, pads = _windows(b, x, list(weight.shape[2:]), strides, dilations, pads, auto_pad)
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
        _refused(b, "average pooling with dilation")
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


def _batch_norm(b: Builder, x: Value, weight: Value, bias: Value, mean: Value, variance: Value, *,
                epsilon: float = 1e-5, momentum: float = 0.9, training_mode: int = 0,
                spatial: int = 1) -> Value:
    if not spatial:
        _refused(b, "batch normalisation of each pixel by itself (spatial=0)")
    if training_mode and b.is_fixed(x):  # of a weight, as weight-standardised convolutions do
        mean = variance = None
    return b.node("batch_norm.default", x, weight, bias, mean, variance, bool(training_mode),
                  1 - momentum, epsilon, False)


def _instance_norm(b: Builder, x: Value, weight: Value, bias: Value, *,
                   epsilon: float = 1e-5) -> Value:
    return b.node("instance_norm.default", x, weight, bias, None, None, True, 0.0, epsilon, False)


def _layer_norm(b: Builder, x: Value, weight: Value, bias: Value | None = None, *, axis: int = -1,
                epsilon: float = 1e-5, stash_type: int = 1) -> Value:
    shape = _normed_shape(b, x, axis)
    if weight.shape == tuple(shape) and (bias is None or bias.shape == weight.shape):
        return b.node("layer_norm.default", x, shape, weight, bias, epsilon, False)
    scaled = b.node("mul.Tensor", b.node("layer_norm.default", x, shape, None, None, epsilon, False),
                    weight)
    return scaled if bias is None else b.node("add.Tensor", scaled, bias)


def _normed_shape(b: Builder, x: Value, axis: int) -> list[int]:
    shape = b.sizes(x)[axis % x.rank:]
    if any(isinstance(size, Size) for size in shape):
        raise UndecidedError
    return shape


def _rms_norm(b: Builder, x: Value, weight: Value, *, axis: int = -1, epsilon: float = 1e-5,
              stash_type: int = 1) -> Value:
    return b.node("rms_norm.default", x, _normed_shape(b, x, axis), weight, epsilon)


def _group_norm(b: Builder, x: Value, weight: Value, bias: Value, *, num_groups: int,
                epsilon: float = 1e-5, stash_type: int = 1) -> Value:
    channels = x.shape[1]
    if b.opset < 21 and weight.shape != (channels,):  # one number a group
        weight, bias = (b.node("repeat_interleave.self_int", one, channels // num_groups)
                        for one in (weight, bias))
    return b.node("group_norm.default", x, num_groups, weight, bias, epsilon, False)


def _local_norm(b: Builder, x: Value, *, size: int, alpha: float = 1e-4, beta: float = 0.75,
                bias: float = 1.0) -> Value:
    if x.rank != 4:
        _refused(b, f"local response normalisation of {x.rank} axes")
    squares = b.node("unsqueeze.default", b.node("square.default", x), 1)
    wide = b.node("constant_pad_nd.default", squares, [0, 0, 0, 0, (size - 1) // 2, size // 2])
    mean = b.node("avg_pool3d.default", wide, [size, 1, 1], [1, 1, 1])
    scaled = b.node("mul.Scalar", b.node("squeeze.dim", mean, 1), alpha)
    return b.node("div.Tensor", x, b.node("pow.Tensor_Scalar", b.node("add.Scalar", scaled, bias), beta))


def _lp_norm(b: Builder, x: Value, *, axis: int = -1, p: int = 2) -> Value:
    length = b.node("linalg_vector_norm.default", x, p, [axis], True)
    return b.node("div.Tensor", x, b.node("clamp_min.default", length, 1e-30))


def _gemm(b: Builder, x: Value, weight: Value, bias: Value | None = None, *, alpha: float = 1.0,
          beta: float = 1.0, transA: int = 0, transB: int = 0) -> Value:  # noqa: N803
    if alpha == beta == 1.0 and transB and not transA and (bias is None or bias.rank == 1):
        return b.node("linear.default", x, weight, bias)
    x, weight = (b.node("t.default", part) if turned else part
                 for part, turned in ((x, transA), (weight, transB)))
    product = b.node("mm.default", x, weight)
    product = product if alpha == 1.0 else b.node("mul.Scalar", product, alpha)
    if bias is None:
        return product
    return b.node("add.Tensor", product, bias if beta == 1.0 else b.node("mul.Scalar", bias, beta))


def _matmul(b: Builder, x: Value, y: Value) -> Value:
    return b.node("matmul.default", x, y)


def _einsum(b: Builder, *inputs: Value, equation: str) -> Value:
    return b.node("einsum.default", equation, list(inputs))


def _softmax(operator: str) -> Callable[..., Value]:
    def lower(b: Builder, x: Value, *, axis: int | None = None) -> Value:
        if b.opset >= 13:
            return b.node(operator, x, -1 if axis is None else axis)
        axis = (1 if axis is None else axis) % max(x.rank, 1)
        if math.prod(x.shape[axis + 1:]) == 1:
            return b.node(operator, x, axis)
        flat = b.node(operator, b.node("flatten.using_ints", x, axis, -1), axis)  # as before 13
        return b.node("reshape.default", flat, b.sizes(x))

    return lower


def _attention(b: Builder, query: Value, key: Value, value: Value, mask: Value | None = None, *,
               is_causal: int = 0, scale: float | None = None, kv_num_heads: int = 0,
               q_num_heads: int = 0, qk_matmul_output_mode: int = 0, softcap: float = 0.0,
               softmax_precision: int = 0) -> Value:
    if query.rank != 4 or key.shape[1] != query.shape[1] or softcap:
        _refused(b, "attention of this kind")
    return b.node("scaled_dot_product_attention.default", query, key, value, mask, 0.0,
                  bool(is_causal), scale=scale)


OPERATORS: dict[str, Callable[..., Any]] = {
    "Conv": _conv, "ConvTranspose": _conv_transpose, "MaxPool": _max_pool,
    "AveragePool": _average_pool, "GlobalAveragePool": _global_pool("mean.dim"),
    "GlobalMaxPool": _global_pool("amax.default"), "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm, "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm, "GroupNormalization": _group_norm, "LRN": _local_norm,
    "LpNormalization": _lp_norm, "Gemm": _gemm, "MatMul": _matmul, "Einsum": _einsum,
    "Softmax": _softmax("softmax.int"), "LogSoftmax": _softmax("log_softmax.int"),
    "Attention": _attention,
}
