"""Some pictures of the data, each beside what the network gets of it."""

import numpy as np
from PIL import Image

from core.errors import UserError
from core.library import open_dataset

SHOWN = 3  # pictures in the preview
TRIED = 4  # for each of them, where one cannot be read
SIDE = 54  # pixels of each
GAP = 4
FINER = 2  # pixels sent for each on the page: screens have more of them


def some_pictures(dataset_id: str) -> list[np.ndarray]:
    """A few from all over the data. Raises UserError where none can be read."""
    data, found = open_dataset(dataset_id), []
    rows = np.linspace(0, len(data) - 1, SHOWN * TRIED).astype(int)
    for part in np.array_split(np.unique(rows), SHOWN):
        for row in part.tolist():
            try:
                found.append(data.image(row))
                break
            except UserError as error:
                last = error
    if not found:
        raise last
    return found


def as_picture(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """A network's input (H, W, C) by its own channels as red, green, blue; darkest is lowest."""
    scaled = (values - low) / max(high - low, 1e-6) * 255
    return np.round(scaled).astype(np.uint8)


def side_by_side(*pictures: np.ndarray) -> np.ndarray:
    """Pictures at one height with a transparent gap between them: uint8 (H, W, 4)."""
    height, parts = SIDE * FINER, []
    for picture in pictures:
        colour = picture.shape[2] == 3
        image = Image.fromarray(picture if colour else picture[..., 0]).convert("RGBA")
        width = round(height * min(2, max(0.5, image.width / image.height)))
        larger = image.height < height
        how = Image.Resampling.NEAREST if larger else Image.Resampling.BILINEAR
        parts += [np.zeros((height, GAP * FINER, 4), np.uint8),
                  np.asarray(image.resize((width, height), how))]
    return np.concatenate(parts[1:], axis=1)
