"""Which part of a map an operator looks at for each number that it gives."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch

MOVING = frozenset({"permute", "transpose", "movedim", "moveaxis", "swapaxes", "swapdims"})
LARGEST = 0  # a kernel of this size is the whole map


class Axis(NamedTuple):
    """Along one side of a map: the kernel's size, its step, padding before the first number, and
    the distance between the numbers that it reads."""

    kernel: int
    stride: int = 1
    before: int = 0
    dilation: int = 1


Window = tuple[Axis, Axis]  # height, width
WHOLE = (Axis(LARGEST), Axis(LARGEST))


def window_of(operator: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Window | None:
    """The window of an operator called so, by the name of core.flow.names; None for an operator
    without one, or one that is not followed (transposed convolutions, resizing)."""
    maker = _WINDOWS.get(operator)
    if maker is None or not args or not isinstance(args[0], torch.Tensor) or args[0].dim() != 4:
        return None
    return maker(args, kwargs)


def order_of(operator: str, function: Any, args: Sequence[Any],
             kwargs: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Of an operator that moves sides: which side of what it is given each of its own was."""
    if operator not in MOVING or not args or not isinstance(args[0], torch.Tensor):
        return None
    first = 2  # so that no side is 1
    probe = torch.empty([first + side for side in range(args[0].dim())])
    return tuple(side - first for side in function(probe, *args[1:], **kwargs).shape)


def _given(args: Sequence[Any], kwargs: Mapping[str, Any], place: int, name: str,
           otherwise: Any) -> Any:
    found = args[place] if len(args) > place else kwargs.get(name, otherwise)
    return otherwise if found is None else found


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, Sequence):
        return (int(value[0]), int(value[-1])) if len(value) else (0, 0)
    return int(value), int(value)


def _convolution(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Window | None:
    weight = _given(args, kwargs, 1, "weight", None)
    if weight is None or weight.dim() != 4 or _given(args, kwargs, 6, "transposed", 0) is True:
        return None
    strides = _pair(_given(args, kwargs, 3, "stride", 1))
    paddings = _given(args, kwargs, 4, "padding", 0)
    dilations = _pair(_given(args, kwargs, 5, "dilation", 1))
    kernels = tuple(weight.shape[2:])
    if isinstance(paddings, str):
        same = paddings == "same"
        befores = tuple(dilation * (kernel - 1) // 2 if same else 0
                        for kernel, dilation in zip(kernels, dilations, strict=True))
    else:
        befores = _pair(paddings)
    return _window(kernels, strides, befores, dilations)


def _pooling(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Window:
    kernels = _pair(_given(args, kwargs, 1, "kernel_size", 1))
    strides = _given(args, kwargs, 2, "stride", ())
    strides = kernels if isinstance(strides, Sequence) and not strides else _pair(strides)
    return _window(kernels, strides, _pair(_given(args, kwargs, 3, "padding", 0)), (1, 1))


def _max_pooling(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Window:
    dilations = _pair(_given(args, kwargs, 4, "dilation", 1))
    window = _pooling(args, kwargs)
    return _window(*zip(*(axis[:3] for axis in window), strict=True), dilations)


def _adaptive(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Window | None:
    sides, wanted = args[0].shape[2:], _given(args, kwargs, 1, "output_size", 1)
    wanted = list(wanted) if isinstance(wanted, Sequence) else [wanted, wanted]
    sizes = [side if size is None else int(size) for side, size in zip(sides, wanted, strict=True)]
    if any(side % size for side, size in zip(sides, sizes, strict=True)):
        return None  # windows of several sizes
    kernels = tuple(side // size for side, size in zip(sides, sizes, strict=True))
    return _window(kernels, kernels, (0, 0), (1, 1))


def _reduction(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Window | None:
    sides = _given(args, kwargs, 1, "dim", ())
    sides = [sides] if isinstance(sides, int) else list(sides)
    taken = {side % 4 for side in sides if isinstance(side, int)}
    if taken != {2, 3}:
        return None
    kernels = tuple(args[0].shape[2:])
    return _window(kernels, kernels, (0, 0), (1, 1))


def _padding(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Window | None:
    left, _, above, _ = [*_given(args, kwargs, 1, "pad", ()), 0, 0, 0, 0][:4]  # then channels
    return Axis(1, 1, int(above)), Axis(1, 1, int(left))


def _picked(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Window | None:
    """x[:, :, ::2, ::2] and the like."""
    index = args[1] if isinstance(args[1], tuple) else (args[1],)
    for place, part in enumerate(index):
        if part is Ellipsis:
            left_out = [slice(None)] * (5 - len(index))
            index = (*index[:place], *left_out, *index[place + 1 :])
            break
    parts = [*index, *[slice(None)] * (4 - len(index))]
    if len(parts) != 4 or not all(isinstance(part, slice) for part in parts):
        return None
    return _window((1, 1), *zip(*(_from(part, side) for part, side in
                                  zip(parts[2:], args[0].shape[2:], strict=True)), strict=True),
                   (1, 1))


def _from(part: slice, side: int) -> tuple[int, int]:
    """(step, padding) of a slice along a side."""
    start, _, step = part.indices(side)
    return step, -start


def _sliced(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Window:
    """As exported networks slice: a side, its start, end and step."""
    side = int(_given(args, kwargs, 1, "dim", 0)) % 4
    part = slice(_given(args, kwargs, 2, "start", None), None, _given(args, kwargs, 4, "step", 1))
    axes = [Axis(1), Axis(1)]
    if side >= 2:
        step, before = _from(part, args[0].shape[side])
        axes[side - 2] = Axis(1, step, before)
    return axes[0], axes[1]


def _layer_norm(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Window | None:
    return WHOLE if len(_given(args, kwargs, 1, "normalized_shape", ())) > 1 else None


def _everything(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Window:
    return WHOLE


def _window(kernels: Any, strides: Any, befores: Any, dilations: Any) -> Window:
    height, width = (Axis(*map(int, axis)) for axis in
                     zip(kernels, strides, befores, dilations, strict=True))
    return height, width


_WINDOWS: dict[str, Callable[[Sequence[Any], Mapping[str, Any]], Window | None]] = {
    **dict.fromkeys(("conv2d", "convolution"), _convolution),
    **dict.fromkeys(("max_pool2d", "max_pool2d_with_indices"), _max_pooling),
    "avg_pool2d": _pooling,
    **dict.fromkeys(("adaptive_avg_pool2d", "adaptive_max_pool2d"), _adaptive),
    **dict.fromkeys(("mean", "amax", "sum"), _reduction),
    **dict.fromkeys(("pad", "constant_pad_nd"), _padding),
    "getitem": _picked,
    "slice": _sliced,
    **dict.fromkeys(("layer_norm", "native_layer_norm"), _layer_norm),
    **dict.fromkeys(("group_norm", "native_group_norm", "instance_norm"), _everything),
}
