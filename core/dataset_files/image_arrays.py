"""Pictures in one array of numbers: which axis is what, and how its values become 0 to 255."""

import math
from collections.abc import Callable

import numpy as np

from core.errors import UserError

Image = Callable[[int], np.ndarray]
CHANNELS = (1, 3, 4)
SMALLEST_TABLE = 16  # numbers a row from which a table can be pictures
LOOKED_AT = 30_000_000  # numbers from which the range of values is judged


def array_images(values: np.ndarray, name: str) -> tuple[Image, tuple[str, ...]]:
    """row -> uint8 (H, W, 1 or 3), and what was assumed. Reads a picture when it is asked for.

    values: (N, H, W), (N, H, W, C), (N, C, H, W) or (N, H·W·C); C is 1, 3 or 4.
    Raises UserError for other shapes and for values that are not numbers.
    """
    if values.dtype.kind not in "buif":
        raise UserError(f"{name}: values of the type {values.dtype} are not pictures; pictures are "
                        "numeric. Save them as numbers from 0 to 255.")
    if len(values) == 0:
        raise UserError(f"{name} holds no images (0 examples). Choose another file.")
    laid_out, said = as_rows_of_images(values, name)
    scale, offset, how = _scaling(laid_out, name)
    return _image(laid_out, scale, offset), (*said, *how)


def as_rows_of_images(values: np.ndarray, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """A view (N, H, W, C) of values, and what was assumed about its axes."""
    shape = values.shape
    if 0 in shape[1:]:
        raise UserError(f"{name}: pictures of the shape {shape[1:]} have no pixels. "
                        "Save them again.")
    if values.ndim == 2:
        return _from_table(values, name)
    if values.ndim == 3:
        return values[..., None], ()
    first = values.ndim == 4 and shape[1] in CHANNELS
    if values.ndim == 4 and shape[3] in CHANNELS and not (first and shape[2] == shape[3]):
        return values, ()
    if first:
        return values.transpose(0, 2, 3, 1), ("The channels come first in the file.",)
    raise UserError(f"{name}: an array of the shape {shape} is not read as images; (examples, "
                    "height, width), with 1, 3 or 4 channels last or first, is. Save it so.")


def _from_table(values: np.ndarray, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    pixels = values.shape[1]
    side, colour_side = math.isqrt(pixels), math.isqrt(pixels // 3)
    if side * side == pixels and pixels >= SMALLEST_TABLE:
        return (values.reshape(-1, side, side, 1),
                (f"{pixels:,} pixels a row are taken as {side} × {side}, grey.",))
    if 3 * colour_side * colour_side != pixels or pixels < SMALLEST_TABLE:
        raise UserError(f"{name}: {pixels:,} pixels a row are no square image, neither grey nor "
                        "RGB, so their shape is unknown. Save them as (examples, height, width).")
    planes = values.reshape(-1, 3, colour_side, colour_side).transpose(0, 2, 3, 1)
    pixelwise = values.reshape(-1, colour_side, colour_side, 3)
    first, how = (planes, "channel after channel")
    if _roughness(pixelwise) < _roughness(planes):
        first, how = (pixelwise, "pixel after pixel")
    return first, (f"{pixels:,} numbers a row are taken as {colour_side} × {colour_side} RGB, "
                   f"{how}.",)


def _roughness(images: np.ndarray) -> float:
    """How much neighbouring pixels differ: small where the axes are read in the right order."""
    some = images[:: max(1, len(images) // 100)].astype(np.float64)
    return float(np.abs(np.diff(some, axis=1)).mean() + np.abs(np.diff(some, axis=2)).mean())


def _scaling(images: np.ndarray, name: str) -> tuple[float, float, tuple[str, ...]]:
    """(scale, offset) that bring values to 0–255 as value * scale + offset, and what to say."""
    if images.dtype == np.bool_:
        return 255.0, 0.0, ("Values are true or false, shown as white and black.",)
    step = max(1, images.size // LOOKED_AT)
    looked = np.asarray(images[::step])
    said = () if step == 1 else (f"The range of values is judged from {len(looked):,} pictures.",)
    if images.dtype.kind == "f":
        finite = np.isfinite(looked)
        if lost := looked.size - int(finite.sum()):
            said += (f"{lost:,} pixels are NaN or infinite, not finite numbers; shown as the "
                     "lowest.",)
            looked = looked[finite]
            if not looked.size:
                raise UserError(f"{name}: no pixel is a finite number. Save the pictures again.")
    low, high = float(looked.min()), float(looked.max())
    scale, offset, how = _range(low, high, images.dtype)
    return scale, offset, (*said, how) if how else said


def _range(low: float, high: float, dtype: np.dtype) -> tuple[float, float, str]:
    kind = "Float values" if dtype.kind == "f" else "Values"
    range_of = f"{kind} range from {low:.4g} to {high:.4g}"
    if low >= 0 and high <= 1 and (dtype.kind == "f" or high == 1):
        return 255.0, 0.0, f"{range_of}, taken as 0 to 1."
    if low >= 0 and high <= 255:
        return 1.0, 0.0, "" if dtype == np.uint8 else f"{range_of}, taken as 0 to 255."
    if low >= -1 and high <= 1:
        return 127.5, 127.5, f"{range_of}, taken as -1 to 1."
    if dtype == np.uint16:
        return 255 / 65535, 0.0, f"{range_of}, 16 bits scaled to 0 to 255."
    spread = 255 / max(high - low, 1e-12)
    return spread, -low * spread, (f"{range_of}, which is no usual range of pixels (standardised "
                                   "perhaps); scaled so that this range fills 0 to 255.")


def _image(images: np.ndarray, scale: float, offset: float) -> Image:
    def image(row: int) -> np.ndarray:
        picture = np.asarray(images[row])
        if picture.dtype != np.uint8 or (scale, offset) != (1.0, 0.0):
            values = picture.astype(np.float64)
            values[~np.isfinite(values)] = -offset / scale
            picture = np.clip(np.rint(values * scale + offset), 0, 255).astype(np.uint8)
        return _on_white(picture) if picture.shape[-1] == 4 else np.ascontiguousarray(picture)
    return image


def _on_white(picture: np.ndarray) -> np.ndarray:
    alpha = picture[..., 3:].astype(np.float64) / 255
    return np.rint(picture[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
