"""Shapes: drawn pictures with known faults and true masks, made when first asked for."""

import threading
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from core.dataset_formats import DataSet, Format, descriptor
from core.dataset_formats.shapes_drawing import SIDE, draw
from core.dataset_formats.shapes_plan import CLASS_NAMES, SIZES, plans

VERSION = 1  # of the generator; raise it when a pixel, label or column changes
FEW = 32  # pictures drawn one by one: a page shows few, a pass needs all


def load(path: Path) -> DataSet:
    """The split that a descriptor names. Raises UserError."""
    said = descriptor.read(path, tuple(SIZES))
    split, seed = said["split"], said["seed"]
    plan = plans(seed)[split]
    return DataSet(
        title=f"Shapes, {split}",
        image=lambda row: drawn(split, seed).picture(row),
        mask=lambda row: drawn(split, seed).mask(row),
        labels=_read_only(plan["label"].to_numpy(np.int64, copy=True)),
        class_names=CLASS_NAMES,
        metadata=_metadata(plan, split),
        split=split,
        notes=(f"Drawn from seed {seed}: {len(plan):,} pictures of 64 × 64.",),
    )


def _metadata(plan: pd.DataFrame, split: str) -> pd.DataFrame:
    return pd.DataFrame({
        "path": [f"shapes/{split}/{row:05d}.png" for row in range(len(plan))],
        "true_label": np.take(CLASS_NAMES, plan["true_class"]),
        "watermark": plan["watermark"],
        **{fault: plan["fault"] == fault for fault in ("blank", "blurred", "rare")},
        "duplicate_of": plan["duplicate_of"],
    })


class Drawn:
    """The pictures of a split: uint8 (N, 64, 64, 3), and bool (N, 64, 64), true on the shape.

    Drawn when asked for, the first few alone, then all at once, which takes as long as 200 alone:
    beside a network that computes, each picture would take twice as long. 98 MB for both splits.
    """

    def __init__(self, split: str, seed: int) -> None:
        self.plan, self.seed = plans(seed)[split], seed
        self.pictures = np.empty((len(self.plan), SIDE, SIDE, 3), np.uint8)
        self.masks = np.empty((len(self.plan), SIDE, SIDE), bool)
        self._done: set[int] | range = set()
        self._drawing = threading.Lock()

    def picture(self, row: int) -> np.ndarray:
        self._have(row)
        return _read_only(self.pictures[row])

    def mask(self, row: int) -> np.ndarray:
        self._have(row)
        return _read_only(self.masks[row])

    def _have(self, row: int) -> None:
        row = range(len(self.plan))[row]  # as arrays count: -1 is the last
        with self._drawing:  # a second caller waits rather than draws
            if row in self._done:
                return
            if len(self._done) < FEW:
                self._draw(slice(row, row + 1))
                self._done = {*self._done, row}
            else:
                self._draw(slice(None))
                self._done = range(len(self.plan))

    def _draw(self, rows: slice) -> None:
        plan = self.plan.iloc[rows].reset_index(drop=True)
        self.pictures[rows], self.masks[rows] = draw(plan, self.seed)


@lru_cache(maxsize=2)
def drawn(split: str, seed: int) -> Drawn:
    """One object for all who open the split."""
    return Drawn(split, seed)


def _read_only(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def content_id(path: Path) -> str:
    return descriptor.digest(descriptor.read(path, tuple(SIZES)), VERSION)


FORMAT = Format("Shapes", lambda path: descriptor.names(path, "shapes"), load, content_id)
