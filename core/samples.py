"""A part of a data set in place of the whole: the first examples, or a stratified sample."""

from dataclasses import dataclass, replace

import numpy as np

from core.dataset_formats import DataSet


@dataclass(frozen=True)
class Part:
    """`limit` examples of the data set with the id `whole`: the first ones, or a sample."""

    whole: str
    limit: int
    first: bool


def part_of(data: DataSet, part: Part) -> DataSet:
    """The examples that are meant, with a note of how they were taken."""
    if part.limit >= len(data):
        return data
    of = f"{part.limit:,} of {len(data):,} examples"
    if part.first:
        return _of_rows(data, np.arange(part.limit), f"The first {of}, in the order of the data.")
    rows = sample_rows(data.labels, len(data), part.limit)
    return _of_rows(data, rows, f"A sample of {of}, stratified by class, always the same.")


def sample_rows(labels: np.ndarray | None, examples: int, limit: int) -> np.ndarray:
    """Rows of a stratified sample, ascending: each class keeps its share; seeded, so always the
    same. Without labels, a plain sample."""
    random = np.random.default_rng(0)
    if labels is None:
        return np.sort(random.choice(examples, limit, replace=False))
    shuffled = random.permutation(examples)
    shuffled = shuffled[np.argsort(labels[shuffled], kind="stable")]
    return np.sort(shuffled[(np.arange(limit) * examples // limit) + examples // limit // 2])


def _of_rows(data: DataSet, rows: np.ndarray, note: str) -> DataSet:
    mask = data.mask
    return replace(
        data,
        image=lambda row: data.image(int(rows[row])),
        mask=None if mask is None else lambda row: mask(int(rows[row])),
        labels=None if data.labels is None else data.labels[rows],
        metadata=data.metadata.iloc[rows].reset_index(drop=True),
        notes=(*data.notes, note),
        rows=rows,
        in_whole=len(data),
    )
