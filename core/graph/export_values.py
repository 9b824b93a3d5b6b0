"""Values in the JSON of torch.export: unions of which one member is set.

Schema: https://github.com/pytorch/pytorch/blob/main/torch/_export/serde/schema.py
"""

from typing import Any

import torch

from core.errors import UserError
from core.files.text_of_files import shown
from core.graph.nodes import DEVICE, Ref

# The schema's own numbers, which are not torch's.
DTYPES = {1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64,
          6: torch.float16, 7: torch.float32, 8: torch.float64, 10: torch.complex64,
          11: torch.complex128, 12: torch.bool, 13: torch.bfloat16}
MEMORY_FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d,
                  4: torch.preserve_format}
STRIDED = 7
_PLAIN = ("as_int", "as_bool", "as_string", "as_ints", "as_bools", "as_strings", "as_int_lists")


def union(said: dict) -> tuple[str, Any]:
    """(tag, value): newer files write one key, schema 2 wrote every key, the unused ones null."""
    found = {tag: value for tag, value in said.items() if value is not None or len(said) == 1}
    (tag, value), = found.items() or [("as_none", True)]
    return tag, value


def value_of(said: dict) -> Any:
    """An argument as it is given to the operator, references as Ref."""
    tag, value = union(said)
    if tag in _PLAIN:
        return value
    if tag in ("as_float", "as_floats", "as_float_lists"):
        return _number(value)
    if tag == "as_none":
        return None
    if tag == "as_tensor":
        return Ref(value["name"])
    if tag == "as_name":
        return Ref(value)
    if tag in ("as_tensors", "as_nested_tensors"):
        return [value_of({"as_tensors" if isinstance(part, list) else "as_tensor": part})
                for part in value]
    if tag in ("as_sym_int", "as_sym_bool", "as_sym_float", "as_optional_tensor"):
        return value_of(value)
    if tag in ("as_sym_ints", "as_sym_bools", "as_sym_floats", "as_optional_tensors"):
        return [value_of(part) for part in value]
    if tag == "as_scalar_type":
        return DTYPES[value]
    if tag == "as_memory_format":
        return MEMORY_FORMATS[value]
    if tag == "as_layout" and value == STRIDED:
        return torch.strided
    if tag == "as_device":
        return DEVICE
    raise UserError(f"an argument of the kind {shown(tag)} is not one that Netlens runs. "
                    "Save the network's state dict.")


def _number(said: Any) -> Any:
    """JSON has no infinities: they are texts."""
    if isinstance(said, list):
        return [_number(part) for part in said]
    if isinstance(said, str):
        return {"Infinity": float("inf"), "-Infinity": float("-inf"), "NaN": float("nan")}[said]
    return said


def whole(number: Any) -> int:
    """A size. Raises ValueError for anything else."""
    if type(number) is not int or number < 0:
        raise ValueError(f"{shown(number)} is no size")
    return number
