"""What the numbers of one tensor are like, found in blocks, so that a large tensor costs no more
memory than a small one."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from core.errors import UserError

BLOCK = 1 << 20  # elements looked at in one go
BINS = 60
MOST_SORTED = 1 << 23  # elements; quantiles of more are those of a sample
LEVELS = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
SMALL_SIDE = 512  # up to it all singular values are found, above it only the largest


@dataclass(frozen=True)
class Distribution:
    """How a tensor's finite numbers lie; complex ones by their magnitude.

    counts (BINS,) of equal bins between edges (BINS + 1,), empty where nothing is finite.
    quantiles: by LEVELS. notes: what is approximate.
    """

    counts: np.ndarray
    edges: np.ndarray
    quantiles: dict[float, float]
    notes: tuple[str, ...] = ()


def blocks(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """All numbers in order, flat, on the CPU, at most BLOCK in each; float32 stays, all else
    becomes float64, complex numbers their magnitudes."""
    if tensor.numel() > BLOCK and len(tensor) == 1:
        yield from blocks(tensor[0])
    elif tensor.numel() > BLOCK:
        for part in tensor.split(max(1, BLOCK * len(tensor) // tensor.numel())):
            yield from blocks(part)
    elif tensor.is_complex():
        yield tensor.to("cpu", torch.complex128).abs().flatten()
    else:
        wanted = torch.float32 if tensor.dtype == torch.float32 else torch.float64
        yield tensor.to("cpu", wanted).flatten()


def _finite(block: torch.Tensor) -> torch.Tensor:
    """The block's numbers without NaN and infinities; the block itself where it has none."""
    if len(block) == 0 or all(math.isfinite(side) for side in block.aminmax()):
        return block
    return block[torch.isfinite(block)]


def statistics(tensor: torch.Tensor) -> dict[str, float | int | None]:
    """min, max, mean, std (population), zeros (share, 0 to 1) and norm (Euclidean) of the finite
    numbers, None where none is; nan and infinite count the others."""
    finite = zeros = nan = infinite = 0
    mean = spread = 0.0
    lowest, highest = math.inf, -math.inf
    for block in blocks(tensor):
        numbers = _finite(block)
        if (lacking := len(block) - len(numbers)) > 0:
            nan += (nans := int(torch.isnan(block).sum()))
            infinite += lacking - nans
        if (count := len(numbers)) == 0:
            continue
        low, high = numbers.aminmax()
        lowest, highest = min(lowest, float(low)), max(highest, float(high))
        zeros += count - int(numbers.count_nonzero())
        variance, own = (float(part) for part in torch.var_mean(numbers.double(), correction=0))
        gap, together = own - mean, finite + count  # two groups' moments as one's, without loss
        spread += variance * count + gap * gap * finite * count / together
        mean += gap * count / together
        finite = together
    known = {"nan": nan, "infinite": infinite}
    if finite == 0:
        return dict.fromkeys(("min", "max", "mean", "std", "zeros", "norm")) | known
    return known | {
        "min": lowest,
        "max": highest,
        "mean": mean,
        "std": math.sqrt(spread / finite),
        "zeros": zeros / finite,
        "norm": math.sqrt(spread + finite * mean * mean),
    }


def distribution_of(tensor: torch.Tensor) -> Distribution:
    """Histogram and quantiles; see Distribution."""
    known = statistics(tensor)
    if known["min"] is None:
        return Distribution(np.zeros(0), np.zeros(0), {}, ("None of its numbers is finite.",))
    low, high = known["min"], known["max"]
    margin = 0.0 if high > low else max(abs(low) / 2, 0.5)
    counts = np.zeros(BINS, np.int64)
    edges = np.linspace(low - margin, high + margin, BINS + 1)
    share, kept = min(1.0, MOST_SORTED / tensor.numel()), []
    random = np.random.default_rng(0)
    for block in blocks(tensor):
        numbers = _finite(block).numpy()
        counts += np.histogram(numbers, BINS, (edges[0], edges[-1]))[0]
        drawn = random.integers(len(numbers), size=int(share * len(numbers)))
        kept.append(numbers if share == 1 else numbers[drawn])
    found = np.quantile(np.concatenate(kept), LEVELS)
    notes = () if share == 1 else (
        f"Quantiles are of {MOST_SORTED:,} of the {tensor.numel():,} numbers, drawn at random.",
    )
    return Distribution(counts, edges, dict(zip(LEVELS, found.tolist(), strict=True)), notes)


def as_matrix(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor without sides of 1, as its first side by all the rest; one row where nothing is
    left but one side."""
    sides = tensor.squeeze()
    return sides.flatten(1) if sides.dim() > 1 else sides.reshape(1, -1)


def spectral_norm_of(tensor: torch.Tensor) -> float:
    """The largest singular value of `as_matrix`. Raises UserError where it has none."""
    if tensor.dim() < 2 or tensor.numel() == 0 or tensor.is_complex():
        raise UserError("Only a matrix of real numbers has a spectral norm. Choose another tensor.")
    matrix = as_matrix(tensor).to("cpu", torch.float32)
    if not bool(torch.isfinite(matrix).all()):
        raise UserError("A matrix with NaN or infinite numbers has no spectral norm.")
    if min(matrix.shape) <= SMALL_SIDE:
        return float(torch.linalg.matrix_norm(matrix.double(), 2))
    from scipy.sparse.linalg import LinearOperator, svds

    numbers = matrix.numpy()
    operator = LinearOperator(
        numbers.shape, matvec=lambda x: numbers @ x, rmatvec=lambda x: numbers.T @ x, dtype="f4"
    )
    start = np.random.default_rng(0).standard_normal(min(numbers.shape)).astype("f4")
    return float(svds(operator, k=1, v0=start, return_singular_vectors=False)[0])
