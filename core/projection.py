"""Maps of many dimensions on two: principal components, and how far such a map is to be trusted."""

from collections.abc import Iterator

import numpy as np

BLOCK_BYTES = 16 << 20  # of one block of rows or columns, as float64
WHOLE_SPECTRUM = 500  # up to this size all eigenvalues are as cheap as the largest few
BLOCK_ROWS = 1024
EXACT_WIDTH = 64  # up to this many dimensions distances are float64


def pca(values: np.ndarray, components: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (N, components) on the principal axes, and each axis's share of the variance.

    Exact, from the covariance (D, D) or the Gram matrix (N, N), whichever is smaller, read in
    blocks, so `values` (N, D) may be mapped from disk. The largest loading of an axis is positive.
    """
    centre = values.mean(axis=0, dtype=np.float64)
    if (np.ptp(values, axis=0) == 0).all():  # a dead layer: no direction is better than another
        return np.zeros((len(values), components)), np.zeros(components)
    if values.shape[1] <= len(values):
        matrix = _added(part.T @ part for part in _row_blocks(values, centre))  # (D, D)
        variances, axes = _largest(matrix, components)
    else:
        matrix = _added(part @ part.T for part in _column_blocks(values, centre))  # (N, N)
        variances, weights = _largest(matrix, components)
        axes = np.concatenate([part.T @ weights for part in _column_blocks(values, centre)])
        axes /= np.maximum(np.linalg.norm(axes, axis=0), np.finfo(float).tiny)
    axes *= np.where(np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0) < 0, -1, 1)
    coordinates = np.concatenate([part @ axes for part in _row_blocks(values, centre)])
    shares = variances / max(np.trace(matrix), np.finfo(float).tiny)
    missing = components - len(shares)  # there may be fewer dimensions than asked for
    return np.pad(coordinates, ((0, 0), (0, missing))), np.pad(shares, (0, missing))


def _added(parts: Iterator[np.ndarray]) -> np.ndarray:
    total = next(parts)
    for part in parts:
        total += part
    return total


def _largest(matrix: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues of a symmetric matrix, largest first, and vectors (size, count)."""
    size = len(matrix)
    if size > WHOLE_SPECTRUM:
        from scipy.sparse.linalg import eigsh

        start = np.random.default_rng(0).normal(size=size)  # fixed: the map is always the same
        eigenvalues, vectors = eigsh(matrix, k=count, v0=start)
    else:
        eigenvalues, vectors = np.linalg.eigh(matrix)
    order = eigenvalues.argsort()[::-1][:count]
    return np.maximum(eigenvalues[order], 0), vectors[:, order]


def _row_blocks(values: np.ndarray, centre: np.ndarray) -> Iterator[np.ndarray]:
    step = max(1, BLOCK_BYTES // (8 * max(1, values.shape[1])))
    return (values[start : start + step] - centre for start in range(0, len(values), step))


def _column_blocks(values: np.ndarray, centre: np.ndarray) -> Iterator[np.ndarray]:
    step = max(1, BLOCK_BYTES // (8 * len(values)))
    return (
        values[:, start : start + step] - centre[start : start + step]
        for start in range(0, values.shape[1], step)
    )


def nearest(values: np.ndarray, k: int = 15) -> np.ndarray:
    """The k nearest other rows of each row by Euclidean distance, nearest first: (N, at most k)."""
    import torch  # 2 s, which a map that is kept does not need

    centred = np.empty(values.shape, np.float64 if values.shape[1] <= EXACT_WIDTH else np.float32)
    np.subtract(values, values.mean(axis=0, dtype=np.float64), out=centred, casting="same_kind")
    rows = torch.from_numpy(centred)
    squares, found = rows.square().sum(dim=1), []
    for block in torch.arange(len(rows)).split(BLOCK_ROWS):
        distances = squares - 2 * rows[block] @ rows.T  # (block, N), but for a constant a row
        distances[torch.arange(len(block)), block] = torch.inf
        found.append(distances.topk(min(k, len(rows) - 1), largest=False).indices)
    return torch.cat(found).numpy()


def neighbour_accuracy(neighbours: np.ndarray, labels: np.ndarray) -> float | None:
    """Share of examples whose label most of their neighbours (N, k) have, 0 to 1.

    Ties go to the smaller label. Examples without a label (-1) neither count nor vote; None where
    no example counts.
    """
    known = labels >= 0
    if not known.any() or neighbours.shape[1] == 0:
        return None
    votes = np.zeros((len(labels), labels.max() + 1), dtype=np.int32)
    voters = labels[neighbours]  # (N, k)
    rows, _ = np.nonzero(voters >= 0)
    np.add.at(votes, (rows, voters[voters >= 0]), 1)
    return float((votes.argmax(axis=1) == labels)[known & votes.any(axis=1)].mean())


def neighbours_kept(neighbours: np.ndarray, on_map: np.ndarray) -> float:
    """Share of true neighbours (N, k) that are among the neighbours on the map (N, k), 0 to 1."""
    kept = [
        np.isin(true, near, assume_unique=True).sum()
        for true, near in zip(neighbours, on_map, strict=True)
    ]
    return float(np.sum(kept) / max(neighbours.size, 1))
