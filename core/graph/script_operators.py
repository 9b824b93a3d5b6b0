"""Torch's operators as a TorchScript program calls them: on tensors, or on the sizes of tensors."""

from typing import Any

import torch

from core.errors import UserError
from core.files.text_of_files import shown
from core.graph.nodes import DEVICE
from core.graph.script_numbers import number_operation
from core.graph.script_recorder import Recorder
from core.graph.script_values import DTYPES, NumberValue, is_number

_LEFT_OUT = ("pin_memory", "layout", "device", "requires_grad", "out")
_PREFIXES = ("torch.", "ops.aten.")


def tensor_operation(recorder: Recorder, name: str, arguments: list,
                     keywords: dict[str, Any]) -> Any:
    """The result of torch.conv2d and the like; where all are numbers, that of arithmetic."""
    base = next((name.removeprefix(prefix) for prefix in _PREFIXES if name.startswith(prefix)), "")
    if not base.isidentifier():
        raise UserError(f"the program calls the operator {shown(name)}, {recorder.where}, which is "
                        "not on the list of operators that Netlens runs; it was not run. Save the "
                        "network's state dict.")
    result = number_operation(recorder, base, arguments, keywords)
    if result is not NotImplemented:
        return result
    if base == "tensor":
        return _constant(recorder, arguments[0], keywords)
    named = {key: value for key, value in keywords.items()
             if key not in _LEFT_OUT and value is not None}
    if keywords.get("device") is DEVICE:
        named["device"] = DEVICE
    if isinstance(named.get("dtype"), int):
        named["dtype"] = _dtype(named["dtype"])
    if base == "view" and isinstance(arguments[1], list):
        base = "reshape"  # the same, and it takes channels-last inputs too
    return recorder.operator(base, arguments, named)


def _dtype(number: int) -> torch.dtype:
    if not 0 <= number < len(DTYPES):
        raise UserError(f"the program uses a type of number {number}, which torch does not have. "
                        "Save the network's state dict.")
    return DTYPES[number]


def _constant(recorder: Recorder, said: Any, keywords: dict[str, Any]) -> Any:
    """torch.tensor of a number, or of a list of numbers."""
    kind = keywords.get("dtype")
    dtype = _dtype(kind) if isinstance(kind, int) else None
    if is_number(said):
        now = said.value if isinstance(said, NumberValue) else recorder.literal(said)
        return recorder.operator("scalar_tensor", [said], {
            "dtype": dtype or torch.tensor(now).dtype, "device": DEVICE})
    made = torch.tensor(recorder.literal(said), dtype=dtype)
    return recorder.weight(made, f"made_{len(recorder.weights)}", False)
