"""What the operator of a frozen layer was told: kernel, stride, groups and the like, in words."""

from collections.abc import Iterable, Mapping
from typing import Any

from core.graph.nodes import DEVICE, Node, references
from core.graph.operators import LAYERS, base_name, positional_names

OF_THE_RUN = {"training", "benchmark", "deterministic", "cudnn_enabled", "allow_tf32", "train"}


def settings_of(nodes: Iterable[Node], shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The settings of the one operator among these nodes that is a layer by itself; "" where there
    is none or several. shapes: of the values that are weights."""
    told = [node for node in nodes if base_name(node.operator) in LAYERS]
    if len(told) != 1:
        return ""
    operator = told[0].operator
    names = positional_names(operator) or positional_names(f"{operator}.default") or ()
    given = dict(zip(names, told[0].arguments, strict=False))
    given |= told[0].keywords
    weight = next((shapes[ref] for ref in references(given.get("weight"))
                   if ref in shapes), None)
    said = {"weight": _in_short(weight)} if weight else {}
    said |= {name: _in_short(value) for name, value in given.items()
             if value is not None and value is not DEVICE and not any(references(value))
             and name not in OF_THE_RUN}
    return ", ".join(f"{name}={value}" for name, value in said.items())


def _in_short(value: Any) -> str:
    """Lists as torch's own layers say them."""
    if isinstance(value, (list, tuple)):
        return f"({', '.join(map(str, value))})"
    return str(value)
