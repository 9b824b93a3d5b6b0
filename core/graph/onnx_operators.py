"""The table of ONNX's operators, a function of a builder for each; which know of rounding."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

from core.graph.onnx_arranging import OPERATORS as ARRANGING
from core.graph.onnx_builder import Builder
from core.graph.onnx_elementwise import OPERATORS as ELEMENTWISE
from core.graph.onnx_indexing import OPERATORS as INDEXING
from core.graph.onnx_layers import OPERATORS as LAYERS
from core.graph.onnx_microsoft import OPERATORS as MICROSOFT
from core.graph.onnx_model import OnnxNode
from core.graph.onnx_quantized import OPERATORS as QUANTIZING
from core.graph.onnx_reductions import OPERATORS as REDUCTIONS
from core.graph.onnx_resizing import OPERATORS as RESIZING
from core.graph.onnx_rounding import steps_of
from core.graph.onnx_values import Rounding, Value
from core.graph.onnx_whole_products import OPERATORS as WHOLE_PRODUCTS
from core.graph.onnx_windows import OPERATORS as WINDOWS

TABLES = (ELEMENTWISE, REDUCTIONS, WINDOWS, LAYERS, ARRANGING, INDEXING, RESIZING,
          QUANTIZING, WHOLE_PRODUCTS, MICROSOFT)
OPERATORS: dict[str, Callable[..., Any]] = {k: v for table in TABLES for k, v in table.items()}
ROUNDED = {*QUANTIZING, *WHOLE_PRODUCTS, *MICROSOFT}  # which know of rounded values themselves
KEEPING = frozenset(["Identity", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze",
                     "MaxPool", "Slice", "Split", "Gather", "Dropout", "Expand", "Tile"])
TOLD = ("outputs", "name")  # what a function is told of its node, never an attribute


@cache
def attributes_of(operator: str) -> frozenset[str]:
    """The attributes that an operator's function takes."""
    if operator == "Constant":
        return frozenset(["value", "value_float", "value_floats", "value_int", "value_ints"])
    parameters = inspect.signature(OPERATORS[operator]).parameters.values()
    return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in TOLD)


def as_in_file(b: Builder, value: Value | None) -> Value | None:
    """The whole numbers that the file has for a rounded value; any other value as it is."""
    return steps_of(b, value) if value is not None and value.rounding else value


def with_rounding(b: Builder, node: OnnxNode, inputs: list[Value | None]
                  ) -> tuple[list[Value | None], Rounding | None]:
    """Inputs as the operator knows them, and what its results are still rounded to."""
    if node.key in ROUNDED or not any(value is not None and value.rounding for value in inputs):
        return inputs, None
    kept = inputs[0].rounding if node.key in KEEPING and inputs[0] is not None else None
    if kept is None or kept.scale.size != 1:
        return [as_in_file(b, value) for value in inputs], None
    return [inputs[0], *(as_in_file(b, value) for value in inputs[1:])], kept
