"""What a layer gives for one example, on the page: maps as tiles, tokens and vectors."""

import math

import numpy as np
import streamlit as st

from core.images import encoded
from core.library import open_dataset
from core.measures.outputs import (
    MAPS,
    TOKENS,
    Output,
    output_heat_map,
    output_of,
    output_ranges,
)
from core.ui.activation_charts import unit_bars
from core.ui.components.gallery import gallery
from core.ui.images import thumbnails
from core.ui.layers import times
from core.ui.saliency import colours_of
from core.ui.selection import put_first
from core.ui.sidebar import Chosen
from core.ui.text import count, md_escape, plural
from core.ui.weight_pictures import GREY, WIDTH, diverging, mosaic

FIRST = 8  # examples offered where none is chosen
TILES = 64  # maps at a time
MOST_BARS = 80  # units drawn as bars; more are a strip of colours
RANGES = {"each map": "each", "this layer": "layer", "whole network": "network"}


def one_example(chosen: Chosen) -> None:
    """Any layer's output for the chosen example."""
    example = _example(chosen)
    ranges = output_ranges(chosen.model_id, chosen.dataset_id, example)
    if ranges.empty:
        st.write("No layer of this network gives numbers. Click a box of Graph for what an "
                 "operation gives.")
        return
    runs = {_run_name(row.layer, row.run): (row.layer, row.run) for row in ranges.itertuples()}
    said = st.selectbox(
        "Layer", list(runs), key="activation_layer", bind="query-params",
        help="In the order in which they run.",
    )
    layer, run = runs[said]
    layer_activations(chosen, example, layer, "activations", run)


def _run_name(layer: str, run: int) -> str:
    return layer if run == 1 else f"{layer} · run {run}"


def _example(chosen: Chosen) -> int:
    """The first of the chosen examples; a click on another picture puts that one first."""
    data = open_dataset(chosen.dataset_id)
    offered = list(chosen.examples) or list(range(min(FIRST, len(data))))
    numbers = data.numbers(offered)
    if not chosen.examples:
        st.caption(f"No example is chosen, so this is example {numbers[0]}. Click another here, or "
                   "points and pictures on other pages.")
    pictures = thumbnails(chosen.dataset_id, offered, 64)
    cards = [{"example": example, "image": picture, "lines": [["quiet", f"#{number}"]],
              "wrong": False, "title": f"example {number}"}
             for example, number, picture in zip(offered, numbers, pictures, strict=True)]
    clicked = gallery(cards, (offered[0],), "activation-examples", 72, "strip")
    if clicked is not None and clicked != offered[0]:
        put_first(clicked)
    return offered[0]


def layer_activations(chosen: Chosen, example: int, layer: str, key: str, run: int = 0) -> None:
    """One layer's output for one example as a picture; run: from 1, 0 for its last."""
    found = output_of(chosen.model_id, chosen.dataset_id, example, layer, run)
    output_picture(chosen, example, found, layer, f"{key}-{layer}-{run}")


def output_picture(chosen: Chosen, example: int, found: Output, name: str, key: str) -> None:
    """What a layer or operation gives, as tiles, bars or a strip of colours."""
    st.caption(f"{md_escape(name)}: {_described(found)}")
    for note in _notes(found):
        st.caption(note)
    if found.kind == MAPS:
        _maps(chosen, example, found, key)
    elif found.kind == TOKENS or found.values.size > MOST_BARS:
        _strip(found)
    else:
        unit_bars(found.values)


def _described(found: Output) -> str:
    shape = found.values.shape
    if found.kind == MAPS:
        return f"{plural(shape[0], 'map')} of {times(shape[1:])}"
    if found.kind == TOKENS:
        return f"{plural(shape[0], 'token')} with {plural(shape[1], 'feature')} each"
    return plural(shape[0], "number")


def _notes(found: Output) -> list[str]:
    said = [found.note] if found.note else []
    if found.runs > 1:
        said.append(f"The layer runs {found.runs} times; this is run {found.run}.")
    if lost := int((~np.isfinite(found.values)).sum()):
        said.append(f"{count(lost)} numbers are NaN or infinite, drawn grey.")
    return said


def _maps(chosen: Chosen, example: int, found: Output, key: str) -> None:
    """Maps as tiles, with the range of colours that a person chooses."""
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    said = left.segmented_control(
        "Range of the colours", list(RANGES), default="each map", required=True, key="map_range",
        bind="query-params", help="Each map: its pattern is best seen, and a map that is nearly 0 "
        "looks as lively as any other. This layer or the whole network: maps can be compared.",
    )
    pages = math.ceil(len(found.values) / TILES)
    with right:
        page = st.pagination(pages, key=f"{key}-maps") if pages > 1 else 1
    first = (page - 1) * TILES
    shown = found.values[first : first + TILES]
    limits = _limits(chosen, example, found, shown, RANGES[said])
    signed = bool((found.values < 0).any())
    tiles = _coloured(shown / limits, signed)
    picture = mosaic(tiles[:, None], GREY)
    st.image(encoded(picture, max(WIDTH, *picture.shape[:2])))
    each = " each map" if limits.min() < limits.max() else ""
    most = "to its own largest number" if each else f"to {limits.max():.3g}"
    colours = f"white is 0, red negative, blue positive,{each} up {most}"
    last = count(first + len(shown) - 1)
    st.caption(f"Maps {count(first)} to {last} of {count(len(found.values))}, row by row; "
               f"{colours if signed else f'{each[1:]} from 0 {most}'.strip()}.")


def _limits(chosen: Chosen, example: int, found: Output, shown: np.ndarray,
            of: str) -> np.ndarray:
    """The magnitude that gets the strongest colour, for each map: (N, 1, 1), above 0."""
    if of == "network":
        ranges = output_ranges(chosen.model_id, chosen.dataset_id, example)
        largest = float(ranges[["low", "high"]].abs().max().max())
    else:
        largest = _largest(found.values)
    limits = np.full((len(shown), 1, 1), largest)
    if of == "each":
        limits[:, 0, 0] = [_largest(values) for values in shown]
    return np.maximum(np.nan_to_num(limits), 1e-30)


def _largest(values: np.ndarray) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0


def _coloured(share: np.ndarray, signed: bool) -> np.ndarray:
    """Values -1 to 1, or 0 to 1, as colours, uint8 (..., 3)."""
    if signed:
        return diverging(share)
    colours = colours_of(np.clip(np.nan_to_num(share), 0, 1)).round()
    return np.where(np.isfinite(share)[..., None], colours, GREY).astype(np.uint8)


def _strip(found: Output) -> None:
    """Tokens by features, or one long vector, as a heat map."""
    cells, block = output_heat_map(found)
    signed, limit = bool((found.values < 0).any()), max(_largest(cells), 1e-30)
    picture = _coloured(cells / limit, signed)
    if len(picture) == 1:
        picture = picture.repeat(max(1, WIDTH // (16 * picture.shape[1]) * 8 or 8), 0)
    st.image(encoded(picture, max(WIDTH, *picture.shape[:2])))
    said = "tokens downwards, features across" if found.kind == TOKENS else "from left to right"
    if max(block) > 1:
        said += f"; each cell is the mean of {block[0]:.3g} × {block[1]:.3g} numbers"
    colours = "white is 0, red negative, blue positive" if signed else "from 0"
    st.caption(f"{said[0].upper()}{said[1:]}; {colours}, up to {limit:.3g}.")
