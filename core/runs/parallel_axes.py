"""Columns as parallel axes, and which rows the brushes on them keep."""

import json
import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

MISSING = "missing"
LOG_SPAN = 100  # two decades
Scale = Literal["linear", "log", "category"]


@dataclass(frozen=True)
class Axis:
    """A column to draw. values: one a run; a number, on a category axis the place in `categories`;
    or a word for what is no number: missing, NaN, ∞, −∞."""

    name: str
    scale: Scale
    values: list[float | str]
    categories: list[str] = field(default_factory=list)


def axis(name: str, column: pd.Series, logged: pd.Series | None = None) -> Axis:
    """The axis of a column. logged: how many points each run has of a metric."""
    if not pd.api.types.is_float_dtype(column.dtype):
        words = [None if pd.isna(value) else str(value) for value in column]
        known = sorted({word for word in words if word is not None}, key=_in_order)
        places = {word: place for place, word in enumerate(known)} | {None: MISSING}
        return Axis(name, "category", [places[word] for word in words], known)
    missing = column.isna() if logged is None else logged.isna()
    values = [
        MISSING if absent else value if math.isfinite(value) else _odd(value)
        for value, absent in zip(column.tolist(), missing.tolist(), strict=True)
    ]
    return Axis(name, scale_of(column), values)


def _in_order(word: str) -> tuple[bool, float, str]:
    try:
        return False, float(word), word
    except ValueError:
        return True, 0.0, word


def _odd(value: float) -> str:
    return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"


def scale_of(column: pd.Series) -> Scale:
    """Logarithmic where all numbers are positive and span two decades or more."""
    finite = column[np.isfinite(column)]
    if len(finite) and finite.min() > 0 and finite.max() / finite.min() >= LOG_SPAN * (1 - 1e-9):
        return "log"
    return "linear"


def brushes_of(view: str) -> dict[str, dict]:
    """The brushes that a view states, by axis; {} where it is no view."""
    try:
        said = json.loads(view)
    except (ValueError, RecursionError):
        return {}
    brushes = said.get("brushes") if isinstance(said, dict) else None
    brushes = brushes if isinstance(brushes, dict) else {}
    return {name: brush for name, brush in brushes.items() if isinstance(brush, dict)}


def kept(axes: list[Axis], brushes: dict[str, dict]) -> np.ndarray:
    """Which rows all brushes keep. A brush: range, of numbers; among, of categories; words, of what
    is no number; a row has to meet one of them."""
    result = np.ones(len(axes[0].values) if axes else 0, bool)
    for drawn in axes:
        if (brush := brushes.get(drawn.name)) is not None:
            result &= [_meets(drawn, value, brush) for value in drawn.values]
    return result


def _meets(drawn: Axis, value: float | str, brush: dict) -> bool:
    if isinstance(value, str):
        return value in _listed(brush, "words")
    if drawn.scale == "category":
        return drawn.categories[value] in _listed(brush, "among")
    ends = [end for end in _listed(brush, "range") if isinstance(end, int | float)]
    return len(ends) == 2 and ends[0] <= value <= ends[1]


def _listed(brush: dict, part: str) -> list:
    found = brush.get(part)
    return found if isinstance(found, list) else []
