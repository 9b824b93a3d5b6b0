"""Gradient flow: how large each layer's gradient was while training, and where it went wrong."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core import store
from core.cache import cached_result
from core.events.histograms import Histograms, histograms
from core.findings.tag_names import TRAIN, words
from core.jobs import Progress, demand
from core.library import open_logs
from core.logged.histograms import counting_order, histogram_rows
from core.places import content_of

GRADIENT = {"grad", "grads", "gradient", "gradients"}
NORM = {"norm", "norms", "l2"}
MANY = 2000  # histograms decoded at a time
ENORMOUS = 1e6  # a norm
EXPLODED = 100  # times the median of the layer's earlier steps
BEYOND = 10  # times the median layer of the earlier steps
EARLIER = 5  # logged steps before a layer can be said to explode
VANISHED = 1e-3  # of the median layer at the same step
HELD = 3  # logged steps in a row that a layer stays vanished


@dataclass(frozen=True)
class Mark:
    """Where a layer's gradient explodes or vanishes. kind: "exploding" or "vanishing"."""

    run: str
    layer: str
    step: int
    kind: str
    sentence: str


@dataclass(frozen=True)
class GradientFlow:
    """table: run, layer, order (of the layers, as they were logged), step, norm (L2) and rms (norm
    over the root of the number of values; NaN where that is unknown), by run, layer and step.
    notes: where the numbers come from. marks: by run and step, see `marks`."""

    table: pd.DataFrame
    notes: tuple[str, ...]
    marks: tuple[Mark, ...]


def is_gradient(tag: str) -> bool:
    """Whether a tag's name says that it is of gradients."""
    return bool(set(words(tag)) & GRADIENT)


def layer_of(tag: str) -> str:
    """The tag without the words that say that it is a gradient's norm."""
    known = GRADIENT | NORM | TRAIN
    parts = [part for part in re.split(r"[/ ]+", tag)
             if not set(words(part)) & known or set(words(part)) - known - {"total", "2", "0"}]
    plain = re.sub(r"(?i)[._-]?(grads?|gradients?)$|^(grads?|gradients?)[._-](?:[\d.]+_norm[._-])?",
                   "", "/".join(parts))
    return plain or "all layers"


@cached_result
def gradient_flow(logs_id: str) -> GradientFlow:
    """Of each run the norms that it logged as scalars, else those of its histograms. Raises
    Working while these are read."""
    logged = _logged_norms(logs_id)
    layers = logged.groupby("run")["layer"].nunique()
    by_histogram = _from_histograms(logs_id, set(layers.index[layers > 1]))
    table = pd.concat([logged, by_histogram], ignore_index=True)
    table["order"] = table.groupby("run", sort=False)["layer"].transform(
        lambda layers: pd.factorize(layers)[0])
    table = table.sort_values(["run", "order", "step"], kind="stable", ignore_index=True)
    return GradientFlow(table.drop(columns="source"), _notes(table), tuple(marks(table)))


def _logged_norms(logs_id: str) -> pd.DataFrame:
    table = open_logs(logs_id).table
    tags = [tag for tag in table["tag"].cat.categories
            if is_gradient(tag) and set(words(tag)) & NORM]
    chosen = table[table["tag"].isin(tags)]
    return pd.DataFrame({
        "run": chosen["run"].astype(str), "layer": chosen["tag"].astype(str).map(layer_of),
        "step": chosen["step"], "norm": chosen["value"], "rms": np.nan,
        "source": "scalars"})


def _from_histograms(logs_id: str, without: set[str]) -> pd.DataFrame:
    rows = histogram_rows(logs_id)
    rows = rows[rows["tag"].map(is_gradient).astype(bool)]
    if rows.empty:
        return pd.DataFrame(columns=["run", "layer", "step", "norm", "rms", "source"])
    key = store.key(what="gradient flow", logs=content_of(logs_id), code=store.code())
    read = demand(key, "Reading gradients", "histograms", lambda: store.read(key),
                  lambda progress: _keep(key, rows, progress), where="files")
    norm = np.sqrt(read["squares"])
    with np.errstate(invalid="ignore", divide="ignore"):
        table = pd.DataFrame({
            "run": rows["run"].to_numpy(str), "layer": rows["tag"].map(layer_of).to_numpy(str),
            "step": rows["step"].to_numpy(np.int64), "norm": norm,
            "rms": norm / np.sqrt(read["count"]),
            "source": np.where(read["stated"], "stated", "bins")})
    kept = read["sound"] & ~table["run"].isin(without).to_numpy()
    return table[kept]


def _keep(key: str, rows: pd.DataFrame, progress: Progress) -> None:
    with store.writing(key) as files:
        arrays = {name: files.array(name, (len(rows),), kind) for name, kind in
                  (("squares", "f8"), ("count", "f8"), ("stated", "?"), ("sound", "?"))}
        order = np.lexsort((rows["byte"], rows["file"]))  # each file is read once, forwards
        for start in range(0, len(rows), MANY):
            part = order[start:start + MANY]
            for name, values in sums(histograms(rows.iloc[part])).items():
                arrays[name][part] = values
            progress(min(start + MANY, len(rows)), len(rows))


def sums(found: Histograms) -> Mapping[str, np.ndarray]:
    """Of each histogram `squares`, the sum of its values' squares, as the log states it
    (`stated`) or as if values lay evenly within each bucket; `count` values; `sound`: read."""
    squares, count = found.squares.copy(), np.zeros(len(found.size))
    with np.errstate(invalid="ignore", over="ignore"):
        for rows, left, right, counts in found.of_one_size():
            left = np.maximum(left, found.lowest[rows][:, None])
            right = np.minimum(right, found.highest[rows][:, None])
            count[rows] = counts.sum(axis=1)
            even = np.where(counts > 0, counts * (left**2 + left * right + right**2) / 3, 0.0)
            squares[rows] = np.where(np.isnan(squares[rows]), even.sum(axis=1), squares[rows])
    zero = (found.lowest == 0) & (found.highest == 0)  # which is not written
    return {"squares": squares, "count": count, "stated": ~np.isnan(found.squares) | zero,
            "sound": found.size >= 0}


def _notes(table: pd.DataFrame) -> tuple[str, ...]:
    said = {
        "scalars": "norms as they were logged as scalars",
        "stated": "norms from the sum of squares that each histogram states, so exact",
        "bins": "norms worked out from the bins of histograms, as if values lay evenly within "
                "each, so approximate",
    }
    runs = {source: sorted(part["run"].unique(), key=counting_order)
            for source, part in table.groupby("source")}
    several = len(runs) > 1
    return tuple((f"{', '.join(runs[source])}: " if several else "") + words_ + "."
                 for source, words_ in said.items() if source in runs)


def marks(table: pd.DataFrame) -> list[Mark]:
    """Layers whose gradient explodes or vanishes, each once a run, at the first step where it does.

    Exploding: NaN or infinite, above ENORMOUS, or above EXPLODED times the median of the layer's
    own earlier steps, of which there are EARLIER or more, and BEYOND times what was usual for all
    layers before, so that a layer that only wakes up late is none. Vanishing: 0, or below VANISHED
    times the median layer of the run at that step, for HELD logged steps in a row. Layers are
    compared by rms where it is known, so that their size does not count.
    """
    found = []
    for run, part in table.groupby("run", sort=False):
        value = "rms" if part["rms"].notna().any() else "norm"
        medians = part.groupby("step")[value].median()
        usual = medians.expanding().median().shift()  # NaN at first
        several = part["layer"].nunique() > 1
        for layer, own in part.groupby("layer", sort=False):
            steps, norms = own["step"].to_numpy(), own["norm"].to_numpy(float)
            values, median = own[value].to_numpy(float), medians.loc[steps].to_numpy()
            at = _explodes(norms, values > BEYOND * usual.loc[steps].to_numpy())
            if at is not None:
                found.append(Mark(str(run), str(layer), int(steps[at]), "exploding",
                                  _exploding_words(norms, at)))
            at = _held((values == 0) | (several & (values < VANISHED * median)))
            if at is not None:
                found.append(Mark(str(run), str(layer), int(steps[at]), "vanishing",
                                  _vanishing_words(values[at], median[at], value)))
    return sorted(found, key=lambda mark: (counting_order(mark.run), mark.step))


def _explodes(norms: np.ndarray, large: np.ndarray) -> int | None:
    """Where it first does. large: whether it is so beside the other layers too."""
    earlier = pd.Series(norms).expanding(EARLIER).median().shift().to_numpy()  # NaN at first
    risen = (norms > EXPLODED * earlier) & (earlier > 0) & large
    over = ~np.isfinite(norms) | (norms > ENORMOUS) | risen
    return int(np.argmax(over)) if over.any() else None


def _held(gone: np.ndarray) -> int | None:
    """Where the first HELD in a row begin."""
    if len(gone) < HELD:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(gone, HELD).all(axis=1)
    return int(np.argmax(windows)) if windows.any() else None


def _exploding_words(norms: np.ndarray, mark: int) -> str:
    if not np.isfinite(norms[mark]):
        return f"its norm is {norms[mark]}"
    said = f"its norm is {norms[mark]:.3g}"
    if mark < EARLIER or not (median := np.median(norms[:mark])):
        return said
    return f"{said}, {norms[mark] / median:,.3g} times its median before"


def _vanishing_words(low: float, median: float, value: str) -> str:
    if low == 0:
        return "its gradient is 0"
    return f"its {value} is {low:.3g}, the median layer's is {median:.3g}"
