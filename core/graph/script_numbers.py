"""Arithmetic of a TorchScript program on numbers: Python's, and what a trace does with sizes.

A trace keeps sizes as tensors of one number (`torch.mul(ops.prim.NumToTensor(...), ...)`). They
stay numbers here, so that views get sizes that follow from the input.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any

from core.graph.script_recorder import Recorder
from core.graph.script_values import DTYPES, NumberValue, is_number, number

_ARITHMETIC = {"add": "add", "sub": "sub", "mul": "mul", "div": "truediv", "true_divide": "truediv",
               "floordiv": "floordiv", "floor_divide": "floordiv", "remainder": "mod", "mod": "mod",
               "fmod": "mod", "neg": "neg", "ceil": "ceil", "floor": "floor",
               "round": "round", "trunc": "trunc", "sqrt": "sqrt", "maximum": "sym_max",
               "minimum": "sym_min", "Int": "sym_int", "Float": "sym_float",
               "IntImplicit": "sym_int", "FloatImplicit": "sym_float", "__lshift__": "lshift",
               "__rshift__": "rshift"}
_DECISIONS = {"eq": "eq", "ne": "ne", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge",
              "__and__": "and_", "__or__": "or_", "__xor__": "ne", "__not__": "sym_not"}
_UNCHANGED = frozenset(["detach", "ScalarImplicit", "clone", "lift_fresh", "contiguous"])


def number_operation(recorder: Recorder, name: str, arguments: list,
                     keywords: dict[str, Any]) -> Any:
    """The result where this is arithmetic on numbers, else NotImplemented."""
    sizes = [part for part in arguments if not isinstance(part, (list, tuple, str))]
    if not arguments or not is_number(arguments[0]) or len(sizes) < len(arguments):
        return NotImplemented
    if name in ("to", "_to_copy"):
        return _cast(recorder, arguments, keywords)
    if name in _UNCHANGED:
        return arguments[0]
    if not all(is_number(part) or part is None for part in arguments) or _all_stored(arguments):
        return NotImplemented
    if name in _SPECIAL:
        return _SPECIAL[name](recorder, *arguments)
    if name in _DECISIONS:
        return recorder.symbolic(_DECISIONS[name], *map(recorder.literal, arguments))
    if name not in _ARITHMETIC:
        return NotImplemented
    if name in ("add", "sub") and (alpha := keywords.get("alpha", 1)) != 1:
        arguments = [arguments[0], recorder.symbolic("mul", arguments[1], alpha)]
    if name == "div" and keywords.get("rounding_mode"):
        name = "floor_divide"  # sizes are not negative, so both ways of rounding are one
    return recorder.symbolic(_ARITHMETIC[name], *arguments[:2])


def smallest_or_largest(recorder: Recorder, name: str, numbers: list) -> Any:
    """`min` and `max` of a program."""
    return reduce(lambda one, other: recorder.symbolic(f"sym_{name}", one, other), numbers)


def _all_stored(arguments: list) -> bool:
    """Tensors of the file stay tensors: only a program's numbers make arithmetic of them."""
    return not any(isinstance(part, (int, float, NumberValue)) for part in arguments)


def _cast(recorder: Recorder, arguments: list, keywords: dict[str, Any]) -> Any:
    kind = keywords.get("dtype")
    for part in arguments[1:3]:
        if kind is None and type(part) is int:
            kind = part
    value = arguments[0]
    if not isinstance(kind, int):
        return value
    whole = not DTYPES[kind].is_floating_point
    now = value.value if isinstance(value, NumberValue) else number(value)
    if whole == isinstance(now, int):
        return value
    return recorder.symbolic("sym_int" if whole else "sym_float", value)


def _clamp(recorder: Recorder, value: Any, low: Any = None, high: Any = None) -> Any:
    if low is not None:
        value = recorder.symbolic("sym_max", value, low)
    return value if high is None else recorder.symbolic("sym_min", value, high)


def _range_length(recorder: Recorder, low: Any, high: Any, step: Any) -> int:
    return len(range(*map(recorder.literal, (low, high, step))))


def _derived_index(recorder: Recorder, index: Any, start: Any, step: Any) -> Any:
    return recorder.symbolic("add", start, recorder.symbolic("mul", index, step))


def _power(recorder: Recorder, base: Any, exponent: Any) -> Any:
    """A power of a size, as of the width of an attention head, follows from the input."""
    return recorder.symbolic("pow", base, recorder.literal(exponent))


_SPECIAL: dict[str, Callable[..., Any]] = {
    "clamp": _clamp,
    "pow": _power,
    "clamp_min": _clamp,
    "clamp_max": lambda recorder, value, high: _clamp(recorder, value, None, high),
    "rsub": lambda recorder, one, other, *alpha: recorder.symbolic("sub", other, one),
    "abs": lambda recorder, value: recorder.symbolic(
        "sym_max", value, recorder.symbolic("neg", value)),
    "Bool": lambda recorder, value: bool(recorder.literal(value)),
    "__range_length": _range_length,
    "__derive_index": _derived_index,
}
