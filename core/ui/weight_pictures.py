"""One tensor as a picture: filters as tiles, in colour where they see a picture's, and any other
matrix as a heat map."""

import math

import numpy as np
import streamlit as st

from core.images import encoded
from core.ui.layers import times
from core.ui.text import count
from core.weight_pictures import MOST_INPUTS, filters, heat_map
from core.weights import as_filters

DIVERGING = tuple(st.get_option("theme.chartDivergingColors") or ())
GREY, WHITE = 128, 255  # between tiles; grey is also what is no number
GAP = 2  # pixels between tiles
ROWS = 16  # filters at a time, one a row
TILES = 64  # filters at a time, where each is one tile
WIDTH = 640  # pixels to which a picture is enlarged


def weight_picture(model_id: str, name: str, shape: tuple[int, ...], key: str) -> None:
    """The picture that suits a tensor, with what its colours mean."""
    if (known := as_filters(name, shape)) is not None:
        _filters(model_id, name, known, key)
    elif sum(side > 1 for side in shape) > 1:
        _heat_map(model_id, name)


def _filters(model_id: str, name: str, shape: tuple[int, int, int, int], key: str) -> None:
    outputs, inputs = shape[:2]
    left, right = st.columns(2)
    colour = inputs == 3 and left.toggle(
        "In colour", True, key=f"{key}-colour", help="Off: one tile for each channel."
    )
    alone = right.toggle(
        "Each its own range", key=f"{key}-alone", help="Off: all have the range of this tensor."
    )
    number = TILES if colour or inputs == 1 else ROWS
    page = st.pagination(math.ceil(outputs / number), key=f"{key}-filters-{name}") if (
        outputs > number
    ) else 1
    first = (page - 1) * number
    shown = filters(model_id, name, first, number)
    limits = _limits(shown, alone)
    tiles = in_colour(shown, limits) if colour else diverging(shown / limits)  # (N, I, h, w, 3)
    picture = mosaic(tiles, WHITE if colour else GREY)
    st.image(encoded(picture, 2 * max(picture.shape)))  # enlarged, so nothing is smoothed
    said = [f"Filters {count(first)} to {count(first + len(shown) - 1)} of {count(outputs)}"]
    if inputs > 1 and not colour:
        seen = f"the first {MOST_INPUTS} of {count(inputs)}" if inputs > MOST_INPUTS else "the"
        said.append(f"one a row, a tile for each of {seen} input channels")
    said.append("grey is zero" if colour else f"white is zero, {_ends(None if alone else limits)}")
    st.caption("; ".join(said) + ".")


def _limits(shown: np.ndarray, alone: bool) -> np.ndarray:
    """The largest magnitude of each filter, or of all: (N, 1, 1, 1), above 0."""
    sizes = np.abs(np.nan_to_num(shown, posinf=0, neginf=0)).max(axis=(1, 2, 3), keepdims=True)
    return np.maximum(sizes if alone else np.full_like(sizes, sizes.max()), 1e-30)


def _ends(limits: np.ndarray | None) -> str:
    if limits is None:
        return "red is negative, blue positive"
    return f"red is negative, blue positive, up to {limits.max():.3g}"


def in_colour(shown: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Filters over red, green and blue (N, 3, h, w) as one picture each, uint8 (N, 1, h, w, 3)."""
    share = np.nan_to_num(shown / limits, posinf=1, neginf=-1)
    return np.moveaxis(np.round(127.5 + 127.5 * share), 1, -1)[:, None].astype(np.uint8)


def diverging(share: np.ndarray) -> np.ndarray:
    """Values -1 to 1 of any shape as colours, uint8 (..., 3); grey where it is no number."""
    stops = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in DIVERGING])
    places = np.linspace(-1, 1, len(stops))
    colours = np.stack([np.interp(share, places, stops[:, part]) for part in range(3)], axis=-1)
    fine = np.isfinite(share)[..., None]
    return np.where(fine, np.round(np.nan_to_num(colours)), GREY).astype(np.uint8)


def mosaic(tiles: np.ndarray, between: int) -> np.ndarray:
    """Tiles (rows, columns, h, w, 3) enlarged, with lines of the grey value `between`; a single row
    or column is wrapped into a rectangle."""
    rows, columns, height, width, _ = tiles.shape
    if 1 in (rows, columns):
        tiles = tiles.reshape(rows * columns, height, width, 3)
        side = math.ceil(math.sqrt(len(tiles)))
        even = (columns for columns in range(side, 2 * side) if len(tiles) % columns == 0)
        columns = next(even, side)
        empty = np.full((-len(tiles) % columns, height, width, 3), between, np.uint8)
        tiles = np.concatenate([tiles, empty]).reshape(-1, columns, height, width, 3)
    larger = max(1, WIDTH // (columns * width))
    tiles = tiles.repeat(larger, 2).repeat(larger, 3)
    lines = ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0))
    framed = np.pad(tiles, lines, constant_values=between)
    rows, columns, height, width, _ = framed.shape
    return framed.swapaxes(1, 2).reshape(rows * height, columns * width, 3)[:-GAP, :-GAP]


def _heat_map(model_id: str, name: str) -> None:
    found = heat_map(model_id, name)
    if found.cells.size == 0:
        return
    limit = max(float(np.abs(np.nan_to_num(found.cells, posinf=0, neginf=0)).max()), 1e-30)
    picture = diverging(found.cells / limit)
    st.image(encoded(picture, 2 * max(WIDTH, *picture.shape[:2])))
    said = f"{times(found.shape)}, first side downwards"
    if max(found.block) > 1:
        said += f", each cell the mean of {found.block[0]:.3g} × {found.block[1]:.3g} weights"
    st.caption(f"{said}; white is zero, {_ends(np.array(limit))}.")
