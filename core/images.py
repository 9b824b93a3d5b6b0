"""Pictures from bytes: decoded without trusting them, and made small for the page."""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps

from core.errors import UserError

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
EXTENSIONS = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"}
LARGEST_PIXELS = 40_000_000
LARGEST_FILE = 200 << 20  # bytes


def decode(content: bytes, name: str) -> np.ndarray:
    """The picture as uint8 (H, W, 1) if grey, else (H, W, 3) RGB, upright, first frame.

    Transparent pixels are laid on white; 16-bit and float pictures are scaled to 0–255.
    Raises UserError that names the file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content), formats=FORMATS)
            if picture.width * picture.height > LARGEST_PIXELS:
                raise UserError(f"{name} has {picture.width:,} × {picture.height:,} pixels; "
                                f"the limit is {LARGEST_PIXELS:,}. Save it smaller.")
            picture.load()
            return _eight_bit(ImageOps.exif_transpose(picture))
    except UserError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError,
            Image.DecompressionBombWarning, MemoryError) as error:
        reason = str(error).split("<")[0].strip()[:120] or type(error).__name__
        raise UserError(f"{name} is not a readable picture ({reason}). Save it again as PNG or JPEG, "
                        "or remove it.") from error


def _eight_bit(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith(("I", "F")):
        return _scaled(np.asarray(picture, dtype=np.float64))[..., None]
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture).convert("RGB")
    if picture.mode in ("1", "L"):
        return np.asarray(picture.convert("L"))[..., None]
    return np.asarray(picture.convert("RGB"))


def _scaled(values: np.ndarray) -> np.ndarray:
    """16-bit values to 0–255 by their type's range, floats by 0–1 where they lie in it, else by
    their own range."""
    values = np.nan_to_num(values, posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    if 0 <= low and 1 < high <= 65535:
        low, high = 0.0, 255.0 if high <= 255 else 65535.0
    elif 0 <= low and high <= 1:
        low, high = 0.0, 1.0
    return np.round((values - low) / max(high - low, 1e-12) * 255).astype(np.uint8)


def encoded(pixels: np.ndarray, longest_side: int) -> bytes:
    """WebP of a uint8 (H, W, 1 or 3) picture, its longer side brought to `longest_side` pixels.

    Small pictures are enlarged with sharp pixels, so that nobody takes blur for the data.
    """
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    scale = longest_side / max(picture.size)
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    way = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR
    out = io.BytesIO()
    picture.resize(size, way).save(out, "WEBP", quality=80, method=1, lossless=scale > 1)
    return out.getvalue()
