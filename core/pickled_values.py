"""What the names in a pickle stand for: tensors, plain values, and placeholders for the rest."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

MOST_DIMENSIONS = 16
CODE_MODULES = frozenset({
    "os", "posix", "nt", "subprocess", "sys", "shutil", "socket", "runpy", "importlib", "pickle",
    "_pickle", "cPickle", "marshal", "ctypes", "_ctypes", "code", "codeop", "pty", "webbrowser",
    "asyncio", "multiprocessing", "threading", "signal", "timeit", "pdb", "bdb", "cProfile",
    "profile", "trace", "operator", "_operator", "types", "inspect", "gc", "io", "_io", "tempfile",
    "urllib", "urllib2", "http", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "telnetlib",
    "pip", "ensurepip", "venv", "setuptools", "distutils", "idlelib", "doctest", "pydoc", "lib2to3",
    "ast", "compileall", "py_compile", "zipimport", "pkgutil", "commands", "joblib", "dill",
    "cloudpickle", "platform", "site", "linecache",
})
PLAIN_BUILTINS = frozenset({
    "int", "float", "str", "list", "dict", "tuple", "bool", "bytes", "object", "set", "frozenset",
    "complex", "slice", "range", "bytearray", "long", "unicode",
})
INERT_FUNCTIONS = frozenset({
    "numpy.dtype", "numpy.ndarray", "functools.partial", "datetime.datetime", "datetime.date",
    "datetime.timedelta", "datetime.timezone", "datetime.time", "types.SimpleNamespace",
    "numpy.random._pickle.__randomstate_ctor", "numpy.random._pickle.__generator_ctor",
    "numpy.random._pickle.__bit_generator_ctor", "torch._utils._rebuild_qtensor",
    "torch._utils._rebuild_sparse_tensor", "torch._utils._rebuild_nested_tensor",
})
RENAMED = {"__builtin__": "builtins", "__builtins__": "builtins", "copy_reg": "copyreg"}
STORAGES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool, "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128, "UntypedStorage": torch.uint8,
}


@dataclass(frozen=True)
class Global:
    """A name in a pickle, which is never looked up."""

    name: str


@dataclass(eq=False)
class Placeholder:
    """Stands for an object whose class is never imported: keeps what it was given, runs nothing."""

    name: str
    arguments: tuple = ()
    state: Any = None
    items: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Storage:
    """Bytes that tensors share. count: of elements of dtype, as the pickle says."""

    key: str
    dtype: torch.dtype
    count: int
    device: str


@dataclass(eq=False)
class StoredTensor:
    """A tensor as a place in a storage; offset and stride count elements."""

    storage: Storage
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def reach(self) -> int:
        """One past the last element of the storage that is used."""
        if 0 in self.shape:
            return 0
        last = sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        return self.offset + last + 1


def global_named(module: Any, name: Any) -> Global | None:
    """The name as a value, or None where only code has such a name."""
    if not (isinstance(module, str) and isinstance(name, str)):
        raise ValueError("a name is not text")
    module = RENAMED.get(module, module)
    found = Global(f"{module}.{name}")
    if found.name in MAKERS or found.name in INERT_FUNCTIONS:
        return found
    *outer, last = name.split(".")
    if module.split(".")[0] in CODE_MODULES or not all(_is_class_name(part) for part in outer):
        return None
    if module == "builtins" and last not in PLAIN_BUILTINS and not _is_class_name(last):
        return None
    return found


def called(maker: Global | Placeholder, arguments: tuple) -> Any:
    """What a call in the pickle gives; NotImplemented where it would run a function.

    Raises ValueError or TypeError for arguments that no honest file has.
    """
    if maker.name in MAKERS and isinstance(maker, Global):
        return MAKERS[maker.name](*arguments)
    last = maker.name.split(".")[-1]
    plain = maker.name.startswith("builtins.") and last in PLAIN_BUILTINS
    inert = plain or _is_class_name(last) or maker.name in INERT_FUNCTIONS
    if isinstance(maker, Global) and inert:
        return Placeholder(maker.name, arguments)
    return NotImplemented


def is_known(name: str) -> bool:
    """Whether the name stands for plain data, so that nothing is lost by not importing it."""
    last = name.split(".")[-1]
    kind = last in STORAGES or isinstance(getattr(torch, last, None), torch.dtype)
    own = name.startswith("torch.") and kind
    return own or name in MAKERS or name in ("numpy.dtype", "numpy.ndarray")


def array(value: Any) -> np.ndarray | None:
    """The numbers of a pickled numpy array, or None where the value is something else."""
    if not (isinstance(value, Placeholder) and value.name == "numpy.ndarray" and value.state):
        return None
    _, shape, kind, by_columns, data = value.state
    if isinstance(data, list) or (dtype := _dtype(kind)) is None:
        return None  # an array of objects
    data = data.encode("latin-1") if isinstance(data, str) else data
    numbers = np.frombuffer(data, dtype)
    return numbers.reshape(shape, order="F" if by_columns else "C").astype(dtype.newbyteorder("="))


def _is_class_name(name: str) -> bool:
    return name.lstrip("_")[:1].isupper()


def _dtype(kind: Any) -> np.dtype | None:
    """The plain numeric dtype that a pickled numpy.dtype stands for."""
    code = kind.arguments[0] if isinstance(kind, Placeholder) and kind.arguments else None
    if not isinstance(code, str) or not re.fullmatch("[?]|[biuf][1248]|c(8|16)", code):
        return None
    order = kind.state[1] if isinstance(kind.state, tuple) and len(kind.state) > 1 else "="
    return np.dtype(code).newbyteorder(order if order in ("<", ">") else "=")


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
    dtype = _dtype(kind)
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


def _first(value: Any, *rest: Any) -> Any:
    return value


# What these names make from their arguments. All else is a placeholder or refused.
MAKERS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
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
    "_codecs.encode": _bytes,
    "copyreg._reconstructor": _reconstructed,
} | {
    f"numpy.{core}.multiarray.{name}": maker
    for core in ("core", "_core")
    for name, maker in {"scalar": _scalar, "_reconstruct": _reconstructed}.items()
}


def _hashable(value: Any) -> Any:
    if not isinstance(value, (str, bytes, int, float, bool, type(None), Global)):
        raise ValueError("a set holds something that cannot be in a set")
    return value
