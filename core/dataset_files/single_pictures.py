"""An array without an axis of examples: one picture, which must not be read as many narrow ones."""

import numpy as np

from core.dataset_files.flat_rows import SMALLEST_OF_ANY_SHAPE, square_of
from core.dataset_files.smoothness import FEWEST, is_one_picture, planes_agree

COLOURS = (3, 4)
LONGEST, NARROW = 20_000, 20  # pixels a side; longer side over shorter


def with_examples(values: np.ndarray, labels: int | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Values with their axis of examples, which one picture lacks, and what was assumed.

    labels: how many there are, None without labels; as many as rows of the array say that each row
    is an example.
    """
    if labels not in (None, 1) or values.ndim not in (2, 3) or values.dtype.kind not in "buif" or (
            labels == len(values)) or max(values.shape) > LONGEST or 0 in values.shape:
        return values, ()
    if values.ndim == 2:
        height, width = values.shape
        narrow = width < SMALLEST_OF_ANY_SHAPE and not square_of(width) and height >= FEWEST
        if not (narrow or is_one_picture(values)):
            return values, ()
        reason = (f"{width} pixels are no square picture" if narrow
                  else "each line is like the next one")
        return values[None], (_said(values, "grey", reason,
                                    "rows of pixels", "(examples, pixels) with labels"),)
    first, *_, last = values.shape
    sides = sorted(values.shape[:2])
    if last in COLOURS and sides[0] >= FEWEST and sides[1] <= NARROW * sides[0]:
        return values[None], (_said(values, "RGB" if last == 3 else "RGB and alpha",
                                    f"the last axis has {last} values", "grey pictures",
                                    "(examples, height, width, 1)"),)
    if first in COLOURS and min(values.shape[1:]) >= FEWEST and planes_agree(
            values.reshape(1, first, -1)):
        return values[None], (_said(values, "RGB" if first == 3 else "RGB and alpha",
                                    f"its {first} planes have their edges in the same places",
                                    "grey pictures", "(examples, height, width, 1)"),)
    return values, ()


def _said(values: np.ndarray, colour: str, reason: str, otherwise: str, save: str) -> str:
    shape = " × ".join(map(str, values.shape))
    return (f"The array of {shape} numbers is taken as one picture, {colour}, since {reason}. If "
            f"it is {len(values):,} {otherwise}, save it as {save}.")
