"""Builds networks without memory or random numbers: shapes only, on the meta device."""

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

ALLOCATE = frozenset({torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full})
FILL = frozenset({torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.fill_,
                  torch.Tensor.zero_})


class ShapesOnly(TorchFunctionMode):
    """Inside it new weights are on the meta device and are not initialised.

    What a constructor computes (a width, a table of positions) stays real, which
    `torch.device("meta")` would not leave it.
    """

    def __torch_function__(self, function: Callable, types: Any, arguments: tuple = (),
                           keywords: dict | None = None) -> Any:
        keywords = keywords or {}
        if getattr(function, "__module__", None) == "torch.nn.init":
            return arguments[0] if arguments else keywords["tensor"]
        if function in FILL and arguments[0].is_meta:  # some of torch.nn.init come here only so
            return arguments[0]
        if function in ALLOCATE and keywords.get("device") is None:
            keywords = keywords | {"device": "meta"}
        return function(*arguments, **keywords)
