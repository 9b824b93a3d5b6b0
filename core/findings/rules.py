"""The kinds of findings, the rules that find them, and what to try."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.findings.curves import Curve
from core.findings.kinds import Finding
from core.findings.losses import diverged, falls_slowly, hardly_fell, oscillates
from core.findings.pairs import best_checkpoint, loss_gap, overfits, score_gap, still_improves
from core.findings.unread import lost_part


@dataclass(frozen=True)
class Kind:
    """One kind of finding. rules: the functions that find it. hint: what to try, or how to read it.
    fault: False of what is only told."""

    title: str
    rules: tuple[Callable, ...]
    hint: str
    fault: bool = True


def not_finite(curve: Curve) -> Finding | None:
    """A value is NaN or infinite; of a run the earliest is told, a curve before a single value."""
    odd = np.flatnonzero(~np.isfinite(curve.values))
    if not len(odd):
        return None
    what = "NaN" if np.isnan(curve.values[odd[0]]) else "infinite"
    step = int(curve.steps[odd[0]])
    stayed = len(odd) == len(curve.values) - odd[0]
    rest = "and never finite again" if stayed else "and finite again later"
    said = (
        f"{curve.tag} is {what} at step {step:,} {rest} "
        f"({len(odd):,} of {len(curve.values):,} values)."
    )
    until = int(curve.steps[odd[-1]])
    return Finding(curve.run, curve.tag, step, said, "not finite", until)


KINDS = {
    "log not whole": Kind(
        "Log damaged or cut off", (lost_part,), "Copy the log again from where it was written. "
        "What else is found holds for the points that could be read."
    ),
    "not finite": Kind(
        "Not a number", (not_finite,), "Look at the steps just before: a rate too high, a "
        "division by zero or the logarithm of one, half precision without loss scaling."
    ),
    "divergence": Kind(
        "Divergence", (diverged,), "Try a lower learning rate, a warm-up, or clipped gradients, "
        "and start again from a checkpoint before that step."
    ),
    "overfitting": Kind(
        "Overfitting", (overfits,), "Use the checkpoint from that step. More data, augmentation, "
        "weight decay or a smaller network help."
    ),
    "plateau": Kind(
        "Plateau", (hardly_fell,), "Check that gradients flow and labels fit the data, then try "
        "other learning rates, by factors of ten."
    ),
    "learning rate too high": Kind(
        "Learning rate too high", (oscillates,), "Try a third of it, or let it decay. A small "
        "batch or a small validation set swings as well."
    ),
    "learning rate too low": Kind(
        "Learning rate too low", (falls_slowly,), "Try three to ten times as much."
    ),
    "gap": Kind(
        "Gap between training and validation", (score_gap, loss_gap), "The network knows its "
        "training data better than new data, without getting worse on new data."
    ),
    "stopped too early": Kind(
        "Stopped too early", (still_improves,), "Train on from the last checkpoint; if the "
        "learning rate had decayed, with a longer schedule."
    ),
    "best checkpoint": Kind(
        "Best checkpoint", (best_checkpoint,), "Chosen on validation data, so it looks a little "
        "better than it is on new data.", fault=False
    ),
}  # fmt: skip
