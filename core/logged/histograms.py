"""Histograms that training logged: how weights, gradients or activations spread, step by step."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.cache import cached_result, shared_resource
from core.events.histograms import KINDS, Histograms, histograms
from core.library import open_logs

# The median, one, two and three halves of a standard deviation around it, and the ends.
PERCENTILES = (0.0, 6.68, 15.87, 30.85, 50.0, 69.15, 84.13, 93.32, 100.0)
BINS = 30  # TensorBoard's
MOST_STEPS = 200  # of one run and tag


@dataclass(frozen=True)
class Steps:
    """The histograms of one run and tag along the steps, those that can be read.

    step: int64 (N,). bands: (N, 9), the values at PERCENTILES. logged: how many there are in the
    log. faults: why those that cannot be drawn cannot, one sentence a reason.
    """

    step: np.ndarray
    bands: np.ndarray
    histograms: Histograms
    logged: int
    faults: tuple[str, ...]


def histogram_rows(logs_id: str) -> pd.DataFrame:
    """Where the histograms of logs are: rows of core.log_formats.OTHERS."""
    others = open_logs(logs_id).others
    return others[others["kind"].isin(KINDS)]


def has_any(logs_id: str) -> bool:
    """Whether the logs hold histograms."""
    return bool(open_logs(logs_id).others["kind"].isin(KINDS).any())


@cached_result
def tags_by_run(logs_id: str) -> pd.DataFrame:
    """run, tag and how many histograms (`logged`), in the order that people count: layer2 before
    layer10."""
    counted = histogram_rows(logs_id).groupby(["run", "tag"], sort=False).size()
    table = counted.rename("logged").reset_index()
    return table.sort_values(["tag", "run"], key=lambda names: names.map(counting_order),
                             ignore_index=True)


def counting_order(name: str) -> tuple:
    """A key by which layer2 comes before layer10."""
    return tuple((0, int(part[:18]), "") if part.isdigit() else (1, 0, part)
                 for part in re.findall(r"[0-9]+|[^0-9]+", name))


@shared_resource(entries=256)
def along_steps(logs_id: str, run: str, tag: str, most: int = MOST_STEPS) -> Steps:
    """The histograms of a run and tag by step, at most `most`, evenly spaced, both ends kept."""
    rows = histogram_rows(logs_id)
    rows = rows[(rows["run"] == run) & (rows["tag"] == tag)].sort_values("step", kind="stable")
    logged = len(rows)
    if logged > most:
        rows = rows.iloc[np.linspace(0, logged - 1, most).round().astype(int)]
    found = histograms(rows)
    bands = percentiles(found)
    sound = (found.size >= 0) & np.isfinite(bands).all(axis=1)
    return Steps(rows["step"].to_numpy(np.int64)[sound], bands[sound], _chosen(found, sound),
                 logged, _faults(found, sound))


def _chosen(found: Histograms, rows: np.ndarray) -> Histograms:
    return Histograms(found.first[rows], found.size[rows], found.lowest[rows],
                      found.highest[rows], found.squares[rows], found.left, found.right,
                      found.counts)


def _faults(found: Histograms, sound: np.ndarray) -> tuple[str, ...]:
    reasons = list(found.faults.values())
    if odd := int((~sound & (found.size >= 0)).sum()):
        reasons += ["its edges or counts are NaN or infinite"] * odd
    counts = pd.Series(reasons, dtype=object).value_counts()
    return tuple(f"{number:,} not drawn: {reason}." for reason, number in counts.items())


def percentiles(found: Histograms) -> np.ndarray:
    """(N, 9): the values below which PERCENTILES of what was counted lie, by TensorBoard's
    compressor: evenly spread within a bucket. 0 where nothing was counted, NaN where it cannot
    be said."""
    bands = np.full((len(found.size), len(PERCENTILES)), np.nan)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        for rows, left, right, counts in found.of_one_size():
            if not left.shape[1]:
                bands[rows] = 0.0
                continue
            odd = (np.isnan(left) | np.isnan(right) | ~np.isfinite(counts) | (counts < 0))
            ends = found.lowest[rows], found.highest[rows]
            values = _percentiles(right, counts, *ends)
            values[odd.any(axis=1) | ~np.isfinite(ends[0] + ends[1])] = np.nan
            bands[rows] = values
    return bands


def _percentiles(right: np.ndarray, counts: np.ndarray, lowest: np.ndarray,
                 highest: np.ndarray) -> np.ndarray:
    """Of histograms of one size: right, counts (M, K), the ends (M,)."""
    total = counts.sum(axis=1, keepdims=True)
    weights = np.cumsum(counts * 10000 / np.where(total == 0, 1.0, total), axis=1)
    all_rows, last = np.arange(len(right)), right.shape[1] - 1
    values = np.empty((len(right), len(PERCENTILES)))
    for place, share in enumerate(PERCENTILES):
        point = round(share * 100)  # in TensorBoard's basis points
        bucket = (weights <= point).sum(axis=1)
        beyond, bucket = bucket > last, np.minimum(bucket, last)
        before = np.where(bucket > 0, weights[all_rows, bucket - 1], 0.0)
        begin = np.where(before == 0, lowest,
                         np.maximum(right[all_rows, bucket - 1], lowest))
        end = np.minimum(right[all_rows, bucket], highest)
        within = begin + (point - before) * (end - begin) / (weights[all_rows, bucket] - before)
        values[:, place] = np.where(beyond, highest, within)
    values[(total == 0).all(axis=1) & (lowest == 0) & (highest == 0)] = 0.0
    return values


def value_range(parts: list[Steps], tails: bool = True) -> tuple[float, float]:
    """From the lowest to the highest value of all, for bins that they share; without `tails`,
    the span of what lies between the 7th and the 93rd percentile, of every step."""
    low, high = (0, -1) if tails else (1, -2)
    bands = np.concatenate([part.bands for part in parts if len(part.bands)]
                           or [np.zeros((1, len(PERCENTILES)))])
    lowest, highest = float(bands[:, low].min()), float(bands[:, high].max())
    if lowest < highest:
        return lowest, highest
    return lowest / 1.1 - 1, lowest * 1.1 + 1  # all the same value: TensorBoard's rule


def rebinned(found: Histograms, low: float, high: float, bins: int = BINS) -> np.ndarray:
    """(N, bins): the counts in bins of one width from `low` to `high`, as TensorBoard draws them:
    a bucket's count is spread evenly over its width. What lies outside is left out."""
    width = (high - low) / bins
    edges = np.append(low, low + np.arange(bins) * width + width)  # rounded as TensorBoard's are
    edges[-1] = high
    result = np.zeros((len(found.size), bins))
    for rows, left, right, counts in found.of_one_size():
        left = np.maximum(left, found.lowest[rows][:, None])
        right = np.minimum(right, found.highest[rows][:, None])
        spread, point = right > left, right <= left
        safe = np.where(spread, right - left, 1.0)
        below = [np.where(spread, np.clip((edge - left) / safe, 0, 1),
                          point & (left <= edge if edge == high else left < edge))
                 for edge in edges]
        result[rows] = np.diff([(counts * share).sum(axis=1) for share in below], axis=0).T
    return result
