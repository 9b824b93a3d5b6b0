"""What a curve of training data and one of validation data tell together: the rules, each with its
thresholds, as the page shows them."""

from dataclasses import replace

import numpy as np

from core.findings.curves import Curve, began, ended, fall_of, level, noise
from core.findings.kinds import Finding
from core.findings.tag_names import UNBOUNDED, direction, words

FEWEST, FEWEST_AT_THE_END = 5, 10
RISE, OF_FALL, NOISES, FALL = 0.10, 0.02, 3.0, 0.05
DROP = 0.03
POINTS, RATIO, SHARE = 0.10, 1.5, 0.3
STILL, WORTH, SURE = 0.05, 0.03, 4.0
ALIKE = 2.0  # step scales that differ by more count epochs and batches


def overfits(train: Curve, validation: Curve) -> Finding | None:
    """Validation loss and training loss of the same thing, 5 points or more each: the level of the
    validation loss is lowest 3 points and a tenth of the run before its end or more; it ends at
    least 10 % of that lowest, 2 % of its own fall and three noises above it; and since then the
    training loss fell by 5 % or more. Where there is no loss, the same of scores, upside down, with
    3 % instead of 10 %."""
    sign, rise_at_least = (-1, DROP) if _is_score(validation) else (1, RISE)
    held, trained = level(sign * validation.values), level(sign * _on(train, validation))
    count, best = len(held), int(held.argmin())
    end, begin = sign * ended(validation.values), sign * began(validation.values)
    rise, fell = end - held[best], trained[best] - trained[-1]
    least = max(rise_at_least * abs(held[best]), OF_FALL * (begin - held[best]),
                NOISES * noise(validation.values))
    if count - 1 - best < max(3, count // 10) or rise < least:
        return None
    if fell < (FALL if sign == 1 else FALL / 5) * abs(trained[best]):
        return None
    ways = (("lowest", "rises", "falls"), ("highest", "falls", "rises"))[sign == -1]
    top = int((sign * validation.values).argmin())  # as the best checkpoint tells it
    said = (
        f"Overfitting from about step {validation.steps[best]:,}: {validation.tag} is {ways[0]} at "
        f"step {validation.steps[top]:,} ({validation.values[top]:.4g}) and {ways[1]} to "
        f"{sign * end:.4g} (mean at the end), while {train.tag} {ways[2]} on from "
        f"{sign * trained[best]:.4g} to {sign * trained[-1]:.4g} (moving mean)."
    )
    return _found(validation, best, "overfitting", said)


def score_gap(train: Curve, validation: Curve) -> Finding | None:
    """A score between 0 and 1 or in percent, 5 points or more of each data, that ends 10 percentage
    points and three noises higher on training data than on validation data (means of the last
    tenth), where nothing overfits by the rule above."""
    values = np.concatenate([train.values, validation.values])
    unit = 100.0 if values.max() > 1.5 else 1.0
    if values.min() < 0 or values.max() > unit or set(words(validation.tag)) & UNBOUNDED:
        return None
    gap = ended(train.values) - ended(validation.values)
    if gap < max(POINTS * unit, NOISES * noise(validation.values)):
        return None
    said = (
        f"{validation.tag} stays {100 * gap / unit:.0f} points below {train.tag}: "
        f"{100 * ended(validation.values) / unit:.1f} % against "
        f"{100 * ended(train.values) / unit:.1f} % at the end (means)"
    )
    return _gap(train, validation, _on(train, validation) - validation.values, POINTS * unit, said)


def loss_gap(train: Curve, validation: Curve) -> Finding | None:
    """A loss, 5 points or more of each data, that ends on validation data at 1.5 times that of
    training data or more, and higher by 30 % of what the training loss fell and by three noises,
    where nothing overfits by the rule above."""
    end, low = ended(validation.values), ended(train.values)
    least = SHARE * (began(train.values) - low)
    if low < 0 or end < RATIO * low or end - low < max(least, NOISES * noise(validation.values)):
        return None
    said = (f"{validation.tag} stays above {train.tag}: {end:.4g} against {low:.4g} at the end "
            "(means)")
    return _gap(train, validation, validation.values - _on(train, validation), least, said)


def _gap(train: Curve, validation: Curve, apart: np.ndarray, least: float, said: str) -> Finding:
    below = np.flatnonzero(level(apart) < least)
    first = min(int(below[-1]) + 1 if len(below) else 0, len(apart) - 1)
    said = f"{said}, apart since about step {validation.steps[first]:,}."
    return _found(validation, first, "gap", said)


def still_improves(curve: Curve) -> Finding | None:
    """A validation loss (a training loss or a validation score where there is none) of 10 points or
    more that still improves at the end of the run: a line through its last fifth improves by 5 % of
    all that it improved, by 3 % of its value (a score 1 %), and by four times what noise would do.
    Not said of a run that is still being written, or of whose log a part is lost."""
    sign, worth = (-1, WORTH / 3) if _is_score(curve) else (1, WORTH)
    values = sign * curve.values
    if len(values) < FEWEST_AT_THE_END:
        return None
    last = values[-max(5, len(values) // 5) :]
    share = (len(values) - 1) / 5 / (len(last) - 1)  # so that few points count as a fifth, too
    fall, doubt = fall_of(last)
    whole = began(values) - level(values).min()
    if fall < SURE * doubt or fall * share < max(STILL * whole, worth * abs(ended(values))):
        return None
    first = len(values) - len(last)
    falling = "rising" if sign == -1 else "falling"
    said = (
        f"{curve.tag} was still {falling} when training stopped: from {sign * last[0]:.4g} at step "
        f"{curve.steps[first]:,} to {sign * last[-1]:.4g} at step {curve.steps[-1]:,}."
    )
    return _found(curve, first, "stopped too early", said)


def best_checkpoint(loss: Curve | None, score: Curve | None) -> Finding | None:
    """The step of the best value of the run's first validation score, or of its first validation
    loss where there is no score: information, not a fault. Of 3 points or more; of equal values the
    earliest. A loss that is lowest elsewhere is said as well."""
    if score is None:
        return _best(loss, f"{loss.tag} is lowest") if loss else None
    best = _best(score, f"{score.tag} is highest")
    if loss and loss.steps[loss.values.argmin()] != best.step:
        other = _best(loss, f"{loss.tag} is lowest")
        return replace(best, sentence=f"{best.sentence[:-1]}; {other.sentence}", also=(loss.tag,))
    return best


def _best(curve: Curve, said: str) -> Finding:
    at = int((-curve.values if said.endswith("highest") else curve.values).argmin())
    step, value = int(curve.steps[at]), float(curve.values[at])
    said = f"{said} at step {step:,}: {value:.4g}."
    return Finding(curve.run, curve.tag, step, said, "best checkpoint", None, value)


def _is_score(curve: Curve) -> bool:
    return direction(curve.tag) == "higher"


def _on(train: Curve, validation: Curve) -> np.ndarray:
    """The level of the training curve at the steps of the validation curve; by share of the run
    where one counts epochs and the other batches."""
    theirs, ours = validation.steps.astype(float), train.steps.astype(float)
    spans = [max(1.0, np.ptp(steps)) for steps in (ours, theirs)]
    if max(spans) > ALIKE * min(spans):
        theirs = ours[0] + (theirs - theirs[0]) / spans[1] * spans[0]
    return np.interp(theirs, ours, level(train.values))


def _found(curve: Curve, first: int, kind: str, said: str) -> Finding:
    step, value = int(curve.steps[first]), float(curve.values[first])
    return Finding(curve.run, curve.tag, step, said, kind, int(curve.steps[-1]), value)
