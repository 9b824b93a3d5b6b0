"""Pictures from bytes: decoded without trusting them, and made small for the page."""

import base64
import io
import struct
import warnings
import zlib
from importlib import import_module

import numpy as np
from PIL import Image, ImageFile, ImageOps

from core.dataset_files.value_ranges import SIXTEEN_BITS, ValueRange, usual_range
from core.errors import UserError

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
EXTENSIONS = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"}
ENDINGS_OF = {"JPEG": {".jpg", ".jpeg"}, "MPO": {".jpg", ".jpeg"}, "TIFF": {".tif", ".tiff"},
              "PPM": {".ppm", ".pgm", ".pbm", ".pnm"}}
LARGEST_PIXELS = 40_000_000
LARGEST_FILE = 200 << 20  # bytes
NARROW = 200  # longer side over shorter from which a picture is a line
ORIENTATION = 0x0112
PNG = b"\x89PNG\r\n\x1a\n"
LFS = b"version https://git-lfs"
SAVE_AGAIN = "Save it again as PNG or JPEG, or remove it."
# What Pillow raises for damaged files, depending on where the damage is.
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, MemoryError, TypeError, LookupError,
          OverflowError, zlib.error, struct.error)
# What is often named like a picture: first bytes, where they begin, what it is.
OTHERS = ((b"ftyphei", 4, "a HEIC picture"), (b"ftypavif", 4, "an AVIF picture"),
          (b"%!ps", 0, "an EPS drawing"), (b"%pdf", 0, "a PDF document"),
          (b"<svg", 0, "an SVG drawing"), (b"<?xml", 0, "an SVG drawing or other XML"),
          (b"<html", 0, "a web page (HTML)"),
          (b"<!doc", 0, "a web page (HTML)"))
# Pillow warns above 89 million pixels; the limit here is lower.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
import_module("PIL.WebPImagePlugin")  # else Pillow imports all its formats to save one: 40 ms
# Bytes at a time between a picture and an array; at Pillow's 64 kB that takes 1.4 times as long.
ImageFile.MAXBLOCK = 1 << 20


def decode(content: bytes, name: str, span: ValueRange | None = None) -> np.ndarray:
    """The picture as uint8 (H, W, 1) if grey, else (H, W, 3) RGB, upright, first frame.

    Transparent pixels are laid on white. span: what becomes 0–255 of a 16-bit or float picture, one
    for all of a data set; without it integers are scaled by the range of 16 bits, floats by their
    own. Raises UserError that names the file.
    """
    picture = opened(content, name)
    try:
        picture.load()
        ImageOps.exif_transpose(picture, in_place=True)
        return _eight_bit(picture, span)
    except DAMAGE as error:
        raise _unreadable(name, error) from error


def extremes(content: bytes, name: str) -> tuple[float, float, bool]:
    """(lowest value, highest, whether they are integers) of a picture. Raises UserError."""
    picture = opened(content, name)
    try:
        values = np.nan_to_num(np.asarray(picture, dtype=np.float64), posinf=0, neginf=0)
    except DAMAGE as error:
        raise _unreadable(name, error) from error
    return float(values.min()), float(values.max()), picture.mode != "F"


def is_deep(picture: Image.Image) -> bool:
    """Whether its values are not 0 to 255: of 16 bits or more, or floats."""
    return picture.mode.startswith(("I", "F"))


def opened(content: bytes, name: str) -> Image.Image:
    """The picture with its header read and its pixels not. Raises UserError that names the file."""
    if problem := _no_picture(content, name):
        raise UserError(problem)
    try:
        picture = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise UserError(f"{name} has too many pixels; the limit is {LARGEST_PIXELS:,}. "
                        "Save it smaller.") from error
    except DAMAGE as error:
        raise _unreadable(name, error) from error
    if picture.width * picture.height > LARGEST_PIXELS:
        raise UserError(f"{name} has {picture.width:,} × {picture.height:,} pixels; "
                        f"the limit is {LARGEST_PIXELS:,}. Save it smaller.")
    return picture


def _unreadable(name: str, error: Exception) -> UserError:
    reason = str(error).split("<")[0].strip()[:120] or type(error).__name__
    return UserError(f"{name} cannot be read as a picture ({reason}). {SAVE_AGAIN}")


def _no_picture(content: bytes, name: str) -> str | None:
    """Why these bytes are no picture that is read here, where that can be told at once."""
    if not content:
        return f"{name} is empty (0 bytes). Copy it again, or remove it."
    if content.startswith(LFS):
        return (f"{name} is a Git LFS pointer, which only names the real file. Run 'git lfs pull', "
                "then open the folder again.")
    start = content[:64].lstrip().lower()
    for mark, at, is_a in OTHERS:
        if (start if at == 0 else content[at:64]).startswith(mark):
            return (f"{name} is {is_a}, a format that is not supported, not an image file. "
                    f"{SAVE_AGAIN}")
    if content.startswith(PNG) and _png_is_damaged(content):
        return (f"{name} cannot be read as a picture: it is damaged, a checksum is wrong. "
                f"{SAVE_AGAIN}")
    return None


def _png_is_damaged(content: bytes) -> bool:
    """Whether a whole chunk's checksum is wrong; Pillow does not check those of the pixels."""
    view, at = memoryview(content), len(PNG)
    while at + 12 <= len(content):
        end = at + 8 + int.from_bytes(view[at:at + 4])
        if end + 4 > len(content):
            return False  # cut off: Pillow says so
        if zlib.crc32(view[at + 4:end]) != int.from_bytes(view[end:end + 4]):
            return True
        at = end + 4
    return False


def oddities(picture: Image.Image) -> list[str]:
    """What a picture's header says that a person should know, as ends of 'N pictures …'."""
    found = []
    try:
        if getattr(picture, "n_frames", 1) > 1:
            found.append("with several frames or pages (animated): the first is shown")
    except DAMAGE:
        found.append("with damaged frames or pages after the first, which is shown")
    if _orientation(picture) not in (0, 1):
        found.append("turned upright as the file says (EXIF)")
    if is_deep(picture):
        found.append("of 16 bits or floats, scaled to 0–255")
    elif picture.tile and ";16" in str(picture.tile[0][3]):
        found.append("of 16 bits a channel, of which the upper 8 are used")
    if picture.mode == "CMYK":
        found.append("in CMYK, shown as RGB")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        found.append("with transparency, laid on white")
    if max(picture.size) > NARROW * min(picture.size):
        found.append("so narrow that little is left of them at another size or aspect")
    return found


def is_misnamed(picture: Image.Image, name: str) -> bool:
    """Whether a file's ending is another format's than the one it is read as."""
    ending = name[name.rfind("."):].lower() if "." in name.rpartition("/")[2] else ""
    own = ENDINGS_OF.get(picture.format, {f".{str(picture.format).lower()}"})
    return ending != "" and ending not in own


def _orientation(picture: Image.Image) -> int:
    if picture.format == "PNG" and "exif" not in picture.info:
        return 1  # Pillow would decode the pixels to look behind them
    try:
        return picture.getexif().get(ORIENTATION, 1)
    except DAMAGE:
        return 1


def _eight_bit(picture: Image.Image, span: ValueRange | None) -> np.ndarray:
    if is_deep(picture):
        return _scaled(np.asarray(picture, dtype=np.float64), span, picture.mode != "F")[..., None]
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture).convert("RGB")
    if picture.mode in ("1", "L"):
        return np.asarray(picture if picture.mode == "L" else picture.convert("L"))[..., None]
    return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))


def _scaled(values: np.ndarray, span: ValueRange | None, whole: bool) -> np.ndarray:
    values = np.nan_to_num(values, posinf=0, neginf=0)
    if span is None:
        low, high = float(values.min()), float(values.max())
        deep = whole and low >= 0 and high <= 65535
        span = SIXTEEN_BITS if deep else usual_range(low, high, whole)
    return np.clip(np.round((values - span.low) * span.scale), 0, 255).astype(np.uint8)


def encoded(pixels: np.ndarray, longest_side: int) -> bytes:
    """A uint8 (H, W, 1 or 3) picture, its longer side brought to `longest_side` pixels: JPEG, ten
    times as fast as WebP; where it is enlarged lossless WebP with sharp pixels, so that nobody
    takes blur for the data.
    """
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    scale = longest_side / max(picture.size)
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    out = io.BytesIO()
    if scale > 1:
        larger = picture.resize(size, Image.Resampling.NEAREST)
        larger.save(out, "WEBP", lossless=True, method=0)
    else:
        picture.resize(size, Image.Resampling.BILINEAR).save(out, "JPEG", quality=85)
    return out.getvalue()


def data_uri(pixels: np.ndarray, longest_side: int) -> str:
    """What `encoded` gives, as an address that holds the picture itself."""
    content = encoded(pixels, longest_side)
    kind = "jpeg" if content.startswith(b"\xff\xd8") else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
