"""How numbers lie in a picture, told by how alike neighbours are."""

import numpy as np

LOOKED_AT, NUMBERS = 100, 1_000_000  # pictures, and numbers of all of them together
AGREEING = 0.5  # correlation of edges from which planes show the same thing
UNEVEN = 1.3  # a step between channels over another, from which they take turns
CLOSE = 0.5  # a step to the next line over one to any line, below which lines lie in one picture
FEWEST = 8  # lines and columns of a picture that is told so


def roughness(images: np.ndarray) -> float:
    """How much neighbouring pixels of (N, H, W, C) differ: small where the axes are read right."""
    some = _some(images)
    steps = [np.abs(np.diff(some, axis=axis)) for axis in (1, 2) if some.shape[axis] > 1]
    return float(sum(step.mean() for step in steps))


def planes_agree(planes: np.ndarray) -> bool:
    """Whether the planes of (N, C, P) show the same thing, as channels do: edges in one are edges
    in the others."""
    steps = np.diff(_some(planes), axis=2)
    steps -= steps.mean(axis=2, keepdims=True)
    norms = np.sqrt((steps ** 2).sum(axis=2))  # (N, C)
    products = (steps[:, :-1] * steps[:, 1:]).sum(axis=2)
    sizes = norms[:, :-1] * norms[:, 1:]
    return bool(sizes.any()) and float(products.sum() / max(sizes.sum(), 1e-12)) > AGREEING


def interleaved(rows: np.ndarray, channels: int) -> bool:
    """Whether channels take turns in rows (N, P): the step within a pixel is another than that
    from one pixel to the next."""
    steps = np.abs(np.diff(_some(rows), axis=1))
    usual = steps.mean(axis=0)  # (P - 1,); of each phase the median, which no line's end disturbs
    phases = [float(np.median(usual[phase::channels])) for phase in range(channels)]
    return max(phases) > UNEVEN * min(phases)


def is_one_picture(lines: np.ndarray) -> bool:
    """Whether the rows of (H, W) are the lines of one picture: each is like the next one, and less
    like any other."""
    if min(lines.shape) < FEWEST:
        return False
    some = np.nan_to_num(lines[:, :: max(1, lines.shape[1] // 512)].astype(np.float64))
    other = np.random.default_rng(0).permutation(len(some))
    usual = np.abs(some - some[other]).mean()
    return bool(np.abs(np.diff(some, axis=0)).mean() < CLOSE * usual)


def _some(values: np.ndarray) -> np.ndarray:
    count = max(2, min(LOOKED_AT, NUMBERS * len(values) // values.size))
    some = values[:: max(1, len(values) // count)].astype(np.float64)
    return np.nan_to_num(some, posinf=0, neginf=0)
