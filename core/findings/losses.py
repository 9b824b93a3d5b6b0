"""What one training loss tells by itself: the rules, each with its thresholds, as the page shows
them. "Level", "noise", "began" and "ended" are those of core.findings.curves; shares are of what is
measured, so no rule depends on a unit."""

import numpy as np

from core.findings.curves import Curve, began, ended, fall_of, level, noise
from core.findings.kinds import Finding
from core.findings.tag_names import words

FEWEST = 8  # points
BLOWN, LOST, WORTH = 3.0, 0.8, 0.2
HARDLY, UNSURE, STUCK, FLAT, REST, LONG, LATER = 0.05, 0.10, 0.35, 0.10, 0.7, 0.3, 0.2
SWING, VISIBLE, PATTERN, SPIKE, SPIKES = 0.25, 0.10, 0.5, 8.0, 3
SLOW, STRAIGHT, SURE = 0.30, 0.6, 3.0


def diverged(loss: Curve) -> Finding | None:
    """A training loss of 8 points or more that ends at 3 times where it began or more; or that had
    fallen by a fifth at least, and ends with 80 % of that fall lost again."""
    values = loss.values
    begin, end, mean = began(values), float(np.median(values[-max(3, len(values) // 10) :])), level(
        values
    )
    low = int(mean.argmin())
    fall = begin - mean[low]
    if end - begin >= (BLOWN - 1) * abs(begin) > 0:
        first = int(np.flatnonzero(values - begin >= (BLOWN - 1) * abs(begin))[0])
        start = f"{begin:.4g} at the start (median)"
    elif fall >= max(WORTH * abs(begin), 4 * noise(values)) and end - mean[low] >= LOST * fall:
        first = low + int(np.flatnonzero(mean[low:] - mean[low] >= fall / 5)[0])
        lowest = int(values[: first + 1].argmin())
        start = f"it had fallen to {values[lowest]:.4g} at step {loss.steps[lowest]:,}"
    else:
        return None
    return _found(
        loss,
        first,
        "divergence",
        f"{loss.tag} diverged: {start}, {values[first]:.4g} at step {loss.steps[first]:,}, "
        f"{end:.4g} at the end (median).",
    )


def hardly_fell(loss: Curve) -> Finding | None:
    """A training loss of 8 points or more that never fell by 5 % of where it began (by 10 % where
    the noise hides less); or that fell by less than 35 % and is flat for the last 70 % of the run
    (a line through them falls by less than a tenth of what came before); or that stood still for
    30 % of the run or more, at less than 2 % of its whole fall, before it fell by another fifth."""
    values, mean = loss.values, level(loss.values)
    begin, stray = began(values), noise(values) / np.sqrt(max(3, len(values) // 10))
    fall = max(begin - ended(values), begin - mean.min() - 3 * stray)
    if fall < HARDLY * abs(begin) or fall < min(UNSURE * abs(begin), 3 * stray):
        said = f"never below {mean.min():.4g} (moving mean)"
        said = f"hardly fell: {begin:.4g} at the start (median), {said}"
        return _plateau(loss, 0, len(values) - 1, said)
    rest = values[-int(REST * len(values)) :]
    falls, error = fall_of(rest)
    top = max(begin, _top(values) - 3 * noise(values) / np.sqrt(5))
    fall = top - rest.mean()
    if fall < STUCK * abs(top) and abs(falls) + error < FLAT * fall and len(rest) >= FEWEST:
        first = len(values) - len(rest)
        said = f"stopped falling at {rest.mean():.4g} (mean), it began at about {top:.4g}"
        return _plateau(loss, first, len(values) - 1, said)
    return _stood_still(loss, mean, begin - mean.min(), stray)


def _stood_still(loss: Curve, mean: np.ndarray, fall: float, stray: float) -> Finding | None:
    count = len(mean)
    width = max(4, int(LONG * count))
    if count < 3 * FEWEST or fall < WORTH * abs(began(loss.values)) or 2 * stray > 0.02 * fall:
        return None
    after = np.minimum.accumulate(mean[::-1])[::-1]  # the lowest from here on
    still = np.abs(mean[:-width] - mean[width:]) < 0.02 * fall
    still &= mean[width:] - after[width:] >= LATER * fall
    if not still.any():
        return None
    first = int(np.flatnonzero(still)[0])
    last = int(np.flatnonzero(still)[-1]) + width
    said = f"stood still at {mean[first]:.4g} (moving mean) and fell on after it"
    return _plateau(loss, first, last, said)


def _plateau(loss: Curve, first: int, last: int, said: str) -> Finding:
    span = f"from step {loss.steps[first]:,} to {loss.steps[last]:,}"
    return _found(loss, first, "plateau", f"{loss.tag} {said}, {span}.", last)


def oscillates(loss: Curve, averaged: bool) -> Finding | None:
    """A loss that swings in the second half of the run: the middle 80 % of its points lie a quarter
    of the whole fall apart or more, and 10 % of their mean. Of values of single batches (whose
    noise is no fault) only where the swings have a pattern: 32 points, correlation of half or more
    at some distance. Or three or more lone spikes, each half the fall and 8 noises high."""
    values, half = loss.values, loss.values[len(loss.values) // 2 :]
    fall = _top(values) - level(values).min()
    place = np.arange(len(half))
    rest = half - np.polyval(np.polyfit(place, half, 1), place)
    apart = float(np.subtract(*np.percentile(rest, [90, 10])))
    large = apart >= max(SWING * fall, VISIBLE * abs(half.mean()))
    turns = np.count_nonzero(np.diff(np.sign(rest[np.abs(rest) > apart / 8])))
    if large and turns >= 3 and (averaged or _pattern(rest)):
        return _swing(loss, len(values) - len(half), f"swings by {apart:.3g} in the second half")
    high = _spikes(values, fall)
    if len(high) >= SPIKES:
        said = f"leaps up {len(high)} times, by up to {values[high].max() - np.median(half):.3g}"
        return _swing(loss, int(high[0]), said, int(high[-1]))
    return None


def _top(values: np.ndarray) -> float:
    """The highest mean of five points, or of fewer, in the first tenth: where a loss that is
    logged often began, which is long over by the middle of that tenth."""
    early = values[: max(1, len(values) // 10)]
    width = min(5, len(early))
    return float(np.convolve(early, np.full(width, 1 / width), "valid").max())


def _pattern(rest: np.ndarray) -> bool:
    """Whether values at some distance go together more than those of pure noise would."""
    count = len(rest)
    power = np.abs(np.fft.rfft(rest, 2 * count)) ** 2
    together = np.fft.irfft(power)[1 : max(2, count // 4)] / max(np.sum(rest**2), 1e-300)
    return bool(np.abs(together).max() >= max(PATTERN, 3.5 / np.sqrt(count)))


def _spikes(values: np.ndarray, fall: float) -> np.ndarray:
    """Where lone spikes are, after the first fifth."""
    first = len(values) // 5
    after = values[first:]
    if len(after) < 4 * FEWEST or fall <= 0:
        return np.empty(0, int)
    trend = np.polyval(np.polyfit(np.arange(len(after)), after, 2), np.arange(len(after)))
    over = after - np.minimum(trend, np.median(after) + fall / 4)
    stray = max(noise(part) for part in np.array_split(after, 3))
    high = np.flatnonzero(over >= max(SPIKE * stray, fall / 2))
    lone = high[np.diff(high, prepend=-2) > 1]
    return first + (lone if len(high) <= len(after) // 5 else lone[:0])


def _swing(loss: Curve, first: int, said: str, last: int | None = None) -> Finding:
    last = len(loss.steps) - 1 if last is None else last
    return _found(
        loss,
        first,
        "learning rate too high",
        f"{loss.tag} {said} rather than settling, from step {loss.steps[first]:,} to "
        f"{loss.steps[last]:,}: the learning rate is probably too high.",
        last,
    )


def falls_slowly(loss: Curve) -> Finding | None:
    """A training loss of 8 points or more that fell by 5 to 30 % of where it began, and in the
    second half of the run by 60 % or more of what it fell in the first (both three times what noise
    would do): nearly straight, so far from any end."""
    values = loss.values
    begin, end, middle = began(values), ended(values), len(values) // 2
    (early, doubt), (late, later_doubt) = fall_of(values[:middle]), fall_of(values[middle:])
    if (
        begin - end > SLOW * abs(begin)
        or early < SURE * doubt
        or late < max(SURE * later_doubt, STRAIGHT * early)
    ):
        return None
    return _found(
        loss,
        0,
        "learning rate too low",
        f"{loss.tag} fell only from {begin:.4g} to {end:.4g} (median and mean) by step "
        f"{loss.steps[-1]:,}, and as fast at the end as at the start: the learning rate is "
        "probably too low.",
        len(values) - 1,
    )


def is_averaged(loss: Curve, validation: Curve | None) -> bool:
    """Whether its values are means over an epoch, as its name or its number of points says."""
    same = validation is not None and len(loss.values) == len(validation.values)
    return same or "epoch" in words(loss.tag)


def _found(loss: Curve, first: int, kind: str, said: str, last: int | None = None) -> Finding:
    until = int(loss.steps[-1 if last is None else last])
    step, value = int(loss.steps[first]), float(loss.values[first])
    return Finding(loss.run, loss.tag, step, said, kind, until, value)
