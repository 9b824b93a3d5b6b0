"""Pictures in one array of numbers: which axis is what, and how its values become 0 to 255."""

from dataclasses import dataclass

import numpy as np

from core.dataset_files.flat_rows import CHANNELS, SMALLEST, FlatRows, Image, laid_out, proposed
from core.dataset_files.value_ranges import AS_THEY_ARE, ValueRange, in_figures, usual_range
from core.errors import UserError

SMALLEST_TABLE = SMALLEST
LOOKED_AT = 30_000_000  # numbers from which the range of values is judged


@dataclass(frozen=True)
class ArrayImages:
    """image: row -> uint8 (H, W, 1 or 3). notes: what was assumed. flat: where the pictures'
    shape is only proposed."""

    image: Image
    notes: tuple[str, ...]
    flat: FlatRows | None = None


def array_images(values: np.ndarray, name: str) -> ArrayImages:
    """The pictures of an array, read when they are asked for.

    values: (N, H, W), (N, H, W, C), (N, C, H, W) or (N, H·W·C); C is 1, 3 or 4.
    Raises UserError for other shapes and for values that are not numbers.
    """
    if values.dtype.kind not in "buif":
        raise UserError(f"{name}: values of the type {values.dtype} are not pictures; pictures are "
                        "numeric. Save them as numbers from 0 to 255.")
    if len(values) == 0:
        raise UserError(f"{name} holds no images (0 examples). Choose another file.")
    if 0 in values.shape[1:]:
        raise UserError(f"{name}: pictures of the shape {values.shape[1:]} have no pixels. "
                        "Save them again.")
    span, how = _scaling(values, name)
    if values.ndim != 2:
        images, said = as_rows_of_images(values, name)
        return ArrayImages(_image(images, span), (*said, *how))
    images, note = proposed(values, name)

    def image_as(shape: tuple[int, int, int]) -> tuple[Image, str]:
        images, order = laid_out(values, shape)
        channels, height, width = shape
        said = (f"{values.shape[1]:,} numbers a row are taken as the model's input says: {height} "
                f"high, {width} wide, {channels} {'channel' if channels == 1 else 'channels'}"
                f"{order}.")
        return _image(images, span), said

    return ArrayImages(_image(images, span), (note, *how),
                       FlatRows(values.shape[1], note, image_as))


def as_rows_of_images(values: np.ndarray, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """A view (N, H, W, C) of values of 3 or 4 axes, and what was assumed about them."""
    shape = values.shape
    if values.ndim == 3:
        return values[..., None], ()
    first = values.ndim == 4 and shape[1] in CHANNELS
    if values.ndim == 4 and shape[3] in CHANNELS and not (first and shape[2] == shape[3]):
        return values, ()
    if first:
        return values.transpose(0, 2, 3, 1), ("The channels come first in the file.",)
    raise UserError(f"{name}: an array of the shape {shape} is not read as images; (examples, "
                    "height, width), with 1, 3 or 4 channels last or first, is. Save it so.")


def _scaling(images: np.ndarray, name: str) -> tuple[ValueRange, tuple[str, ...]]:
    """The range that becomes 0 to 255, the same for all pictures, and what to say."""
    if images.dtype == np.bool_:
        return ValueRange(0, 1, ""), ("Values are true or false, shown as white and black.",)
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
    whole = images.dtype.kind != "f"
    span = usual_range(low, high, whole)
    if images.dtype == np.uint8 and (span.low, span.high) == (0, 255):
        return AS_THEY_ARE, said
    told = f"from {in_figures(low, whole)} to {in_figures(high, whole)}, {span.words}."
    return span, (*said, f"{'Values' if whole else 'Float values'} range {told}")


def _image(images: np.ndarray, span: ValueRange) -> Image:
    def image(row: int) -> np.ndarray:
        picture = np.asarray(images[row])
        if picture.dtype != np.uint8 or (span.low, span.high) != (0, 255):
            values = picture.astype(np.float64)
            values[~np.isfinite(values)] = span.low
            values = np.rint((values - span.low) * span.scale)
            picture = np.clip(values, 0, 255).astype(np.uint8)
        return _on_white(picture) if picture.shape[-1] == 4 else np.ascontiguousarray(picture)
    return image


def _on_white(picture: np.ndarray) -> np.ndarray:
    alpha = picture[..., 3:].astype(np.float64) / 255
    return np.rint(picture[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
