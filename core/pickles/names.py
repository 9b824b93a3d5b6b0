"""Which names in a pickle stand for data, and which only code has."""

from typing import Any

import torch

from core.pickles.makers import MAKERS
from core.pickles.values import STORAGES, Global, Placeholder

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


def _is_class_name(name: str) -> bool:
    return name.lstrip("_")[:1].isupper()
