"""torchvision imported without torch's compiler, which takes 1.4 of the 1.7 s of its import.

torchvision.ops.roi_align imports all of the compiler for one question, which it asks as it runs.
Here that question imports it.
"""

import builtins
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType, SimpleNamespace
from typing import Any

EAGER = "torchvision.ops.roi_align"
COMPILER, QUESTION = "torch._dynamo.utils", "is_compile_supported"


class Finder:
    """Finds that one file of torchvision, as Python does, and has it imported by `Loader`."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None,
                  target: ModuleType | None = None) -> ModuleSpec | None:
        if name != EAGER:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec


class Loader(SourceFileLoader):
    """Runs a file as Python does, with an `import` of its own."""

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = vars(builtins) | {"__import__": _imported}
        super().exec_module(module)


def _imported(name: str, globals_: Any = None, locals_: Any = None,
              wanted: Sequence[str] | None = (), level: int = 0) -> Any:
    if name == COMPILER and tuple(wanted or ()) == (QUESTION,):
        return SimpleNamespace(**{QUESTION: _is_compile_supported})
    return builtins.__import__(name, globals_, locals_, wanted, level)


def _is_compile_supported(device: str) -> bool:
    from torch._dynamo.utils import is_compile_supported

    return is_compile_supported(device)


def without_the_compiler() -> None:
    """From now on torchvision is imported so; where it was already, nothing changes."""
    if Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)
