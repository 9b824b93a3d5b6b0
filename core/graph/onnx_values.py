"""A tensor of an ONNX graph while the file is read."""

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import torch

from core.graph.nodes import Ref


@dataclass(frozen=True)
class Rounding:
    """What a value is rounded to: the file holds value / scale + zero, which is whole.

    axis: that of the scales, where there are several.
    """

    scale: "Value"
    zero: "Value | None"
    axis: int = 1


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the graph. told: its elements (numbers, Sizes), or the tensor that holds them,
    where reading the file tells them; name: None for what has not been needed as a tensor;
    rounding: of what the file holds as whole numbers, the graph as the numbers they stand for."""

    name: Ref | None
    shape: tuple[int, ...]
    dtype: torch.dtype
    told: np.ndarray | torch.Tensor | None = None
    is_literal: bool = True
    rounding: Rounding | None = None

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
