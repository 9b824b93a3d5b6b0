"""One node at a time: its arguments looked up, its function called, its results named."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from core.errors import UserError
from core.files.text_of_files import shown
from core.graph.nodes import DEVICE, Node, Number, Ref

FAILURES = (RuntimeError, ValueError, TypeError, IndexError, ArithmeticError, NotImplementedError)


@dataclass
class State:
    """What one pass through the network shares: its device, and the numbers computed on the way."""

    device: torch.device
    numbers: dict[str, Any] = field(default_factory=dict)


def described(node: Node) -> str:
    """A node for a message: its name in the file, its source line, its layer."""
    layer = f" in layer {shown(node.calls[-1].path)}" if node.calls else ""
    return f"{node.where or 'a node'}{layer}"


def computed(node: Node, function: Callable, values: dict[str, Any], state: State) -> Any:
    """What the node's function gives. Raises UserError that names the node where it fails."""
    arguments = [_given(argument, values, state) for argument in node.arguments]
    keywords = {name: _given(value, values, state) for name, value in node.keywords.items()}
    try:
        return function(*arguments, **keywords)
    except FAILURES as error:
        if isinstance(error, torch.OutOfMemoryError) or "alloc" in str(error).lower():
            raise  # the caller tries a smaller batch
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise UserError(f"{described(node)}, operator {node.operator}, could not run: {reason}. "
                        "Check the input size, or export the network again.") from error


def _given(argument: Any, values: dict[str, Any], state: State) -> Any:
    """An argument with its references replaced by the values."""
    kind = type(argument)
    if kind is Ref:
        return values[argument]
    if kind is Number:
        return state.numbers[argument]
    if kind is list or kind is tuple:
        return kind([_given(part, values, state) for part in argument])
    return state.device if argument is DEVICE else argument


def bind(names: Any, result: Any, values: dict[str, Any]) -> None:
    """Gives results their names; of a list of names, each its part of the result."""
    if isinstance(names, str):
        values[names] = result
    elif names is not None:
        for name, part in zip(names, result, strict=True):
            bind(name, part, values)
