"""Shapes without numbers: torch's meta device, with the commonest operators answered here.

torch computes them by Python versions of its operators, which take their time and import its
compiler and triton (1.5 s, 150 MB); what is not answered here still goes that way.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Shapes(TorchDispatchMode):
    """Inside, what runs on the meta device is answered by this table where it can be."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch imports its compiler for the first operator

    def __torch_dispatch__(self, function: Any, types: Any, args: tuple = (),
                           kwargs: dict[str, Any] | None = None) -> Any:
        name, kwargs = function.overloadpacket.__name__, kwargs or {}
        found = None
        if torch.Tag.pointwise in function.tags or name in _ELEMENTWISE:
            found = _elementwise(function, args, kwargs)
        elif name in _SIMPLER and not function._schema.is_mutable:
            found = _SIMPLER[name](*args, **kwargs)
        return function(*args, **kwargs) if found is None else found


def _elementwise(function: Any, args: tuple, kwargs: dict[str, Any]) -> torch.Tensor | None:
    """The result's shape by broadcasting, its type by a run on single elements; None for what
    gives or takes something else."""
    tensors = [part for part in (*args, *kwargs.values()) if isinstance(part, torch.Tensor)]
    laid_out = any(argument.name == "memory_format" for argument in function._schema.arguments)
    lists = any(isinstance(part, (list, tuple)) for part in args)
    if laid_out or lists or not tensors or len(function._schema.returns) != 1:
        return None
    # torch's own broadcast_shapes imports sympy (1 s)
    shape = torch.Size(np.broadcast_shapes(*(tensor.shape for tensor in tensors)))
    if function._schema.is_mutable:
        if args[0].shape != shape:
            raise ValueError("it writes more elements than there is room for")
        return args[0]

    def single(part: Any) -> Any:
        if not isinstance(part, torch.Tensor):
            return part
        return torch.ones((1,) * part.dim(), dtype=part.dtype)  # what has no axes promotes less

    alone = function(*map(single, args), **{name: single(part) for name, part in kwargs.items()})
    like = next((tensor for tensor in tensors if tensor.shape == shape), None)
    if like is None:
        return torch.empty(shape, dtype=alone.dtype, device="meta")
    return _alike(like, alone.dtype)


def _alike(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """`empty_like` that keeps the order in memory; torch's own imports sympy for that."""
    steps, reached = [0] * tensor.dim(), 1
    for axis in sorted(range(tensor.dim()), key=tensor.stride):
        if tensor.shape[axis] > 1 and tensor.stride(axis) < reached:  # elements overlap
            return torch.empty_like(tensor, dtype=dtype, device="meta")
        steps[axis], reached = reached, reached * tensor.shape[axis]
    return torch.empty_strided(tensor.shape, steps, dtype=dtype, device="meta")


def _normed(x: torch.Tensor, *rest: Any, **options: Any) -> tuple[torch.Tensor, ...]:
    """The input's like, and two statistics that nobody reads in evaluation mode."""
    layout = torch.channels_last if _is_channels_last(x) else torch.contiguous_format
    return torch.empty_like(x, memory_format=layout), x.new_empty(0), x.new_empty(0)


def _layer_normed(x: torch.Tensor, *rest: Any, **options: Any) -> tuple[torch.Tensor, ...]:
    return _same_shape(x), x.new_empty(0), x.new_empty(0)


def _same_shape(x: torch.Tensor, *rest: Any, **options: Any) -> torch.Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _softmaxed(x: torch.Tensor, dim: int, half_to_float: bool) -> torch.Tensor | None:
    return _same_shape(x) if -x.dim() <= dim < x.dim() and not half_to_float else None


def _averaged(x: torch.Tensor, dims: list[int] | None = None, keepdim: bool = False, *,
              dtype: torch.dtype | None = None) -> torch.Tensor:
    """The shape of a mean; that of a sum, which does not divide, where it is not plain."""
    axes = {dim % x.dim() for dim in dims or range(x.dim()) if -x.dim() <= dim < x.dim()}
    if not x.is_contiguous() or not x.dtype.is_floating_point or len(axes) < len(dims or ()):
        return torch.ops.aten.sum(x, *(() if dims is None else (dims, keepdim)), dtype=dtype)
    sides = [1 if axis in axes else side for axis, side in enumerate(x.shape)
             if keepdim or axis not in axes]
    return x.new_empty(sides, dtype=dtype or x.dtype)


def _product(axes: int) -> Callable[..., torch.Tensor]:
    """A product of matrices, or of as many of them."""

    def shape(one: torch.Tensor, other: torch.Tensor, *rest: Any) -> torch.Tensor | None:
        plain = (not rest and one.dim() == other.dim() == axes and one.dtype == other.dtype
                 and one.shape[-1] == other.shape[-2] and one.shape[:-2] == other.shape[:-2])
        return one.new_empty((*one.shape[:-1], other.shape[-1])) if plain else None

    return shape


def _added(product: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A matrix product plus something of a shape that broadcasts to it."""

    def shape(added: torch.Tensor, one: torch.Tensor, other: torch.Tensor,
              **factors: Any) -> torch.Tensor:
        result = _product(one.dim())(one, other)
        if result is None:
            result = product(one, other)
        added.expand(result.shape)
        return result

    return shape


def _joined(tensors: list[torch.Tensor], dim: int = 0) -> torch.Tensor | None:
    """`cat` of tensors of one type, none of them channels-last."""
    axis = dim % max(tensors[0].dim(), 1)
    kinds = {(part.dtype, part.dim(), *part.shape[:axis], -1, *part.shape[axis + 1:])
             for part in tensors}
    if len(kinds) > 1 and len({(part.dtype, part.dim()) for part in tensors}) == 1:
        raise ValueError("tensors to be joined differ along another axis")  # torch's is slow to say
    if len(kinds) > 1 or tensors[0].dim() == 0 or any(map(_is_channels_last, tensors)):
        return None
    shape = list(tensors[0].shape)
    shape[axis] = sum(part.shape[axis] for part in tensors)
    return tensors[0].new_empty(shape)


def _stacked(tensors: list[torch.Tensor], dim: int = 0) -> torch.Tensor | None:
    return _joined([part.unsqueeze(dim) for part in tensors], dim)


def _convolved(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, stride: list[int],
               padding: list[int], dilation: list[int], transposed: bool,
               output_padding: list[int], groups: int, *rest: Any) -> torch.Tensor | None:
    """The plain ones: torch asks its solver of equations, sympy (1 s to import), even for these."""
    sides = list(zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=False))
    fits = (x.dim() == weight.dim() == len(sides) + 2 and x.dtype == weight.dtype
            and weight.shape[1] * groups == x.shape[1] and not weight.shape[0] % max(groups, 1)
            and (bias is None or bias.shape == weight.shape[:1]))
    plain = x.numel() and weight.numel() and min(*stride, *dilation, 1) > 0 <= min(*padding, 0)
    if transposed or not sides or not fits or not plain or any(map(_is_channels_last, (x, weight))):
        return None
    made = [(side + 2 * pad - step * (kernel - 1) - 1) // move + 1
            for side, kernel, move, pad, step in sides]
    return x.new_empty((x.shape[0], weight.shape[0], *made)) if min(made) > 0 else None


def _pooled(x: torch.Tensor, kernel: list[int], stride: list[int] | tuple = (),
            padding: list[int] | tuple = (0,), dilation: list[int] | tuple = (1,),
            ceil_mode: bool = False) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The largest of each window, and where it was."""
    if ceil_mode or x.dim() != 4 or not x.numel() or _is_channels_last(x):
        return None
    told = (kernel, stride or kernel, padding, dilation)
    sides = [(side, *(part[nth % len(part)] for part in told))
             for nth, side in enumerate(x.shape[2:])]
    made = [(side + 2 * pad - step * (window - 1) - 1) // move + 1
            for side, window, move, pad, step in sides
            if min(window, move, step) > 0 <= pad <= window // 2]
    if len(made) != 2 or min(made) <= 0:
        return None
    shape = (*x.shape[:2], *made)
    return x.new_empty(shape), x.new_empty(shape, dtype=torch.int64)


def _is_channels_last(tensor: torch.Tensor) -> bool:
    return (tensor.dim() == 4 and not tensor.is_contiguous()
            and tensor.is_contiguous(memory_format=torch.channels_last))


_ELEMENTWISE = ("hardswish", "hardsigmoid", "hardtanh", "leaky_relu", "elu", "gelu", "silu")
_SIMPLER: dict[str, Callable[..., Any]] = {
    "native_batch_norm": _normed, "_native_batch_norm_legit": _normed, "native_group_norm": _normed,
    "_native_batch_norm_legit_no_training": _normed, "native_layer_norm": _layer_normed,
    "mm": _product(2), "bmm": _product(3), "addmm": _added(torch.ops.aten.mm),
    "baddbmm": _added(torch.ops.aten.bmm), "mean": _averaged, "max_pool2d_with_indices": _pooled,
    "convolution": _convolved, "_convolution": _convolved, "cat": _joined, "stack": _stacked,
    "_softmax": _softmaxed, "_log_softmax": _softmaxed, "roll": _same_shape,
    "_safe_softmax": _same_shape,
}
