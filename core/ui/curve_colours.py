"""A colour for each run, the same on every page and whichever runs are shown."""

import colorsys
from collections.abc import Sequence

import streamlit as st

PALETTE = tuple(st.get_option("theme.chartCategoricalColors") or ())
SHADES = (0.0, -0.12, 0.22)  # lightness of the first, second and third round of the palette
DASHES = ([1, 0], [6, 3], [2, 2], [10, 3, 2, 3], [12, 4], [4, 2, 1, 2], [1, 4], [8, 2, 8, 6])


def run_colours(names: Sequence[str]) -> dict[str, str]:
    """`names`: all runs of the logs in name order (tags_and_runs), never only those shown.

    Thirty differ; then they repeat.
    """
    size = len(PALETTE)
    return {name: _shade(PALETTE[place % size], SHADES[place // size % len(SHADES)])
            for place, name in enumerate(names)}


def _shade(colour: str, change: float) -> str:
    if not change:
        return colour
    red, green, blue = (int(colour[at:at + 2], 16) / 255 for at in (1, 3, 5))
    hue, light, full = colorsys.rgb_to_hls(red, green, blue)
    parts = colorsys.hls_to_rgb(hue, min(0.85, max(0.2, light + change)), full)
    return "#" + "".join(f"{round(part * 255):02X}" for part in parts)


def dashes(tags: Sequence[str]) -> dict[str, list[int]]:
    """The dash of each tag's line where several share a chart; after eight they repeat."""
    return {tag: DASHES[place % len(DASHES)] for place, tag in enumerate(tags)}
