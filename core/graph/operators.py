"""The one table of operators that a frozen network may use; whatever is not here is refused."""

import math
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from core.errors import UserError
from core.text_of_files import shown

aten = torch.ops.aten
MOST_PARTS = 10_000  # tensors that one split may give
LARGEST_NUMBER = 1 << 63

_ELEMENTWISE = """
    relu relu6 gelu silu sigmoid tanh hardswish hardsigmoid hardtanh leaky_relu elu selu celu
    softplus mish log_sigmoid abs neg exp exp2 log log2 log10 log1p expm1 sqrt rsqrt
    square reciprocal sin cos tan asin acos atan sinh cosh erf floor ceil round trunc sign clamp
    clamp_min clamp_max threshold logical_not bitwise_not isnan isinf nan_to_num prelu glu
    hardshrink softshrink dropout feature_dropout alpha_dropout native_dropout pow fill zero
    masked_fill add sub mul div true_divide floor_divide remainder fmod rsub maximum minimum eq
    ne lt le gt ge logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor atan2
    where addcmul addcdiv lerp __and__ __or__ __xor__
"""
_LAYERS = """
    conv1d conv2d conv3d convolution _convolution conv_transpose1d conv_transpose2d
    conv_transpose3d linear addmm mm bmm matmul baddbmm mv dot einsum batch_norm layer_norm
    group_norm instance_norm rms_norm max_pool1d max_pool2d max_pool3d max_pool2d_with_indices
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    adaptive_max_pool1d adaptive_max_pool2d softmax log_softmax _softmax _log_softmax
    scaled_dot_product_attention upsample_nearest1d upsample_nearest2d upsample_nearest3d
    _upsample_nearest_exact2d upsample_bilinear2d upsample_bicubic2d upsample_linear1d
    upsample_trilinear3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa grid_sampler
    grid_sampler_2d affine_grid_generator pixel_shuffle pixel_unshuffle channel_shuffle pad
    constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d
    embedding one_hot cosine_similarity linalg_vector_norm norm im2col lstm gru
"""
_REDUCTIONS = """
    mean sum prod max min amax amin argmax argmin var std var_mean std_mean cumsum cumprod any
    all logsumexp topk sort argsort median count_nonzero
"""
_ARRANGING = """
    view view_as reshape reshape_as flatten unflatten permute transpose t numpy_T swapaxes
    swapdims movedim moveaxis squeeze unsqueeze expand expand_as repeat repeat_interleave tile
    cat concat stack hstack vstack select slice narrow index index_select index_put gather
    scatter scatter_add take_along_dim roll flip rot90 tril triu diagonal contiguous clone
    detach alias lift_fresh_copy lift_fresh to _to_copy type_as copy select_scatter
    slice_scatter broadcast_tensors broadcast_to meshgrid as_strided
"""
_MAKING = "zeros ones full arange linspace eye scalar_tensor"
_MAKING_ALIKE = "zeros_like ones_like full_like new_zeros new_ones new_full"
_ALL = (_ELEMENTWISE, _LAYERS, _REDUCTIONS, _ARRANGING, _MAKING, _MAKING_ALIKE)
ALLOWED = frozenset(" ".join(_ALL).split())

# What takes no tensor from which the device would follow.
MAKING = frozenset([*_MAKING.split(), "empty"])

# Operators with a form that writes into its first argument, spelled with an underscore at the end.
WRITING = frozenset(f"{_ELEMENTWISE} copy index_put squeeze unsqueeze transpose t scatter detach "
                    "cumsum addmm baddbmm tril triu".split())

# Results that may share memory with the first argument; dropout in eval mode returns its input.
_SHARING = """
    view view_as reshape reshape_as flatten unflatten permute transpose t numpy_T swapaxes
    swapdims movedim moveaxis squeeze unsqueeze expand expand_as split split_with_sizes chunk
    tensor_split unbind select slice narrow diagonal contiguous detach alias dropout
    feature_dropout alpha_dropout to type_as lift_fresh broadcast_to broadcast_tensors
    as_strided pad _unsafe_view
"""
SHARING = frozenset(_SHARING.split())

_SIZES = frozenset(["sym_size", "size", "sym_numel", "numel", "sym_stride", "dim"])


def _bounded(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`function` with results within 64 bits; powers and shifts are judged beforehand."""

    def compute(*numbers: Any) -> Any:
        parts = numbers[0] if name == "sym_sum" else numbers
        if not all(isinstance(part, (int, float)) for part in parts):
            raise TypeError("arithmetic on what is no number")
        if name in ("pow", "lshift") and not (abs(parts[0]) < 1 << 31 and 0 <= parts[1] <= 32):
            raise ValueError("a number is too large")
        result = function(*numbers)
        if isinstance(result, int) and abs(result) >= LARGEST_NUMBER:
            raise ValueError("a number is too large")
        return result

    return compute


_OF_PYTHON = "eq ne le ge lt gt neg pos mul add sub floordiv mod pow truediv and_ or_ lshift rshift"
_ARITHMETIC = {name: getattr(operator, name) for name in _OF_PYTHON.split()}
_ARITHMETIC |= {
    "trunc": math.trunc, "floor": math.floor, "ceil": math.ceil, "sqrt": math.sqrt, "round": round,
    "sym_int": int, "sym_float": float, "sym_max": max, "sym_min": min, "sym_not": operator.not_,
    "sym_ite": lambda condition, yes, no: yes if condition else no, "sym_sqrt": math.sqrt,
    "sym_sum": sum,
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


def base_name(name: str) -> str:
    """The operator's name without its kind and overload: "conv2d" of "aten.conv2d.default"."""
    return name.split(".")[1] if "." in name else name


def gives_number(name: str) -> bool:
    """Whether an operator gives a number rather than a tensor."""
    return name.startswith("sym.") or base_name(name) in _SIZES


def without_writing(name: str) -> str | None:
    """The ordinary form of an operator that writes into its first argument, None for any other."""
    kind, base, *overload = name.split(".")
    plain = base.removesuffix("_")
    if kind != "aten" or plain == base or base.endswith("__") or plain not in WRITING:
        return None
    return ".".join([kind, plain, *overload])


def _overload(name: str) -> Any:
    """torch's own operator behind a name on the list, or None; no other attribute is looked up."""
    kind, base, *rest = name.split(".")
    overload = rest[0] if rest else ""
    listed = base in ALLOWED or base in REPLACED or base in _SIZES or without_writing(name)
    if kind != "aten" or not listed or "out" in overload.split("_"):  # those write into others
        return None
    packet = getattr(aten, base, None)
    if not overload or packet is None:
        return packet
    return getattr(packet, overload) if overload in packet.overloads() else None


def positional_names(name: str) -> list[str] | None:
    """What torch calls a tensor operator's positional arguments; None for sums of numbers."""
    schema = getattr(_overload(name), "_schema", None)
    if schema is None:
        return None
    return [argument.name for argument in schema.arguments if not argument.kwarg_only]


def resolve(name: str, where: str = "") -> Callable[..., Any]:
    """The function behind an operator's name. Raises UserError, naming node and operator."""
    kind, _, base = name.partition(".")
    if kind == "sym" and base in SYMBOLIC:
        return SYMBOLIC[base]
    function = _overload(name)
    if function is None:
        raise UserError(f"the operator {shown(name.removeprefix('unknown.'))} of {where or 'a node'} "
                        "is not on the list of operators that Netlens runs, so nothing of it was "
                        "executed. Export the network again with torch.export.export(...)"
                        ".run_decompositions(), or save its state dict.")
    return REPLACED.get(base_name(name), function)
