"""The few calls of a pickle that make something: tensors, plain containers, numpy's numbers.

Each maker raises ValueError or TypeError for arguments that no honest file has.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from core.pickles.values import Global, Placeholder, Storage, StoredTensor, plain_dtype

MOST_DIMENSIONS = 16


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any) -> StoredTensor:
    if not isinstance(storage, Storage):
        raise ValueError("a tensor has no storage")
    return _placed(storage, storage.dtype, offset, shape, stride)


def _tensor_v3(storage: Any, offset: Any, shape: Any, stride: Any, grad: Any, hooks: Any,
               dtype: Any, *rest: Any) -> StoredTensor:
    kind = getattr(torch, dtype.name.split(".")[-1], None) if isinstance(dtype, Global) else None
    if not isinstance(storage, Storage) or not isinstance(kind, torch.dtype):
        raise ValueError("a tensor has no storage or no dtype")
    return _placed(storage, kind, offset, shape, stride)


def _placed(storage: Storage, dtype: torch.dtype, offset: Any, shape: Any,
            stride: Any) -> StoredTensor:
    if not (isinstance(shape, tuple) and isinstance(stride, tuple) and len(shape) == len(stride)):
        raise ValueError("a tensor's size and stride differ in length")
    numbers = (offset, *shape, *stride)
    counts = all(type(number) is int and 0 <= number < 1 << 62 for number in numbers)
    if len(shape) > MOST_DIMENSIONS or not counts:
        raise ValueError("a tensor's size or stride is not a list of counts")
    if storage.device == "meta":
        raise ValueError("a meta tensor, a shape without data")
    return StoredTensor(storage, dtype, offset, shape, stride)


def _meta(*arguments: Any) -> None:
    raise ValueError("a meta tensor, a shape without data")


def _of_type(maker: Any, kind: Any, arguments: Any, state: Any = None) -> Any:
    """A tensor subclass: the plain tensor in it."""
    known = isinstance(maker, Global) and maker.name in MAKERS
    if not known or not isinstance(arguments, tuple):
        raise ValueError("a tensor subclass is made by a function that is not known")
    return MAKERS[maker.name](*arguments)


def _dict(*arguments: Any) -> dict:
    """OrderedDict, defaultdict, Counter: pairs or a dict last, a default factory before."""
    made: dict = {}
    for argument in arguments:
        if isinstance(argument, dict):
            made.update(argument)
        elif isinstance(argument, list):
            made.update((str(key), value) for key, value in argument)
    return made


def _bytes(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf-8", "ascii"):
        raise ValueError("text is encoded in an unknown way")
    return text.encode(encoding)


def _bytearray(data: Any = b"", encoding: Any = "latin-1") -> bytes:
    if isinstance(data, int):
        raise ValueError(f"it asks for a bytearray of {data:,} bytes, too large for weights")
    return _bytes(data, encoding) if isinstance(data, str) else bytes(_list(data))


def _list(values: Any = (), *rest: Any) -> Any:
    if not isinstance(values, (list, tuple, bytes, set, frozenset)):
        raise ValueError("a collection is made of something else")
    return values if isinstance(values, bytes) else list(values)


def _scalar(kind: Any, data: Any = None) -> Any:
    """A numpy number as Python's own."""
    data = data.encode("latin-1") if isinstance(data, str) else data
    dtype = plain_dtype(kind)
    if dtype is None or not isinstance(data, bytes) or len(data) != dtype.itemsize:
        return Placeholder("numpy.generic", (kind,))
    return np.frombuffer(data, dtype)[0].item()


def _number(*parts: Any) -> complex:
    if not all(isinstance(part, (int, float)) for part in parts):
        raise ValueError("a complex number is made of something else")
    return complex(*parts)


def _reconstructed(kind: Any, *rest: Any) -> Placeholder:
    if not isinstance(kind, Global):
        raise ValueError("an object has no class")
    return Placeholder(kind.name)


def _parameter(value: Any, requires_grad: Any = None, *rest: Any) -> Any:
    if isinstance(value, StoredTensor) and isinstance(requires_grad, bool):
        value.trainable = requires_grad
    return value


def _first(value: Any, *rest: Any) -> Any:
    return value


def _hashable(value: Any) -> Any:
    if not isinstance(value, (str, bytes, int, float, bool, type(None), Global)):
        raise ValueError("a set holds something that cannot be in a set")
    return value


# What these names make from their arguments. All else is a placeholder or refused.
MAKERS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._utils._rebuild_device_tensor_from_numpy": _first,
    "torch._utils._rebuild_meta_tensor_no_storage": _meta,
    "torch._tensor._rebuild_from_type": _of_type,
    "torch._tensor._rebuild_from_type_v2": _of_type,
    "torch.Size": lambda sizes=(): tuple(_list(sizes)),
    "torch.device": lambda *parts: ":".join(map(str, map(_hashable, parts))),
    "torch.serialization._get_layout": _first,
    "collections.OrderedDict": _dict,
    "collections.defaultdict": _dict,
    "collections.Counter": _dict,
    "collections.deque": _list,
    "builtins.set": lambda values=(): set(map(_hashable, _list(values))),
    "builtins.frozenset": lambda values=(): frozenset(map(_hashable, _list(values))),
    "builtins.complex": _number,
    "builtins.bytearray": _bytearray,
    "builtins.bytes": _bytearray,  # empty ones, in protocol 2
    "_codecs.encode": _bytes,
    "copyreg._reconstructor": _reconstructed,
} | {
    f"numpy.{core}.multiarray.{name}": maker
    for core in ("core", "_core")
    for name, maker in {"scalar": _scalar, "_reconstruct": _reconstructed}.items()
}
