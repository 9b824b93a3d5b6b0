"""Draws pictures of *shapes* from their plan, by signed distances.

Only operations whose result IEEE 754 fixes touch pixels (no sine, no unordered sum of fractions),
so that every machine draws the same bytes.
"""

from functools import lru_cache

import numpy as np
import pandas as pd

from core.dataset_formats.shapes_plan import CLASS_NAMES, POOL

SIDE = 64
CHUNK = 7  # pictures at a time: larger arrays would each come fresh from the system, page by page
_MARK = ("#...#..#", "##..#..#", "#.#.#..#", "#..##..#", "#...#..#", "#...#.##")
WATERMARK = np.array([[cell == "#" for cell in row] for row in _MARK])  # (6, 8)
WATERMARK_AT = (slice(SIDE - 8, SIDE - 2), slice(SIDE - 10, SIDE - 2))  # bottom right
_UP = np.rint(np.clip(  # (64, 8): 8 knots to 64 pixels, linearly, in eighths: sums are exact
    8 - np.abs(np.arange(SIDE)[:, None] * 7 / 63 - np.arange(8)) * 8, 0, 8)).astype(np.float32)


def draw(plan: pd.DataFrame, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (N, 64, 64, 3) and the true masks of their shapes, bool (N, 64, 64)."""
    pictures = np.empty((len(plan), SIDE, SIDE, 3), np.uint8)
    masks = np.empty((len(plan), SIDE, SIDE), bool)
    looks = {key: plan[key].to_numpy()[:, None, None] for key in plan}
    for true_class, rows in plan.groupby("true_class").indices.items():
        name = CLASS_NAMES[true_class]
        for chunk in np.array_split(rows, -(-len(rows) // CHUNK)):
            look = {key: column[chunk] for key, column in looks.items()}
            pictures[chunk], masks[chunk] = _draw_chunk(look, name, noise_pool(seed))
    blurred = np.flatnonzero(plan["fault"] == "blurred")
    pictures[blurred] = _blur(pictures[blurred])
    _stamp(pictures, np.flatnonzero(plan["watermark"]))
    return pictures, masks


@lru_cache(maxsize=2)
def noise_pool(seed: int) -> np.ndarray:
    """Bytes that all pictures take their noise from."""
    return np.frombuffer(np.random.default_rng([seed, 3]).bytes(POOL), np.uint8)


def _draw_chunk(look: dict[str, np.ndarray], name: str,
                noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As draw, from the plan's columns, each (N, 1, 1), of pictures of one class."""
    x, y = _turned(look["turn"], look["centre_x"], look["centre_y"])
    distance = signed_distance(name, x, y, look["radius"])
    shape = np.clip(0.5 - distance, 0, 1)  # (N, 64, 64), soft over one pixel
    along, _ = _turned(look["bar_turn"], 31.5, 31.5)
    bar = np.clip(look["bar_width"] - np.abs(along - look["bar_offset"]), 0, 1)
    texture = _texture(look, noise) * look["texture"]
    grain = _windows(noise, look["noise_at"], SIDE) - np.float32(127.5)
    grain = grain * (look["grain"] / 256)
    pictures = np.empty((*shape.shape, 3), np.uint8)
    for number, channel in enumerate("rgb"):
        colour = look[f"ground_{channel}"] + texture * look[f"tint_{channel}"]
        colour += bar * (look[f"bar_{channel}"] - colour)
        filled = look[f"fill_{channel}"] + texture * np.float32(0.5)
        colour += shape * (filled - colour)
        colour = (colour + grain) * look["brightness"]
        pictures[..., number] = np.rint(np.clip(colour, 0, 255))
    return pictures, distance < 0


def _turned(degrees: np.ndarray, centre_x: np.ndarray | float,
            centre_y: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates about a centre, turned by whole degrees: two arrays (N, 64, 64)."""
    radians = np.deg2rad(degrees)
    cosine, sine = (np.round(f(radians), 6).astype(np.float32) for f in (np.cos, np.sin))
    right = np.arange(SIDE, dtype=np.float32)[None, None, :] - centre_x
    down = np.arange(SIDE, dtype=np.float32)[None, :, None] - centre_y
    right, down = right.astype(np.float32), down.astype(np.float32)
    return right * cosine + down * sine, down * cosine - right * sine


def _texture(look: dict[str, np.ndarray], noise: np.ndarray) -> np.ndarray:
    """Stripes and blotches in the proportion the plan says, -1 to 1, (N, 64, 64)."""
    along, _ = _turned(look["stripe_turn"], 31.5, 31.5)
    cycles = along / look["stripe_period"] + look["stripe_phase"]
    stripes = np.abs(cycles - np.floor(cycles) - np.float32(0.5)) * 4 - 1
    knots = _windows(noise, look["blotch_at"], 8).astype(np.float32)  # (N, 8, 8)
    blotches = _UP @ knots @ _UP.T  # whole numbers below 2**24, so exact in any order
    blotches = blotches * np.float32(2 / (64 * 255)) - 1
    return blotches + look["stripes"] * (stripes - blotches)


def _windows(noise: np.ndarray, starts: np.ndarray, side: int) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(noise, side * side)
    return windows[starts[:, 0, 0]].reshape(-1, side, side)


def signed_distance(name: str, x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Pixels to the outline of the shape, below 0 inside; areas of the shapes are alike."""
    if name == "circle":
        return np.sqrt(x * x + y * y) - radius * np.float32(0.82)
    if name == "ring":
        middle, width = radius * np.float32(0.74), radius * np.float32(0.22)
        return np.abs(np.sqrt(x * x + y * y) - middle) - width
    if name == "cross":
        long, short = radius * np.float32(0.92), radius * np.float32(0.3)
        across, down = np.abs(x), np.abs(y)
        return np.minimum(np.maximum(across - long, down - short),
                          np.maximum(across - short, down - long))
    sides = {"triangle": 3, "square": 4, "pentagon": 5, "star": 5, "hexagon": 6}[name]
    inner = {"triangle": 0.55, "square": 0.7, "pentagon": 0.75, "star": 0.4, "hexagon": 0.78}[name]
    furthest, second = _edges(x, y, sides)
    return (second if name == "star" else furthest) - radius * np.float32(inner)


def _edges(x: np.ndarray, y: np.ndarray, sides: int) -> tuple[np.ndarray, np.ndarray]:
    """How far out a point lies toward the furthest and the second furthest side.

    A star is where at most one of five sides is crossed, so the second draws it.
    """
    furthest = second = np.full_like(x, -np.inf)
    for side in range(sides):
        angle = 2 * np.pi * side / sides
        out = x * np.float32(round(np.cos(angle), 6)) + y * np.float32(round(np.sin(angle), 6))
        second = np.maximum(second, np.minimum(furthest, out))
        furthest = np.maximum(furthest, out)
    return furthest, second


def _blur(pictures: np.ndarray) -> np.ndarray:
    """A box of 9 pixels, three times over, in whole numbers."""
    blurred = pictures.astype(np.int32)
    for _ in range(3):
        for axis in (1, 2):
            edges = [(4, 4) if number == axis else (0, 0) for number in range(4)]
            windows = np.lib.stride_tricks.sliding_window_view(
                np.pad(blurred, edges, mode="edge"), 9, axis=axis)
            blurred = windows.sum(axis=-1) // 9
    return blurred.astype(np.uint8)


def _stamp(pictures: np.ndarray, rows: np.ndarray) -> None:
    """Blends the watermark in: three parts white, one part picture."""
    area = pictures[:, WATERMARK_AT[0], WATERMARK_AT[1]]  # a view
    stamped = (area[rows].astype(np.uint16) + 3 * 255) // 4
    area[rows] = np.where(WATERMARK[..., None], stamped, area[rows])
