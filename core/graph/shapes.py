"""Shapes without numbers: torch's meta device, with the commonest operators answered here.

torch computes them by Python versions of its operators, which take their time and import its
compiler and triton (1.5 s, 150 MB); what is not answered here still goes that way.
"""

from collections.abc import Callable
from typing import Any

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
    shape = torch.broadcast_shapes(*(tensor.shape for tensor in tensors))
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
    return torch.empty_like(like, dtype=alone.dtype, device="meta")


def _normed(x: torch.Tensor, *rest: Any, **options: Any) -> tuple[torch.Tensor, ...]:
    """The input's like, and two statistics that nobody reads in evaluation mode."""
    layout = torch.channels_last if _is_channels_last(x) else torch.contiguous_format
    return torch.empty_like(x, memory_format=layout), x.new_empty(0), x.new_empty(0)


def _layer_normed(x: torch.Tensor, *rest: Any, **options: Any) -> tuple[torch.Tensor, ...]:
    return _same_shape(x), x.new_empty(0), x.new_empty(0)


def _same_shape(x: torch.Tensor, *rest: Any, **options: Any) -> torch.Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _summed(x: torch.Tensor, *rest: Any, **options: Any) -> torch.Tensor:
    """A mean has the shape of a sum, which does not divide."""
    return torch.ops.aten.sum(x, *rest, **options)


def _added(product: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A matrix product plus something of a shape that broadcasts to it."""

    def shape(added: torch.Tensor, one: torch.Tensor, other: torch.Tensor,
              **factors: Any) -> torch.Tensor:
        result = product(one, other)
        added.expand(result.shape)
        return result

    return shape


def _joined(tensors: list[torch.Tensor], dim: int = 0) -> torch.Tensor | None:
    """`cat` of tensors of one type, none of them channels-last."""
    axis = dim % max(tensors[0].dim(), 1)
    kinds = {(part.dtype, part.dim(), *part.shape[:axis], -1, *part.shape[axis + 1:])
             for part in tensors}
    if len(kinds) > 1 or tensors[0].dim() == 0 or any(map(_is_channels_last, tensors)):
        return None
    shape = list(tensors[0].shape)
    shape[axis] = sum(part.shape[axis] for part in tensors)
    return tensors[0].new_empty(shape)


def _stacked(tensors: list[torch.Tensor], dim: int = 0) -> torch.Tensor | None:
    return _joined([part.unsqueeze(dim) for part in tensors], dim)


def _is_channels_last(tensor: torch.Tensor) -> bool:
    return (tensor.dim() == 4 and not tensor.is_contiguous()
            and tensor.is_contiguous(memory_format=torch.channels_last))


_ELEMENTWISE = ("hardswish", "hardsigmoid", "hardtanh", "leaky_relu", "elu", "gelu", "silu")
_SIMPLER: dict[str, Callable[..., Any]] = {
    "native_batch_norm": _normed, "_native_batch_norm_legit": _normed, "native_group_norm": _normed,
    "_native_batch_norm_legit_no_training": _normed, "native_layer_norm": _layer_normed,
    "addmm": _added(torch.ops.aten.mm), "baddbmm": _added(torch.ops.aten.bmm), "mean": _summed,
    "cat": _joined, "stack": _stacked, "roll": _same_shape, "_safe_softmax": _same_shape,
}
