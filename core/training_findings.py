"""What happened in a run, by rules that anyone can check against the curves.

The rules are the docstrings of the functions in KINDS, thresholds and all; the page shows them as
they stand there. Common to all: of steps that repeat the value logged last counts; the "level" is a
centred moving mean over about a tenth of the points, "noise" is measured between neighbours, where
a curve "began" is the median of its first tenth, where it "ended" the mean of its last tenth. A
training run and a validation run beside each other, as Keras writes them, are one run. Losses that
need not fall (of a GAN, of a policy) are left out.

Of a run that is not finite, diverged, never learned or overfits, no rule about its end is asked, so
that one cause is told once. A run to which no rule applies has no finding but its best checkpoint.
"""

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from core.findings.asked_curves import (
    losses_first,
    of_validation,
    those_finite,
    to_improve,
    train_and_validation,
    training_losses,
)
from core.findings.curves import Curve, curves_of
from core.findings.kinds import Finding
from core.findings.losses import diverged, falls_slowly, hardly_fell, is_averaged, oscillates
from core.findings.pairs import best_checkpoint, loss_gap, overfits, score_gap, still_improves
from core.findings.rules import KINDS, Kind, not_finite
from core.findings.tag_names import by_the_run, direction, is_learning_rate, measured, must_fall
from core.findings.unread import lost_part, lost_parts
from core.library import open_logs
from core.log_formats import Logs

__all__ = ["AT_THE_END", "KINDS", "Finding", "Kind", "all_findings", "best_checkpoints",
           "findings_so_far", "of_logs", "what_happened"]

FEWEST_FOR_A_BEST = 3
# Not said where the last point need not be the end of training.
AT_THE_END = ("stopped too early", "learning rate too low")
LEARNED = ("learning rate too high", "learning rate too low", "plateau", "divergence")


SHORT = 100_000  # points, of which the rules take less time than a chart
KEPT = 64  # logs whose findings are kept
_found: OrderedDict[str, tuple[Finding, ...]] = OrderedDict()
_lock = threading.Lock()


def all_findings(logs_id: str) -> tuple[Finding, ...]:
    """What happened and the best checkpoints, run by run in name order."""
    known = _found.get(logs_id)
    if known is None:
        known = tuple(of_logs(open_logs(logs_id)))
    with _lock:
        _found[logs_id] = known
        _found.move_to_end(logs_id)
        while len(_found) > KEPT:
            _found.popitem(last=False)
    return known


def findings_so_far(logs_id: str) -> tuple[Finding, ...] | None:
    """The same where it costs next to nothing, since the logs are short or someone has asked; else
    None, so that charts need not wait for it."""
    if logs_id in _found or len(open_logs(logs_id).table) <= SHORT:
        return all_findings(logs_id)
    return None


def of_logs(logs: Logs) -> list[Finding]:
    """What happened and the best checkpoints, run by run; first what is lost of its log."""
    lost = lost_parts(logs.notes, list(logs.table["run"].cat.categories))
    last = logs.table.groupby("run", observed=True)["step"].max()
    found = [lost_part(run, int(last[run]), notes) for run, notes in lost.items() if run in last]
    found += [finding for finding in what_happened(logs.table)
              if not (finding.run in lost and finding.kind in AT_THE_END)]
    found += best_checkpoints(logs.table)
    return sorted(found, key=lambda finding: finding.run)


def what_happened(table: pd.DataFrame) -> list[Finding]:
    """The faults that a log table shows, run by run in name order; see the rules above."""
    found = [finding for curves in _by_run(table) for finding in _faults(curves)]
    return sorted(found, key=lambda finding: (finding.run, finding.step, finding.tag))


def best_checkpoints(table: pd.DataFrame) -> list[Finding]:
    """For each run the step of its best validation metric, run by run in name order."""
    found = []
    for curves in _by_run(table):
        held_out = of_validation(those_finite(curves))
        best: dict[str, Curve] = {}
        for curve in held_out:
            if len(curve.values) >= FEWEST_FOR_A_BEST:
                best.setdefault(direction(curve.tag), curve)
        if finding := best_checkpoint(best.get("lower"), best.get("higher")):
            found.append(finding)
    return sorted(found, key=lambda finding: finding.run)


def _by_run(table: pd.DataFrame) -> list[list[Curve]]:
    """The curves, with the learning rates, of each run or pair of runs that belong together."""
    found: dict[str, list[Curve]] = defaultdict(list)
    for curve in curves_of(table):
        found[curve.run.rpartition("/")[0] if by_the_run(curve.run) else curve.run].append(curve)
    return list(found.values())


def _faults(curves: list[Curve]) -> list[Finding]:
    odd = _earliest(curves)
    finite = those_finite(curves)
    paired = train_and_validation(finite)
    faults = _merged(_of_losses(finite, paired))
    if not faults:
        faults = _merged(overfits(*pair) for pair in losses_first(paired))
    if not faults:
        faults = _merged(oscillates(pair[1], True) for pair in paired if must_fall(pair[1].tag))
    if not faults and not odd:
        faults = _merged([still_improves(curve) for curve in to_improve(finite, paired)])
        faults = faults or _merged(_gaps(paired))[:1]
    rates = [curve for curve in finite if is_learning_rate(curve.tag)]
    return odd + [_with_rate(fault, rates) for fault in faults]


def _earliest(curves: list[Curve]) -> list[Finding]:
    """One a run; a single value, as of hyperparameters, is no curve."""
    first: dict[str, tuple] = {}
    for curve in curves:
        if found := not_finite(curve):
            order = (len(curve.values) < 2, found.step, not direction(curve.tag), curve.tag)
            first[curve.run] = min(first.get(curve.run, (order, found)), (order, found))
    return [found for _, found in first.values()]


def _of_losses(curves: list[Curve], paired: list[tuple[Curve, Curve]]) -> list[Finding]:
    """Of each training loss what is wrong with it first."""
    validation = {id(train): held for train, held in paired}
    found = []
    for loss in training_losses(curves):
        averaged = is_averaged(loss, validation.get(id(loss)))
        fault = (diverged(loss) or oscillates(loss, averaged) or hardly_fell(loss)
                 or falls_slowly(loss))
        found += [fault] if fault else []
    return found


def _gaps(paired: list[tuple[Curve, Curve]]) -> list[Finding | None]:
    scores = [score_gap(*pair) for pair in paired if direction(pair[1].tag) == "higher"]
    return scores + [loss_gap(*pair) for pair in paired if must_fall(pair[1].tag)]


def _merged(found: Iterable[Finding | None]) -> list[Finding]:
    """One of each kind, that with the plainest tag; the others' tags are named with it."""
    kinds: dict[str, list[Finding]] = defaultdict(list)
    for finding in found:
        if finding:
            kinds[finding.kind].append(finding)
    merged = []
    for same in kinds.values():
        first, *others = sorted(same, key=lambda f: (len(measured(f.tag)), len(f.tag), f.tag))
        also = tuple(other.tag for other in others)
        more = f" So for {', '.join(also[:3])}{' …' if len(also) > 3 else ''}." if also else ""
        merged.append(replace(first, sentence=first.sentence + more, also=also))
    return merged


def _with_rate(fault: Finding, rates: list[Curve]) -> Finding:
    """With the learning rate that was logged, where that may be the cause."""
    if fault.kind not in LEARNED or not rates:
        return fault
    low = min(float(rate.values.min()) for rate in rates)
    high = max(float(rate.values.max()) for rate in rates)
    said = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
    return replace(fault, sentence=f"{fault.sentence} The learning rate was {said}.")
