"""What a TorchScript program computes with while it is followed: tensors without numbers, sizes."""

from dataclasses import dataclass, field
from typing import Any, Final

import torch

from core.errors import UserError
from core.graph.nodes import Number

# torch's own numbers for types, which programs use: https://github.com/pytorch/pytorch/blob/main/
# torch/headeronly/core/ScalarType.h
DTYPES = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16,
          torch.float32, torch.float64, torch.complex32, torch.complex64, torch.complex128,
          torch.bool, torch.qint8, torch.quint8, torch.qint32, torch.bfloat16)
UNSET: Final = object()  # a variable that another branch of the program gives its value


class DoesNotFitError(UserError):
    """The program cannot take an input of this size; of another it may."""


@dataclass(eq=False)
class TensorValue:
    """A tensor in the graph. meta: its shape and type; constant: its numbers, where the file
    holds them."""

    name: str
    meta: torch.Tensor
    constant: torch.Tensor | None = None

    @property
    def single(self) -> bool:
        """Whether it is one number that the file holds."""
        return self.constant is not None and self.constant.dim() == 0


@dataclass(frozen=True)
class NumberValue:
    """A number that follows from the input's size: its value now, and its name in the graph."""

    value: int | float
    name: str


@dataclass(eq=False)
class ScriptObject:
    """A module, or another object of the program. path: the layer's name in the network."""

    class_name: str
    attributes: dict[str, Any] = field(default_factory=dict)
    path: str | None = None

    @property
    def type_name(self) -> str:
        return self.class_name.rpartition(".")[2]


@dataclass(frozen=True)
class Name:
    """A dotted name that is no variable: an operator, a function or a class of the program."""

    dotted: str


@dataclass(frozen=True)
class Method:
    """A method of an object, not called yet."""

    owner: ScriptObject
    name: str


@dataclass(frozen=True)
class EnumMember:
    """A member of an enumeration of the program."""

    class_name: str
    value: Any


class Record(tuple):
    """A NamedTuple of the program."""

    names: tuple[str, ...] = ()


def is_number(value: Any) -> bool:
    """Whether the value is a number, or a tensor of the file that holds one."""
    return isinstance(value, (int, float, NumberValue)) or (
        isinstance(value, TensorValue) and value.single)


def number(value: Any) -> Any:
    """A number as a node's argument: its name in the graph, or itself."""
    if isinstance(value, NumberValue):
        return Number(value.name)
    return value.constant.item() if isinstance(value, TensorValue) else value
