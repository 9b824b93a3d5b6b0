"""Embeddings: the data as a map, by its pixels and as a layer of the network sees it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from core import store
from core.cache import cached_result
from core.card import InputSpec
from core.dataset_formats import DataSet
from core.errors import UserError
from core.inference import activations, answered, pass_key
from core.jobs import Progress, demand
from core.library import open_dataset
from core.places import content_of
from core.preprocess import resized
from core.projection import nearest, neighbour_accuracy, neighbours_kept, pca
from core.samples import sample_rows
from core.threads import side_by_side

MOST_EXAMPLES = 5000  # on one map
LONGEST_SIDE = 32  # pixels, for the map of pixels: what distinguishes pictures as a whole stays
NEIGHBOURS = 15
DECODERS = 4


@dataclass(frozen=True)
class Map:
    """Examples on a plane, and how far to trust where they lie.

    table: example (row in the data set), x, y. explained: share of variance along x and along y.
    neighbour_accuracy: share of examples that most of their 15 nearest neighbours agree with in
    label, before the reduction to two dimensions; None without labels.
    neighbours_kept: share of those neighbours that are also among the 15 nearest on the map.
    total: examples in the data set. notes: what was sampled, reduced or left out.
    """

    table: pd.DataFrame
    explained: tuple[float, float]
    neighbour_accuracy: float | None
    neighbours_kept: float
    total: int
    notes: tuple[str, ...] = ()


@cached_result
def pixel_map(dataset_id: str, limit: int = MOST_EXAMPLES) -> Map:
    """The map of the pictures themselves, each brought to one small size. May raise Working."""
    data = open_dataset(dataset_id)
    rows, notes = sampled(data, limit)

    def made(progress: Progress) -> Map:
        values, readable, said = pixels(data, rows, progress)
        return map_of(values, rows[readable], data, (*notes, *said))

    return _kept(f"Reading the pictures of {data.title}", made, data=content_of(dataset_id),
                 limit=limit)


@cached_result
def layer_map(model_id: str, dataset_id: str, layer: str, pooling: str,
              limit: int = MOST_EXAMPLES) -> Map:
    """The map of what a layer gives for each example, pooled over positions. May raise Working."""
    data = open_dataset(dataset_id)
    rows, notes = sampled(data, limit)
    values = activations(model_id, dataset_id, layer, pooling)[rows]
    read = answered(model_id, dataset_id)[rows]
    finite = np.isfinite(values).all(axis=1)
    if lost := int((~read).sum()):
        notes = (*notes, f"{lost:,} examples that could not be read are left out.")
    if lost := int((read & ~finite).sum()):
        notes = (*notes, f"{lost:,} examples where the layer gives NaN or infinity are left out.")
    usable = read & finite
    return _kept(f"Drawing the map of {layer}",
                 lambda progress: map_of(values[usable], rows[usable], data, notes),
                 of=pass_key(model_id, dataset_id, layer=layer, pooling=pooling), limit=limit)


def _kept(title: str, make: Callable[[Progress], Map], **parts: Any) -> Map:
    """The map kept on disk under these parts, else made in the background. May raise Working."""
    key = store.key(map=parts, code=store.code())

    def work(progress: Progress) -> None:
        made = make(progress)
        store.write_json(key, asdict(made) | {"table": made.table.to_dict("list")})

    said = demand(key, title, "pictures", partial(store.read_json, key), work, "files")
    table = pd.DataFrame(said.pop("table"))
    lists = {name: tuple(said.pop(name)) for name in ("explained", "notes")}
    return Map(table, **said, **lists)


def sampled(data: DataSet, limit: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """At most `limit` rows, ascending, always the same, and a note where they are not all."""
    if len(data) <= limit:
        return np.arange(len(data)), ()
    how = "stratified by class, " if data.labels is not None else ""
    return (sample_rows(data.labels, len(data), limit),
            (f"{limit:,} of {len(data):,} examples, {how}always the same.",))


def map_of(values: np.ndarray, rows: np.ndarray, data: DataSet, notes: tuple[str, ...]) -> Map:
    """The map of vectors (N, D) that belong to those rows of the data."""
    if len(values) < 3:
        raise UserError(f"A map needs at least 3 examples that can be read; {data.title} has "
                        f"{len(values)}. Choose other data in the sidebar.")
    coordinates, explained = pca(values)
    near = nearest(values, NEIGHBOURS)
    return Map(
        pd.DataFrame({"example": rows, "x": coordinates[:, 0], "y": coordinates[:, 1]}),
        (float(explained[0]), float(explained[1])),
        None if data.labels is None else neighbour_accuracy(near, data.labels[rows]),
        neighbours_kept(near, nearest(coordinates, NEIGHBOURS)),
        len(data), notes)


def pixels(data: DataSet, rows: np.ndarray,
           progress: Progress) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Pixel values uint8 (readable rows, pixels), which rows were readable, and notes.

    All pictures take the size and the channels of the first, at most 32 pixels on the longer side.
    """
    first = next((picture.shape for row in rows if (picture := _picture(data, row)) is not None),
                 (1, 1, 1))
    shrink = min(1, LONGEST_SIDE / max(first[:2]))
    height, width = (max(1, round(side * shrink)) for side in first[:2])
    small = InputSpec(channels=first[2], height=height, width=width, resize="stretch")

    def reduced(row: int) -> tuple[np.ndarray | None, tuple[int, ...]]:
        picture = _picture(data, row)
        return (None, ()) if picture is None else (resized(picture, small).ravel(), picture.shape)

    with side_by_side(DECODERS, "netlens-decode") as pool:
        found = []
        for result in pool.map(reduced, rows):
            found.append(result)
            progress(len(found), len(rows))
    readable = np.array([values is not None for values, _ in found])
    notes = []
    if lost := int((~readable).sum()):
        notes.append(f"{lost:,} pictures that could not be read are left out.")
    if (height, width) != first[:2]:
        notes.append(f"Pictures are reduced to {width} × {height} pixels.")
    if others := sum(values is not None and shape != first for values, shape in found):
        notes.append(f"{others:,} of {readable.sum():,} pictures differ from the first in size or "
                     "channels and are brought to its.")
    kept = [values for values, _ in found if values is not None]
    return np.stack(kept) if kept else np.zeros((0, 1), np.uint8), readable, tuple(notes)


def _picture(data: DataSet, row: int) -> np.ndarray | None:
    """None where the picture cannot be read; how many those are is said with the map."""
    try:
        return data.image(int(row))
    except UserError:
        return None
