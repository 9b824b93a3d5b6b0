"""Shapes: drawn pictures with known faults and true masks, made when first asked for."""

import threading
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from core.dataset_formats import DataSet, Format, descriptor
from core.dataset_formats.shapes_drawing import draw
from core.dataset_formats.shapes_plan import CLASS_NAMES, SIZES, plans

VERSION = 1  # of the generator; raise it when a pixel, label or column changes
_drawing = threading.Lock()


def load(path: Path) -> DataSet:
    """The split that a descriptor names. Raises UserError."""
    said = descriptor.read(path, tuple(SIZES))
    split, seed = said["split"], said["seed"]
    plan = plans(seed)[split]
    return DataSet(
        title=f"Shapes, {split}",
        image=lambda row: pictures_and_masks(split, seed)[0][row],
        mask=lambda row: pictures_and_masks(split, seed)[1][row],
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


def pictures_and_masks(split: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (N, 64, 64, 3) and bool (N, 64, 64), read-only; drawn once, 98 MB for both splits."""
    with _drawing:  # a second caller waits rather than draws
        return _drawn(split, seed)


@lru_cache(maxsize=2)
def _drawn(split: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    pictures, masks = draw(plans(seed)[split], seed)
    return _read_only(pictures), _read_only(masks)


def _read_only(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def content_id(path: Path) -> str:
    return descriptor.digest(descriptor.read(path, tuple(SIZES)), VERSION)


FORMAT = Format("Shapes", lambda path: descriptor.names(path, "shapes"), load, content_id)
