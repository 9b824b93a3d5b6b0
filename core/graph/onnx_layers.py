"""ONNX's normalisation, matrix products and attention by torch's.

https://onnx.ai/onnx/operators. A function takes the builder, the inputs, and the attributes as
keywords: an attribute that is no keyword is refused.
"""

import math
from collections.abc import Callable
from typing import Any

from core.graph.onnx_builder import Builder, refused
from core.graph.onnx_sizes import Size, UndecidedError
from core.graph.onnx_values import Value


def _batch_norm(b: Builder, x: Value, weight: Value, bias: Value, mean: Value, variance: Value, *,
                epsilon: float = 1e-5, momentum: float = 0.9, training_mode: int = 0,
                spatial: int = 1) -> Value:
    if not spatial:
        refused(b, "batch normalisation of each pixel by itself (spatial=0)")
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
    normed = b.node("layer_norm.default", x, shape, None, None, epsilon, False)
    scaled = b.node("mul.Tensor", normed, weight)
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
        refused(b, f"local response normalisation of {x.rank} axes")
    squares = b.node("unsqueeze.default", b.node("square.default", x), 1)
    wide = b.node("constant_pad_nd.default", squares, [0, 0, 0, 0, (size - 1) // 2, size // 2])
    mean = b.node("avg_pool3d.default", wide, [size, 1, 1], [1, 1, 1])
    scaled = b.node("mul.Scalar", b.node("squeeze.dim", mean, 1), alpha)
    moved = b.node("add.Scalar", scaled, bias)
    return b.node("div.Tensor", x, b.node("pow.Tensor_Scalar", moved, beta))


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
        refused(b, "attention of this kind")
    return b.node("scaled_dot_product_attention.default", query, key, value, mask, 0.0,
                  bool(is_causal), scale=scale)


OPERATORS: dict[str, Callable[..., Any]] = {
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm, "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm, "GroupNormalization": _group_norm, "LRN": _local_norm,
    "LpNormalization": _lp_norm, "Gemm": _gemm, "MatMul": _matmul, "Einsum": _einsum,
    "Softmax": _softmax("softmax.int"), "LogSoftmax": _softmax("log_softmax.int"),
    "Attention": _attention,
}
