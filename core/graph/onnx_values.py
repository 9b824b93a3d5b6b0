"""A tensor of an ONNX graph while the file is read."""

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import torch

from core.graph.nodes import Ref


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the graph. told: its elements (numbers, Sizes), or the tensor that holds them,
    where reading the file tells them; name: None for what has not been needed as a tensor."""

    name: Ref | None
    shape: tuple[int, ...]
    dtype: torch.dtype
    told: np.ndarray | torch.Tensor | None = None
    is_literal: bool = True

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def is_known(self) -> bool:
        return self.told is not None

    @property
    def size(self) -> int:
        return prod(self.shape)

    @cached_property
    def known(self) -> np.ndarray | None:
        """Its elements as Python numbers and Sizes, which take far more memory than a tensor."""
        if not isinstance(self.told, torch.Tensor):
            return self.told
        elements = np.empty(self.size, object)
        elements[:] = self.told.reshape(-1).tolist()
        return elements.reshape(self.shape)
