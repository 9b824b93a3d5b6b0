"""A few examples of a data set as a network gets them, batch by batch."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from core.card import InputSpec
from core.device import device, float_type
from core.errors import UserError
from core.labels import UNKNOWN
from core.library import open_dataset
from core.preprocess import resized, scaled
from core.samples import sample_rows
from core.threads import side_by_side

BATCH = 16
DECODERS = 4


def sampled(dataset_id: str, limit: int, labelled: bool = False) -> np.ndarray:
    """At most `limit` rows, ascending, each class with its share, always the same; `labelled`: of
    those with a label. Raises UserError where there is none."""
    data = open_dataset(dataset_id)
    if not labelled or data.labels is None:
        rows = np.arange(0 if labelled else len(data))
    else:
        rows = np.flatnonzero(data.labels != UNKNOWN)
    if len(rows) == 0:
        wanted = "labels" if labelled else "examples"
        raise UserError(f"{data.title} has no {wanted}. Choose other data in the sidebar.")
    labels = None if data.labels is None else data.labels[rows]
    return rows if len(rows) <= limit else rows[sample_rows(labels, len(rows), limit)]


def inputs_of(model: nn.Module, dataset_id: str, spec: InputSpec, rows: np.ndarray,
              size: int = BATCH) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """(rows, inputs (N, C, H, W) on the device) of the pictures that can be read, in batches of
    about `size` that the network takes; the last is smaller."""
    data, kind = open_dataset(dataset_id), float_type(model)
    smallest, largest = getattr(model, "batch", (1, None))
    size = max(smallest, min(size, largest or size))

    def picture(row: int) -> np.ndarray | None:
        try:
            return resized(data.image(int(row)), spec)
        except UserError:
            return None  # the caller counts how many rows came

    with side_by_side(DECODERS, "netlens-decode") as pool:
        for first in range(0, len(rows), size):
            part = rows[first : first + size]
            pictures = list(pool.map(picture, part))
            read = [number for number, found in enumerate(pictures) if found is not None]
            if read:
                inputs = scaled([pictures[number] for number in read], spec)
                yield part[read], inputs.to(device(), kind)
