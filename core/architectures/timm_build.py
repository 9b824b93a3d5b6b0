"""timm's networks, where timm is installed, without memory for their weights."""

from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode


class _WithoutWeights(TorchFunctionMode):
    """Inside it nothing is written into parameters, so that their memory is never touched; buffers
    that are computed and not saved get their values."""

    def __torch_function__(self, function: Callable, types: Any, arguments: tuple = (),
                           keywords: dict | None = None) -> Any:
        name, keywords = getattr(function, "__name__", ""), keywords or {}
        written = arguments[0] if arguments else keywords.get("tensor")
        inplace = name.endswith("_") and not name.endswith("__") and name != "requires_grad_"
        if inplace and isinstance(written, nn.Parameter):
            return written
        return function(*arguments, **keywords)


def installed(names: Iterable[str]) -> Iterator[str]:
    """Those of the names that timm knows; it is imported only where there are names."""
    if not (listed := list(dict.fromkeys(names))) or find_spec("timm") is None:
        return
    import timm  # 3 s

    yield from filter(timm.is_model, listed)


def made(name: str, **options: Any) -> nn.Module | None:
    """The network, its parameters on the meta device; None where it refuses the options."""
    import timm

    try:
        with _WithoutWeights():
            module = timm.create_model(name, pretrained=False, **options)
    except (TypeError, ValueError, RuntimeError, AssertionError):
        return None
    for layer in module.modules():
        for key, value in layer._parameters.items():
            if value is not None:
                layer._parameters[key] = nn.Parameter(value.to("meta"), value.requires_grad)
    return module
