"""What operators are called, whoever calls them: x + y, torch.add and aten.add_.Tensor are add."""

from typing import Any

# The result says nothing of the numbers in what is given, only of its shape.
SHAPE_ONLY = frozenset({
    "empty_like", "full_like", "new_empty", "new_full", "new_ones", "new_tensor", "new_zeros",
    "ones_like", "zeros_like", "rand_like", "randn_like", "randint_like",
})  # fmt: skip
# Operators that only put the same numbers into another shape, order, place or type.
REARRANGING = frozenset({
    "T", "mT", "H", "contiguous", "clone", "data", "detach", "expand", "expand_as", "flatten",
    "float", "getitem", "movedim", "moveaxis", "narrow", "permute", "ravel", "reshape",
    "reshape_as", "select", "slice", "squeeze", "swapaxes", "t", "to", "transpose", "type_as",
    "unflatten", "unsqueeze", "view", "view_as",
})  # fmt: skip
_SPOKEN = {
    "radd": "add", "iadd": "add", "rsub": "sub", "isub": "sub", "rmul": "mul", "imul": "mul",
    "truediv": "div", "rtruediv": "div", "itruediv": "div", "rpow": "pow", "ipow": "pow",
    "rmatmul": "matmul", "subtract": "sub", "multiply": "mul", "divide": "div",
}  # fmt: skip


def operator_name(function: Any) -> str:
    """The name a person knows, from what torch calls the function."""
    packet = getattr(function, "_overloadpacket", function)
    name = getattr(packet, "__name__", type(packet).__name__)
    if name in ("__get__", "__set__"):  # a property such as x.T
        name = getattr(getattr(function, "__self__", None), "__name__", name)
    name = name.strip("_")
    return _SPOKEN.get(name, name)
