"""Sizes that an ONNX file leaves open, as numbers that write down the arithmetic done on them."""

from collections.abc import Callable
from typing import Any

from core.graph.nodes import Number


class UndecidedError(Exception):
    """What the graph does depends on a size that the file leaves open."""


class Size:
    """A number that follows from the input's sizes.

    values: what it is in each trial run, all of which must do the same operators.
    """

    __slots__ = ("_compute", "name", "values")

    def __init__(self, name: str, values: tuple[Any, ...],
                 compute: Callable[..., "Size"]) -> None:
        self.name = Number(name)
        self.values = values
        self._compute = compute

    def computed(self, operator: str, *parts: Any) -> "Size":
        """A number of the table in core/graph/checked_operators.py, as a node of its own."""
        return self._compute(operator, *parts)

    def __add__(self, other: Any) -> "Size":
        return self._compute("add", self, other)

    def __radd__(self, other: Any) -> "Size":
        return self._compute("add", other, self)

    def __sub__(self, other: Any) -> "Size":
        return self._compute("sub", self, other)

    def __rsub__(self, other: Any) -> "Size":
        return self._compute("sub", other, self)

    def __mul__(self, other: Any) -> "Size":
        return self._compute("mul", self, other)

    def __rmul__(self, other: Any) -> "Size":
        return self._compute("mul", other, self)

    def __floordiv__(self, other: Any) -> "Size":
        return self._compute("floordiv", self, other)

    def __rfloordiv__(self, other: Any) -> "Size":
        return self._compute("floordiv", other, self)

    def __truediv__(self, other: Any) -> "Size":
        return self._compute("truediv", self, other)

    def __rtruediv__(self, other: Any) -> "Size":
        return self._compute("truediv", other, self)

    def __mod__(self, other: Any) -> "Size":
        return self._compute("mod", self, other)

    def __rmod__(self, other: Any) -> "Size":
        return self._compute("mod", other, self)

    def __neg__(self) -> "Size":
        return self._compute("neg", self)

    def __eq__(self, other: object) -> bool:
        """Decided only where it holds for every size: sizes are above 0."""
        if isinstance(other, Size) and other.name == self.name:
            return True
        if isinstance(other, (int, float)) and other <= 0 < min(self.values):
            return False
        raise UndecidedError

    def __gt__(self, other: Any) -> bool:
        if isinstance(other, (int, float)) and other <= 0 < min(self.values):
            return True
        raise UndecidedError

    def __lt__(self, other: Any) -> bool:
        if isinstance(other, (int, float)) and other <= 0 < min(self.values):
            return False
        raise UndecidedError

    __ge__ = __gt__
    __le__ = __lt__

    def __hash__(self) -> int:
        return hash(self.name)

    def _undecided(self) -> Any:
        raise UndecidedError

    __bool__ = __int__ = __index__ = __float__ = _undecided
