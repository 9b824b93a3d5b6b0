"""Whether a network's outputs can be what its card says they are."""

import numpy as np

CHECKED = 2000  # examples
SUM_WITHIN = 0.02  # of 1
MOST = 0.5  # of the examples, beyond which the card is doubted


def doubt(log_probabilities: np.ndarray, output: str | None, smallest: float) -> str | None:
    """A sentence where the outputs do not look like what `output` says; None where they may be.

    log_probabilities: float32 (N, K), as made from the outputs by what the card says of them, NaN
    rows where there is none, nothing below ln(smallest).
    probabilities and their logarithms sum to 1; of sigmoids few are exactly 0 or 1; logits differ
    by more than 1 somewhere, which probabilities never do.
    """
    rows = log_probabilities[:CHECKED]
    rows = rows[np.isfinite(rows).all(1)].astype(np.float64)
    if not len(rows) or rows.shape[1] < 2:
        return None
    if output in ("probabilities", "log_probabilities"):
        off = np.abs(np.exp(rows).sum(1) - 1) > SUM_WITHIN
        what = f"{output.replace('_', ' ')}, and those of {off.mean():.0%} of the examples do not "
        what += "sum to 1"
    elif output == "sigmoid":
        off = ((rows <= np.log(smallest) + 1e-3) | (rows >= 0)).mean(1) > MOST
        what = f"probabilities by a sigmoid, and in {off.mean():.0%} of the examples most are "
        what += "exactly 0 or 1, or beyond"
    else:
        off = np.ptp(rows, axis=1) <= 1 + 1e-4
        off &= bool(off.all())
        what = "logits, and within no example do they differ by more than 1, as with probabilities"
    if off.mean() <= MOST:
        return None
    return (f"The outputs are taken for {what}: confidences and losses may be wrong. Correct what "
            "the outputs are in the model card.")
