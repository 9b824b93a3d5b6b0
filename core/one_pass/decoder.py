"""Decodes pictures ahead of the network that will see them."""

import os
from concurrent.futures import Future

import numpy as np
import torch

from core.card import InputSpec
from core.dataset_formats import DataSet
from core.errors import UserError
from core.preprocess import resized, scaled
from core.threads import side_by_side

DECODERS = min(16, max(4, os.cpu_count() or 1))  # more would wait for the interpreter


class Decoder:
    """Decodes ahead while the network computes, so far and no farther that memory stays bounded;
    remembers what was unreadable."""

    def __init__(self, data: DataSet, spec: InputSpec) -> None:
        self.data, self.spec = data, spec
        self.bad: dict[int, str] = {}
        self.ahead: dict[int, Future[np.ndarray]] = {}

    def __enter__(self) -> "Decoder":
        self.pool = side_by_side(DECODERS, "netlens-decode")
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)

    def take(self, start: int, size: int, ahead: int) -> list[np.ndarray]:
        """The pictures of rows start … start + size, resized; `ahead` rows after them are begun."""
        end = start + size
        futures = [self.ahead.pop(row, None) or self._begun(row) for row in range(start, end)]
        pictures = [future.result() for future in futures]
        for row in range(end, min(end + ahead, len(self.data))):
            if row not in self.ahead:
                self.ahead[row] = self._begun(row)
        return pictures

    def _begun(self, row: int) -> "Future[np.ndarray]":
        return self.pool.submit(self._picture, row)

    def inputs(self, pictures: list[np.ndarray]) -> torch.Tensor:
        """What the network gets for these pictures, float32 (N, C, H, W)."""
        return scaled(pictures, self.spec)

    def unreadable(self, start: int, size: int) -> np.ndarray:
        """Positions in the batch of pictures that could not be read."""
        return np.array([row - start for row in self.bad if start <= row < start + size], dtype=int)

    def _picture(self, row: int) -> np.ndarray:
        try:
            return resized(
                self.data.image(row), self.spec
            )  # here, so that large pictures do not wait
        except UserError as error:
            self.bad[row] = str(error)
            return np.zeros((self.spec.height, self.spec.width, self.spec.channels), np.uint8)
