"""What happened in a run, by rules that anyone can check against the curves.

Restarted steps count once, with the value logged last. "Level" is a centred moving mean over
about a tenth of the points (three at least), "noise" the standard deviation around it.

not finite   a tag has NaN or infinity; the earliest of a run is told.
overfitting  a pair of losses (tag_names.pairs), each with 5 finite points or more: after its lowest
             the level of the validation loss has 3 points or more and a tenth of all, ends at
             least 10 % of that lowest and two noises above it, and since then the level of the
             training loss fell by 5 % or more.
divergence   a training loss of 8 points or more, all finite, whose level ends at 3 times where it
             began (the median of the first tenth) or more.
plateau      such a loss that did not diverge, whose level never fell 5 % below where it began.

A run to which none applies has no finding.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from core.log_oddities import in_series
from core.tag_names import Pair, direction, measured, pairs, split_of

RISE, NOISES, FALL, DIVERGED = 0.10, 2.0, 0.05, 3.0
FEWEST_OF_A_PAIR, FEWEST_OF_A_LOSS = 5, 8


@dataclass(frozen=True)
class Finding:
    """One thing that happened. step: where its evidence is in the curve of `tag`."""

    run: str
    tag: str
    step: int
    sentence: str
    kind: str


@dataclass(frozen=True)
class Curve:
    """One tag of one run, by ascending step."""

    run: str
    tag: str
    steps: np.ndarray
    values: np.ndarray

    def finite(self) -> "Curve":
        """Without NaN and infinity."""
        kept = np.isfinite(self.values)
        return Curve(self.run, self.tag, self.steps[kept], self.values[kept])


def what_happened(table: pd.DataFrame) -> list[Finding]:
    """The findings of a log table, run by run in name order; see the rules above."""
    curves = {(curve.run, curve.tag): curve for curve in _curves(table)}
    losses = [name for name in curves if direction(name[1]) == "lower"]
    found = _not_finite(list(curves.values()))
    for pair in pairs(losses):
        found += _overfitting(pair, curves[pair.train].finite(), curves[pair.validation].finite())
    seen = set()
    for run, tag in losses:
        if split_of(tag) in ("", "train") and split_of(run.rpartition("/")[2]) in ("", "train"):
            failed = _did_not_fall(curves[run, tag])
            found += failed if (run, measured(tag)) not in seen else []
            seen |= {(run, measured(tag))} if failed else set()
    return sorted(found, key=lambda finding: (finding.run, finding.step, finding.tag))


def _curves(table: pd.DataFrame) -> list[Curve]:
    rows, starts = in_series(table)
    runs, tags = table["run"], table["tag"]
    steps, values = table["step"].to_numpy(), table["value"].to_numpy()
    found = []
    for a, b in pairwise([*starts, len(rows)]):
        part = rows[a:b][np.argsort(steps[rows[a:b]], kind="stable")]
        last = np.append(steps[part][1:] != steps[part][:-1], True)
        part = part[last]
        found.append(Curve(runs.iat[part[0]], tags.iat[part[0]], steps[part], values[part]))
    return found


def level(values: np.ndarray) -> np.ndarray:
    """The centred moving mean over about a tenth of the points, three at least; at the ends over
    those that are there."""
    half = max(1, len(values) // 20)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)


def _not_finite(curves: list[Curve]) -> list[Finding]:
    first: dict[str, tuple] = {}
    for curve in curves:
        odd = np.flatnonzero(~np.isfinite(curve.values))
        if len(odd):
            candidate = (
                len(curve.values) < 2,
                int(curve.steps[odd[0]]),
                not direction(curve.tag),
                curve.tag,
                curve,
                odd,
            )  # a single value, as of hyperparameters, is no curve
            first[curve.run] = min(first.get(curve.run, candidate), candidate, key=lambda c: c[:4])
    return [_non_finite_finding(curve, odd) for *_, curve, odd in first.values()]


def _non_finite_finding(curve: Curve, odd: np.ndarray) -> Finding:
    what = "NaN" if np.isnan(curve.values[odd[0]]) else "infinite"
    step = int(curve.steps[odd[0]])
    stayed = len(odd) == len(curve.values) - odd[0]
    rest = "and never finite again" if stayed else "and finite again later"
    return Finding(
        curve.run,
        curve.tag,
        step,
        f"{curve.tag} is {what} at step {step:,} {rest} "
        f"({len(odd):,} of {len(curve.values):,} values).",
        "not finite",
    )


def _overfitting(pair: Pair, train: Curve, validation: Curve) -> list[Finding]:
    count = len(validation.values)
    if min(count, len(train.values)) < FEWEST_OF_A_PAIR:
        return []
    held, trained = level(validation.values), level(train.values)
    best = int(held.argmin())
    noise = float(np.std(validation.values - held))
    rise = held[-1] - held[best]
    step = int(validation.steps[best])
    before = trained[max(0, np.searchsorted(train.steps, step, "right") - 1)]
    fell = before - trained[-1]
    if (
        count - 1 - best < max(3, count // 10)
        or rise < max(RISE * abs(held[best]), NOISES * noise)
        or fell < FALL * abs(before)
    ):
        return []
    run, tag = pair.validation
    return [
        Finding(
            run,
            tag,
            step,
            f"Overfitting from about step {step:,}: {tag} is lowest there "
            f"({held[best]:.4g}) and rises to {held[-1]:.4g}, while {train.tag} falls on "
            f"from {before:.4g} to {trained[-1]:.4g}.",
            "overfitting",
        )
    ]


def _did_not_fall(curve: Curve) -> list[Finding]:
    values = curve.values
    if len(values) < FEWEST_OF_A_LOSS or not np.isfinite(values).all():
        return []
    begin, mean = float(np.median(values[: max(1, len(values) // 10)])), level(values)
    if mean[-1] - begin >= (DIVERGED - 1) * abs(begin):
        first = int(np.flatnonzero(values - begin >= (DIVERGED - 1) * abs(begin))[0])
        step = int(curve.steps[first])
        return [
            Finding(
                curve.run,
                curve.tag,
                step,
                f"{curve.tag} diverged: {begin:.4g} at the "
                f"start, {values[first]:.4g} at step {step:,}, {mean[-1]:.4g} at the end.",
                "divergence",
            )
        ]
    if begin - mean.min() >= FALL * abs(begin):
        return []
    first, last = int(curve.steps[0]), int(curve.steps[-1])
    return [
        Finding(
            curve.run,
            curve.tag,
            first,
            f"{curve.tag} hardly fell: {begin:.4g} at the "
            f"start, never below {mean.min():.4g} up to step {last:,}.",
            "plateau",
        )
    ]
