"""Which curves of a run a rule is asked about: losses, scores, and those that belong together."""

from collections.abc import Iterable

import numpy as np

from core.findings.curves import Curve
from core.findings.tag_names import (
    Pair,
    by_the_run,
    direction,
    measured,
    must_fall,
    pairs,
    split_of,
)

FEWEST_OF_A_LOSS, FEWEST_OF_A_PAIR = 8, 5


def those_finite(curves: list[Curve]) -> list[Curve]:
    """Those that end with finite values, without the others in between."""
    return [curve.finite() for curve in curves if np.isfinite(curve.values[-1:]).all()]


def train_and_validation(curves: list[Curve]) -> list[tuple[Curve, Curve]]:
    """Curves of training and validation data that measure the same, with points enough."""
    known = {(curve.run, curve.tag): curve for curve in curves
             if direction(curve.tag) and len(curve.values) >= FEWEST_OF_A_PAIR}
    return [(known[pair.train], known[pair.validation]) for pair in _all_pairs(known)]


def _all_pairs(names: Iterable[tuple[str, str]]) -> list[Pair]:
    return pairs(sorted(names, key=lambda name: len(name[1])))


def losses_first(paired: list[tuple[Curve, Curve]]) -> list[tuple[Curve, Curve]]:
    """The pairs of losses; where there are none, those of scores."""
    losses = [pair for pair in paired if direction(pair[1].tag) == "lower"]
    return losses or paired


def of_validation(curves: list[Curve]) -> list[Curve]:
    """Curves of validation data whose best value is known, the plainest names first."""
    held_out = [c for c in curves if direction(c.tag) and _split(c) == "validation"]
    return sorted(held_out, key=lambda curve: (len(measured(curve.tag)), len(curve.tag), curve.tag))


def _split(curve: Curve) -> str:
    """Of which data it is, by its tag, else by its run."""
    return split_of(curve.tag) or (split_of(curve.run) if by_the_run(curve.run) else "")


def training_losses(curves: list[Curve]) -> list[Curve]:
    """One of each thing measured: of means over epochs and values of batches the former."""
    kept: dict[tuple, Curve] = {}
    enough = [curve for curve in curves if len(curve.values) >= FEWEST_OF_A_LOSS]
    for curve in sorted(enough, key=lambda curve: len(curve.values)):
        if _split(curve) in ("", "train") and must_fall(curve.tag):
            kept.setdefault((curve.run, measured(curve.tag)), curve)
    return list(kept.values())


def to_improve(curves: list[Curve], paired: list[tuple[Curve, Curve]]) -> list[Curve]:
    """Validation losses; where there are none training losses, where none validation scores."""
    held_out = of_validation(curves)
    losses = [curve for curve in held_out if must_fall(curve.tag)]
    scores = [curve for curve in held_out if direction(curve.tag) == "higher"]
    return losses[:1] or scores[:1] or training_losses(curves)[:1]
