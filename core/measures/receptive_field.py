"""How much of the picture each number of a layer sees: in closed form along the data flow.

Windows (kernel, stride, padding, dilation) are composed from the input on; where branches meet, the
smallest rectangle around them counts. https://distill.pub/2019/computing-receptive-fields/
"""

from collections import defaultdict
from dataclasses import dataclass, replace

import pandas as pd
from torch import nn

from core.errors import UserError
from core.flow.names import REARRANGING
from core.flow.operations import Edge, Operation, Shape
from core.flow.run import recorded
from core.flow.windows import LARGEST, Axis

# Each number comes from the same place, of any channel.
_POINTWISE = """
    add sub mul div neg abs pow sqrt rsqrt exp log square reciprocal maximum
    minimum relu relu6 leaky_relu prelu rrelu elu celu selu gelu silu mish softplus softsign sigmoid
    log_sigmoid hardsigmoid hardswish hardtanh tanh threshold clamp clamp_min clamp_max where
    batch_norm native_batch_norm native_batch_norm_legit_no_training dropout alpha_dropout
    feature_dropout feature_alpha_dropout cat concat concatenate getitem chunk split tensor_split
    split_with_sizes stochastic_depth"""
POINTWISE = frozenset(_POINTWISE.split())
CHANNELS_LAST = frozenset({"linear", "matmul", "mm", "addmm", "layer_norm", "native_layer_norm"})


@dataclass(frozen=True)
class Extent:
    """Along one side: the first number sees `size` pixels from `start`, the next one `step` pixels
    later; whole: each sees all."""

    start: int = 0
    size: int = 1
    step: int = 1
    whole: bool = False


@dataclass(frozen=True)
class Field:
    """What a tensor's numbers see; sides: where its height and width are, none in a vector."""

    height: Extent
    width: Extent
    sides: tuple[int, ...]


def fields_table(fields: dict[str, Field]) -> pd.DataFrame:
    """One row a layer that lies over the picture.

    layer; field, step: (height, width) in pixels of the input, of its last run; whole: whether each
    of its numbers sees the whole picture, whatever the field.
    """
    rows = [{"layer": layer, "field": (field.height.size, field.width.size),
             "step": (field.height.step, field.width.step),
             "whole": field.height.whole and field.width.whole}
            for layer, field in fields.items()]
    return pd.DataFrame(rows, columns=["layer", "field", "step", "whole"])


def fields_of(model: nn.Module, input_shape: Shape) -> dict[str, Field]:
    """Of each layer, the field of what its last run gives last, where that can be followed."""
    try:
        operations, edges = recorded(model, input_shape)
    except UserError:
        return {}  # the table of layers says why
    found: dict[str, Field | None] = {}
    for operation, field in zip(operations, followed(operations, edges), strict=True):
        for call in operation.calls:
            found[call.layer] = field
    return {layer: field for layer, field in found.items() if field is not None}


def followed(operations: list[Operation], edges: list[Edge]) -> list[Field | None]:
    """Of each operation's result, None where it is not followed: attention, resizing."""
    given: dict[int, list[Edge]] = defaultdict(list)
    for edge in edges:
        given[edge.target].append(edge)
    picture = operations[0].shapes[0][2:]
    fields: list[Field | None] = [Field(Extent(), Extent(), (2, 3))]
    for position, operation in enumerate(operations[1:], 1):
        seen = [(fields[edge.source], edge.shape) for edge in given[position]]
        known = [(field, shape) for field, shape in seen if field is not None]
        fields.append(_next(operation, known, picture) if len(known) == len(seen) else None)
    return fields


def _next(operation: Operation, given: list[tuple[Field, Shape]],
          picture: Shape) -> Field | None:
    """The field of an operation's result, of those of what it reads."""
    if not given or not operation.shapes:
        return None
    field, shape = given[0]
    made = operation.shapes[-1]
    if operation.window is not None:
        if len(given) > 1 or field.sides != (2, 3):
            return None
        return _through(field, operation.window, made, picture)
    if operation.order is not None:
        return replace(field, sides=tuple(operation.order.index(side) for side in field.sides))
    if operation.operator in REARRANGING:
        return _rearranged(field, shape, made)
    last = operation.operator in CHANNELS_LAST and all(
        len(of) - 1 not in one.sides for one, of in given)
    if (operation.operator in POINTWISE or last) and len(given[0][1]) == len(made):
        return _united(given, made)
    return None


def _through(field: Field, window: tuple[Axis, Axis], made: Shape, picture: Shape) -> Field:
    height, width = (_behind(extent, axis) for extent, axis in
                     zip((field.height, field.width), window, strict=True))
    if len(made) == 4:
        return _all_if_single(Field(height, width, (2, 3)), made, picture)
    return _all_if_single(Field(height, width, ()), made, picture)


def _behind(extent: Extent, axis: Axis) -> Extent:
    if axis.kernel == LARGEST:
        return replace(extent, whole=True)
    return replace(
        extent,
        start=extent.start - axis.before * extent.step,
        size=extent.size + (axis.kernel - 1) * axis.dilation * extent.step,
        step=extent.step * axis.stride,
    )


def _all_if_single(field: Field, made: Shape, picture: Shape) -> Field:
    """A side of one number that reaches from the first pixel to the last sees the whole side."""
    def told(extent: Extent, side: int, pixels: int) -> Extent:
        covers = extent.start <= 0 and extent.start + extent.size >= pixels
        single = not field.sides or made[field.sides[side]] == 1
        return replace(extent, whole=extent.whole or (single and covers))

    return replace(field, height=told(field.height, 0, picture[0]),
                   width=told(field.width, 1, picture[1]))


def _rearranged(field: Field, shape: Shape, made: Shape) -> Field | None:
    """The same numbers in another shape, where their places can still be told."""
    sides = tuple(shape[side] for side in field.sides)
    if shape == made:
        return field
    if field.sides == (len(shape) - 2, len(shape) - 1) and made[-2:] == sides and len(made) > 2:
        return replace(field, sides=(len(made) - 2, len(made) - 1))
    if len(made) == 2:  # flattened: all places together
        return Field(*(_over_all(extent, side) for extent, side in
                       zip((field.height, field.width), sides or (1, 1), strict=True)), ())
    if not field.sides and len(made) == 4 and made[2:] == (1, 1):
        return replace(field, sides=(2, 3))
    return None


def _over_all(extent: Extent, side: int) -> Extent:
    return replace(extent, size=extent.size + (side - 1) * extent.step,
                   whole=extent.whole or side > 1)


def _united(given: list[tuple[Field, Shape]], made: Shape) -> Field | None:
    """Around several, whose places must be the same; what is one number sees for every place."""
    sides = {field.sides for field, _ in given}
    if len(sides) > 1:
        return None
    at = sides.pop()
    for _, shape in given:
        if len(shape) != len(made) or any(shape[s] not in (1, made[s]) for s in at):
            return None
    heights, widths = ([getattr(field, name) for field, _ in given]
                       for name in ("height", "width"))
    spread = any(shape[s] != made[s] for _, shape in given for s in at)
    return Field(_around(heights, spread), _around(widths, spread), at)


def _around(extents: list[Extent], spread: bool) -> Extent:
    start = min(extent.start for extent in extents)
    end = max(extent.start + extent.size for extent in extents)
    step = min(extent.step for extent in extents) if spread else extents[0].step
    return Extent(start, end - start, step, spread or any(extent.whole for extent in extents))
