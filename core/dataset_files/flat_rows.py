"""Pictures as rows of numbers, whose height, width and channels no file says."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.dataset_files.smoothness import interleaved, planes_agree, roughness
from core.errors import UserError

CHANNELS = (1, 3, 4)
SMALLEST = 16  # numbers a row from which a table can be pictures
SMALLEST_OF_ANY_SHAPE = 64  # from which a shape is proposed that is no square
LONGEST = 4  # longer side over shorter, of a shape that is proposed
CLEARLY = 0.95  # times the roughness of the squarest shape that another must have to be preferred
OF_MODEL = ("A model that is chosen decides, where its input has as many numbers; else save them "
            "as (examples, height, width).")
Image = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class FlatRows:
    """numbers: of one picture. note: what the data set says of the shape that is shown.

    image_as: (channels, height, width) -> row -> picture in that shape, and the note of it.
    """

    numbers: int
    note: str
    image_as: Callable[[tuple[int, int, int]], tuple[Image, str]]

    def fits(self, shape: tuple[int, int, int]) -> bool:
        """Whether the numbers of a row are those of (channels, height, width)."""
        return shape[0] in CHANNELS and min(shape) > 0 and math.prod(shape) == self.numbers


def proposed(values: np.ndarray, name: str) -> tuple[np.ndarray, str]:
    """Rows (N, P) as pictures (N, H, W, C) of a likely shape, and what was assumed: square where
    the numbers allow it, unless neighbours are clearly more alike in another shape."""
    pixels = values.shape[1]
    if pixels < SMALLEST:
        raise UserError(f"{name}: {pixels:,} numbers a row are too few for a picture. "
                        "Save pictures as (examples, height, width).")
    square = square_of(pixels)
    if square is None and pixels < SMALLEST_OF_ANY_SHAPE:
        raise UserError(f"{name}: {pixels:,} pixels a row are no square image, neither grey nor "
                        "RGB, and too few to see their shape. Save them as (examples, height, "
                        "width).")
    found = _smoothest(values, square)
    if found is None:
        return values[:, None, :, None], (
            f"{pixels:,} numbers a row are no picture of usual proportions; they are shown as one "
            f"line. {OF_MODEL}")
    images, order = laid_out(values, found)
    channels, height, width = found
    if found == square:
        return images, (f"{pixels:,} {'numbers' if order else 'pixels'} a row are taken as "
                        f"{height} × {width}{' RGB' if order else ', grey'}{order}.")
    square_or_not = "could be square, but are" if square else "are no square picture;"
    return images, (f"{pixels:,} numbers a row {square_or_not} taken as {height} high and {width} "
                    f"wide, {'RGB' if channels == 3 else 'grey'}{order}, since neighbouring "
                    f"pixels are most alike so. {OF_MODEL}")


def square_of(pixels: int) -> tuple[int, int, int] | None:
    """(channels, side, side) of a grey or RGB picture of so many numbers."""
    for channels in (1, 3):
        side = math.isqrt(pixels // channels)
        if channels * side * side == pixels:
            return channels, side, side
    return None


def laid_out(values: np.ndarray, shape: tuple[int, int, int]) -> tuple[np.ndarray, str]:
    """Rows as (N, H, W, C) of (channels, height, width), and in which order the channels lie, as
    the end of a sentence; the order in which neighbours differ less."""
    channels, height, width = shape
    pixelwise = values.reshape(-1, height, width, channels)
    if channels == 1:
        return pixelwise, ""
    planes = values.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
    if roughness(pixelwise) < roughness(planes):
        return pixelwise, ", pixel after pixel"
    return planes, ", channel after channel"


def _smoothest(values: np.ndarray,
               square: tuple[int, int, int] | None) -> tuple[int, int, int] | None:
    """The shape in which neighbours differ least; the square one, else the squarest, unless another
    is clearly better. None where no height and width of usual proportions divide the numbers."""
    channels = 3 if values.shape[1] % 3 == 0 and _is_colour(values) else 1
    area = values.shape[1] // channels
    shapes = [(channels, height, area // height) for height in range(2, area // 2 + 1)
              if area % height == 0 and area <= LONGEST * height * height
              and height * height <= LONGEST * area]
    if not shapes:
        return square
    usual = square or min(shapes, key=lambda shape: abs(math.log(shape[1] / shape[2])))
    rough = {shape: roughness(laid_out(values, shape)[0]) for shape in {*shapes, usual}}
    best = min(shapes, key=rough.__getitem__)
    return best if rough[best] < CLEARLY * rough[usual] else usual


def _is_colour(values: np.ndarray) -> bool:
    return interleaved(values, 3) or planes_agree(values.reshape(len(values), 3, -1))
