"""Weights as pictures: filters as tiles, any matrix as a heat map; raw numbers, coloured on the
page."""

from dataclasses import dataclass

import numpy as np
import torch

from core.cache import cached_result
from core.library import open_outline
from core.measures.tensor_statistics import as_matrix
from core.weights import outputs_first, tensor_of

MOST_CELLS = 256  # rows, and columns, of a heat map
MOST_INPUTS = 16  # input channels shown of each filter


@dataclass(frozen=True)
class HeatMap:
    """cells (rows, columns): the mean of `block` (rows, columns) weights each; shape: of the
    matrix, see as_matrix."""

    cells: np.ndarray
    shape: tuple[int, int]
    block: tuple[float, float]


@cached_result
def filters(model_id: str, name: str, first: int, number: int) -> np.ndarray:
    """float32 (filters, inputs, height, width) of `number` filters from `first`; of more than
    MOST_INPUTS inputs the first ones. Channels of pictures are red, green, blue."""
    tensor = outputs_first(name, tensor_of(model_id, name))
    shown = tensor[first : first + number, :MOST_INPUTS].to("cpu", torch.float32)
    order = open_outline(model_id).card.input.channel_order
    return (shown.flip(1) if order == "BGR" and tensor.shape[1] == 3 else shown).numpy()


@cached_result
def heat_map(model_id: str, name: str) -> HeatMap:
    """A tensor of any shape as a matrix, made small enough to draw."""
    return heat_map_of(tensor_of(model_id, name))


def heat_map_of(tensor: torch.Tensor) -> HeatMap:
    """See HeatMap; complex numbers by their magnitude, NaN where a cell holds one."""
    matrix = as_matrix(tensor)
    rows, columns = min(len(matrix), MOST_CELLS), min(matrix.shape[1], MOST_CELLS)
    if 0 in matrix.shape:
        return HeatMap(np.zeros((0, 0), np.float32), tuple(matrix.shape), (1.0, 1.0))
    bands = [_band(part, columns) for part in matrix.tensor_split(rows)]
    block = (matrix.shape[0] / rows, matrix.shape[1] / columns)
    return HeatMap(np.stack(bands), tuple(matrix.shape), block)


def _band(rows: torch.Tensor, columns: int) -> np.ndarray:
    """The means of `columns` blocks of a few rows."""
    real = rows.abs() if rows.is_complex() else rows
    mean = real.to("cpu", torch.float32).mean(0).numpy()
    starts = np.linspace(0, len(mean), columns, endpoint=False).astype(int)
    return np.add.reduceat(mean, starts) / np.diff(starts, append=len(mean)).astype(np.float32)
