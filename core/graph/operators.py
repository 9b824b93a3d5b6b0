"""The one table of operators that a frozen network may use; whatever is not here is refused."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

from core.errors import UserError
from core.files.text_of_files import shown
from core.graph.checked_operators import REPLACED, SYMBOLIC

aten = torch.ops.aten

_ELEMENTWISE = """
    relu relu6 gelu silu sigmoid tanh hardswish hardsigmoid hardtanh leaky_relu elu selu celu
    softplus mish log_sigmoid abs neg exp exp2 log log2 log10 log1p expm1 sqrt rsqrt
    square reciprocal sin cos tan asin acos atan sinh cosh erf floor ceil round trunc frac sign
    clamp clamp_min clamp_max threshold logical_not bitwise_not isnan isinf nan_to_num prelu glu
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
    rnn_tanh rnn_relu tensordot
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
    slice_scatter broadcast_tensors broadcast_to meshgrid as_strided unfold
"""
_MAKING = "zeros ones full arange linspace eye scalar_tensor"
_MAKING_ALIKE = "zeros_like ones_like full_like new_zeros new_ones new_full"
LAYERS = frozenset(_LAYERS.split())
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
    as_strided pad _unsafe_view unfold
"""
SHARING = frozenset(_SHARING.split())

_SIZES = frozenset(["sym_size", "size", "sym_numel", "numel", "sym_stride", "dim"])


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


@lru_cache(maxsize=1_000)
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
        unlisted = shown(name.removeprefix("unknown."))
        raise UserError(f"the operator {unlisted} of {where or 'a node'} is not on the list of "
                        "operators that Netlens runs, so nothing of it was executed. Export the "
                        "network again with torch.export.export(...).run_decompositions(), or save "
                        "its state dict.")
    return REPLACED.get(base_name(name), function)
