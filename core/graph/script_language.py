"""What a TorchScript program does beside tensors: it asks about them and its surroundings."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from core.errors import UserError
from core.files.text_of_files import shown
from core.graph.nodes import DEVICE
from core.graph.script_lists import OF_CONTAINERS, equal
from core.graph.script_numbers import number_operation, smallest_or_largest
from core.graph.script_recorder import Recorder
from core.graph.script_values import (
    DTYPES,
    DoesNotFitError,
    Name,
    NumberValue,
    ScriptObject,
    TensorValue,
    is_number,
)

LONGEST_TEXT = 500
_NO_GRAD = "__torch__.torch.autograd.grad_mode."
_SURROUNDINGS = {
    # Attention asks these; as in training it then takes the form whose parts can be seen.
    "is_grad_enabled": True, "is_autocast_enabled": False, "is_autocast_cpu_enabled": False,
    "is_scripting": True, "is_tracing": False, "get_fastpath_enabled": False,
}
_NEVER = ("is_nested", "is_sparse", "is_quantized", "is_mkldnn", "is_meta", "is_cuda", "is_mps",
          "is_complex", "is_xla")


def language_function(recorder: Recorder, name: str, arguments: list,
                      keywords: dict[str, Any]) -> Any:
    """The result where `name` is a function of the language, else NotImplemented."""
    if name.startswith(_NO_GRAD):
        return ScriptObject(name.removesuffix(".__new__"))
    base = name.rpartition(".")[2]
    if name.startswith("torch.") and base in _SURROUNDINGS:
        return _SURROUNDINGS[base]
    if name.startswith(("prim.", "ops.prim.")):
        return asked(recorder, base, arguments)
    if "." not in name:
        return _BARE[name](recorder, *arguments) if name in _BARE else NotImplemented
    if name == "torch.device":
        return DEVICE
    if not name.startswith("torch.") or name.count(".") > 1:
        return NotImplemented
    first = arguments[0] if arguments else None
    for kinds, functions in _OF.items():
        if isinstance(first, kinds) and base in functions:
            return functions[base](recorder, *arguments)
    return _ANY[base](recorder, *arguments) if base in _ANY else NotImplemented


@contextmanager
def detached_block(recorder: Recorder, blocks: list) -> Iterator[None]:
    """Inside of `with no_grad()`; any other block is refused."""
    for block in blocks:
        if not isinstance(block, ScriptObject) or not block.class_name.startswith(_NO_GRAD):
            raise UserError(f"the program has a block that Netlens does not run, {recorder.where}. "
                            "Save the network's state dict.")
    detaching = any(block.type_name in ("no_grad", "inference_mode") for block in blocks)
    recorder.detached += detaching
    try:
        yield
    finally:
        recorder.detached -= detaching


def asked(recorder: Recorder, name: str, arguments: list) -> Any:
    """prim::…, mostly questions about a tensor."""
    first = arguments[0] if arguments else None
    if name == "RaiseException":
        raise DoesNotFitError(f"the program refuses this input: {shown(first, 200)}, "
                              f"{recorder.where}. Set the input size in the model card.")
    if name in ("NumToTensor", "unchecked_unwrap_optional", "unchecked_cast", "data"):
        return first  # numbers stay numbers
    if name in ("min", "max"):
        return smallest_or_largest(recorder, name, first if isinstance(first, list) else arguments)
    if name == "abs":
        return number_operation(recorder, name, arguments, {})
    if name in ("Print", "grad"):
        return None
    if name in _NEVER:
        return False
    if isinstance(first, TensorValue) and name in _ASKED_OF_TENSORS:
        return _ASKED_OF_TENSORS[name](recorder, first)
    return DEVICE if name in ("device", "type", "index") else NotImplemented


def size(recorder: Recorder, tensor: TensorValue, axis: Any = None) -> Any:
    """A dimension, or the list of all."""
    if axis is None:
        return [size(recorder, tensor, each) for each in range(tensor.meta.dim())]
    return recorder.operator("size", [tensor, recorder.literal(axis)], {})


def _converted(kind: type, symbol: str | None) -> Callable[..., Any]:
    def convert(recorder: Recorder, value: Any) -> Any:
        if isinstance(value, NumberValue) and symbol:
            return recorder.symbolic(symbol, value)
        if not is_number(value) and not isinstance(value, str):
            raise UserError(f"the program makes a number of a tensor that it computes, "
                            f"{recorder.where}, so it is no fixed network and was not run. Export "
                            "the network with torch.export, or save its state dict.")
        return kind(recorder.literal(value))

    return convert


def _same(recorder: Recorder, one: Any, other: Any) -> bool:
    if one is None or other is None or isinstance(one, TensorValue):
        return one is other
    return equal(recorder, one, other)


def _range(recorder: Recorder, *bounds: Any) -> range:
    made = range(*map(recorder.literal, bounds))
    recorder.checked_length(len(made))
    return made


def _text(recorder: Recorder, *parts: Any) -> str:
    return ", ".join(str(part)[:LONGEST_TEXT] for part in parts
                     if isinstance(part, (str, int, float, bool, type(None))))[:LONGEST_TEXT]


_KINDS: dict[str, type | tuple[type, ...]] = {
    "Tensor": TensorValue, "List": list, "Tuple": tuple, "Dict": dict, "str": str, "bool": bool,
    "NoneType": type(None), "int": int, "float": float, "list": list, "tuple": tuple, "dict": dict,
}


def _is_of(recorder: Recorder, value: Any, kinds: Any) -> Any:
    """isinstance(value, Tensor), of List[Tensor] only that it is a list; a type is a Name."""
    names = [kind.dotted for kind in (kinds if isinstance(kinds, (list, tuple)) else [kinds])
             if isinstance(kind, Name)]
    if isinstance(value, NumberValue) or not names or not set(names) <= _KINDS.keys():
        return NotImplemented
    return any(isinstance(value, _KINDS[name]) for name in names)


_BARE: dict[str, Callable[..., Any]] = {
    "int": _converted(int, "sym_int"), "float": _converted(float, "sym_float"),
    "bool": _converted(bool, None), "str": _text, "range": _range,
    "isinstance": _is_of,
}
_ASKED_OF_TENSORS: dict[str, Callable[..., Any]] = {
    "dtype": lambda recorder, tensor: DTYPES.index(tensor.meta.dtype),
    "device": lambda recorder, tensor: DEVICE,
    "type": lambda recorder, tensor: "cpu",
    "layout": lambda recorder, tensor: 0,
    "requires_grad": lambda recorder, tensor: tensor.name.startswith("self."),
    "shape": size,
    "ndim": lambda recorder, tensor: tensor.meta.dim(),
    "itemsize": lambda recorder, tensor: tensor.meta.itemsize,
    "T": lambda recorder, tensor: recorder.operator("t", [tensor], {}),
}
_ON_TENSORS: dict[str, Callable[..., Any]] = {
    "dim": lambda recorder, tensor: tensor.meta.dim(),
    "size": size,
    "len": lambda recorder, tensor: size(recorder, tensor, 0),
    "numel": lambda recorder, tensor: recorder.operator("numel", [tensor], {}),
    "is_floating_point": lambda recorder, tensor: tensor.meta.dtype.is_floating_point,
    "is_complex": lambda recorder, tensor: tensor.meta.dtype.is_complex,
}
_OF: dict[Any, dict[str, Callable[..., Any]]] = {TensorValue: _ON_TENSORS} | OF_CONTAINERS
_ANY: dict[str, Callable[..., Any]] = {
    "__is__": _same, "__isnot__": lambda recorder, one, other: not _same(recorder, one, other),
    "format": _text, "warn": lambda recorder, *parts: None,
}
