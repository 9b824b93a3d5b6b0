"""A chart of curves as tables, before anyone draws it: lines, bands, marks, words to hover."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.cache import shared_resource
from core.curves.axes import AXES, MILLISECONDS
from core.curves.hover import places, under_pointer
from core.curves.points import Points, Settings, axis_title, held, limit_for, points
from core.library import open_logs
from core.runs.groups import NOT_STATED, band, groups_by
from core.training_curves import outlier_domain, tags_and_runs
from core.training_findings import all_findings

MOST_UNDER_POINTER = 12  # series
MOST_MARKS = 10
BAND_POINTS = 500
SIDES = ("left", "right")
BANDS = {"± standard deviation": "std", "lowest to highest": "min-max"}
LINES = ["name", "tag", "side", "x", "y", "raw", "low", "high", "piece", "alone"]


@dataclass(frozen=True)
class Grouping:
    """Runs with the same value of the hyperparameter `by` drawn as one; band: see BANDS."""

    by: str
    band: str = "± standard deviation"


@dataclass(frozen=True)
class Picture:
    """One chart.

    lines: LINES; name: the run, or the group of runs; y: smoothed, or a group's mean; raw: as
    logged; low and high: a group's band; alone: a point to be drawn as one. odd: name, tag, side,
    x, y, words, for NaN and infinity. marks: name, x, words: where something happened. pointer: at,
    place, and by column the words of each of `series`; dots: at, name, side, x, y. domains: of the
    vertical axes by side, None for all.
    """

    tags: tuple[str, ...]
    names: tuple[str, ...]
    lines: pd.DataFrame
    odd: pd.DataFrame
    marks: pd.DataFrame
    pointer: pd.DataFrame
    dots: pd.DataFrame
    series: tuple[str, ...]
    domains: dict[str, tuple[float, float] | None]
    settings: Settings
    axis_title: str
    notes: tuple[str, ...]

    def date(self) -> bool:
        """Whether the axis is one of dates, in milliseconds since 1970."""
        return AXES[self.settings.axis].kind == "date"


def names_of(logs_id: str, grouping: Grouping | None) -> list[str]:
    """All runs, or all groups of runs: what colours are given to."""
    runs = tags_and_runs(logs_id)[1]
    return list(dict.fromkeys(_groups(logs_id, tuple(runs), grouping).values())
                ) if grouping else runs


def _groups(logs_id: str, runs: tuple[str, ...], grouping: Grouping) -> dict[str, str]:
    stated = open_logs(logs_id).hyperparameters
    found = groups_by(pd.Series({run: stated.get(run, {}).get(grouping.by) for run in runs},
                                dtype=object))
    return {run: group if group == NOT_STATED else f"{grouping.by} = {group}"
            for run, group in sorted(found.items(), key=lambda item: (_order(item[1]), item[0]))}


def _order(value: str) -> tuple[int, float, str]:
    """Numbers by size, then words, then what is not stated."""
    try:
        return 0, float(value), value
    except ValueError:
        return 1 + (value == NOT_STATED), 0.0, value


@shared_resource(entries=64)
def picture(logs_id: str, tags: tuple[str, ...], runs: tuple[str, ...], settings: Settings,
            right: tuple[str, ...] = (), grouping: Grouping | None = None) -> Picture:
    """Those tags of those runs in one chart; tags in `right` have the axis on the right."""
    limit = limit_for(len(tags) * len(runs))
    found = {tag: points(logs_id, tag, runs, settings, limit) for tag in tags}
    series, lines, odd, domains = {}, [], [], {}
    for tag, part in found.items():
        side = SIDES[tag in right]
        drawn, by_name, domain = (
            _grouped(part, _groups(logs_id, runs, grouping), BANDS[grouping.band], settings)
            if grouping else (_single(part), _by_run(part), part.domain))
        lines.append(drawn.assign(tag=tag, side=side))
        odd += [] if grouping else [_odd(part).assign(tag=tag, side=side)]
        series |= {(name, tag, side): table for name, table in by_name.items()}
        domains[side] = _both(domains[side], domain) if side in domains else domain
    pointer, dots = _pointer(series, settings, len(tags) > 1)
    marks = _marks(logs_id, found, () if grouping else runs)
    drawn = _joined(lines, LINES)
    return Picture(
        tags, tuple(names_of(logs_id, grouping)), drawn,
        _joined(odd, ["name", "tag", "side", "x", "y", "words"]),
        marks.head(0) if len(marks) > MOST_MARKS else marks, pointer, dots,
        tuple(_title(key, len(tags) > 1) for key in list(series)[:MOST_UNDER_POINTER]),
        domains, settings, axis_title(logs_id, settings.axis),
        _notes(list(found.values()), len(series), len(marks), grouping,
               _outside(drawn, domains, settings.log)))


def padded(domain: tuple[float, float], log: bool) -> list[float]:
    """A domain with some room."""
    low, high = domain
    if log:
        factor = (high / low) ** 0.05 if high > low else 1.2
        return [low / factor, high * factor]
    margin = (high - low) * 0.05 or abs(high) * 0.05 or 0.05
    return [low - margin, high + margin]


def _outside(lines: pd.DataFrame, domains: dict[str, tuple[float, float] | None],
             log: bool) -> str:
    """How many drawn points the axes leave out."""
    beyond = 0
    for side, domain in domains.items():
        if domain:
            low, high = padded(domain, log)
            y = lines.loc[lines["side"] == side, "y"]
            beyond += int(((y < low) | (y > high)).sum())
    return (f"{beyond:,} of them lie outside the axis, which covers the 5th to the 95th percentile:"
            ' "Show outliers" shows them.') if beyond else ""


def _joined(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    kept = [part for part in parts if len(part)]
    return (pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=columns))[columns]


def _both(one: tuple[float, float] | None,
          other: tuple[float, float] | None) -> tuple[float, float] | None:
    """The domain that covers both."""
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])


def _single(part: Points) -> pd.DataFrame:
    table = part.full.iloc[part.drawn]
    table = table[np.isfinite(table["value"])]
    sizes = table["piece"].map(table["piece"].value_counts()).to_numpy()
    return pd.DataFrame({
        "name": table["run"].astype(str), "x": table["x"], "y": table["smoothed"],
        "raw": table["value"], "low": np.nan, "high": np.nan, "piece": table["piece"],
        "alone": sizes == 1})


def _by_run(part: Points) -> dict[str, pd.DataFrame]:
    return {str(run): rows.assign(y=rows["smoothed"])
            for run, rows in part.full.groupby("run", observed=True)}


def _odd(part: Points) -> pd.DataFrame:
    table = held(part)
    return pd.DataFrame({"name": table["run"].astype(str), "x": table["x"], "y": table["held"],
                         "words": list(map(_number, table["value"]))})


def _grouped(part: Points, group_of: dict[str, str], kind: str, settings: Settings
             ) -> tuple[pd.DataFrame, dict[str, pd.DataFrame], tuple[float, float] | None]:
    """The mean and the band of each group: lines, what the pointer finds, and the domain."""
    curves = part.full.assign(step=part.full["x"], tag=part.tag)
    table = band(curves, group_of, kind, BAND_POINTS, "smoothed").rename(columns={"group": "name"})
    table = table.assign(x=table["step"], y=table["mean"], raw=np.nan, alone=False)
    if settings.log:
        table["low"] = table["low"].where(table["low"] > 0)
    table["piece"] = table.groupby("name", sort=False).ngroup()
    sizes = table["piece"].map(table["piece"].value_counts())
    ends = table[["low", "mean", "high"]].to_numpy(np.float64).ravel()
    domain = None if settings.outliers else outlier_domain(ends)
    by_name = {name: rows.rename(columns={"low": "least", "high": "most"})
               for name, rows in table.groupby("name", sort=False)}
    return table.assign(alone=sizes == 1), by_name, domain


def _title(key: tuple[str, str, str], several: bool) -> str:
    return f"{key[0]} · {key[1]}" if several else key[0]


def _pointer(series: dict[tuple[str, str, str], pd.DataFrame], settings: Settings, several: bool
             ) -> tuple[pd.DataFrame, pd.DataFrame]:
    series = dict(list(series.items())[:MOST_UNDER_POINTER])
    inside = {key: _inside(table, settings.stretch) for key, table in series.items()}
    x = np.concatenate([table["x"].to_numpy() for table in inside.values()] or [np.empty(0)])
    at = places(x, settings.log_x)
    span = np.ptp(at) / 50 if len(at) else 0.0
    rows, dots = {"at": at, "place": [_place(place, settings.axis) for place in at]}, []
    for number, (key, table) in enumerate(series.items()):
        if not len(at) or not len(table):
            continue
        near = under_pointer({"": table}, at)[""]
        rows[f"s{number}"] = [
            words + (f" at {_place(there, settings.axis)}" if abs(there - place) > span else "")
            for words, there, place in zip(_words(near), near["x"], at, strict=True)]
        dots.append(pd.DataFrame({"at": at, "name": key[0], "side": key[2],
                                  "x": near["x"].to_numpy(), "y": near["y"].to_numpy()}))
    return pd.DataFrame(rows), _joined(dots, ["at", "name", "side", "x", "y"]).dropna()


def _inside(table: pd.DataFrame, stretch: tuple[float, float] | None) -> pd.DataFrame:
    return table if stretch is None else table[table["x"].between(*stretch)]


def _words(near: pd.DataFrame) -> list[str]:
    """The value of each point: smoothed (as logged), or a mean (its band, of how many runs)."""
    if "n" in near:
        return [f"{y:.4g} ({low:.4g} to {high:.4g}, {n} runs)" if n > 1 else f"{y:.4g} (1 run)"
                for y, low, high, n in zip(near["y"], near["least"], near["most"], near["n"],
                                           strict=True)]
    return [_number(y) if y == value or y != y else f"{y:.4g} ({value:.4g})"
            for y, value in zip(near["y"], near["value"], strict=True)]


def _number(value: float) -> str:
    return f"{value:.4g}".replace("nan", "NaN").replace("inf", "infinite")


def _place(x: float, axis: str) -> str:
    if AXES[axis].kind == "date":
        return pd.Timestamp(x / MILLISECONDS, unit="s").strftime("%Y-%m-%d %H:%M:%S")
    return f"{x:,.0f}" if axis in ("step", "index") else f"{x:,.4g}"


def _marks(logs_id: str, found: dict[str, Points], runs: tuple[str, ...]) -> pd.DataFrame:
    """Where something happened: the place of the point at that step, or of the nearest one."""
    rows = []
    for finding in all_findings(logs_id):
        if finding.tag not in found or finding.run not in runs:
            continue
        table = found[finding.tag].full
        table = table[table["run"] == finding.run]
        if len(table):
            nearest = (table["step"] - finding.step).abs().to_numpy().argmin()
            rows.append((finding.run, table["x"].iat[nearest], finding.sentence))
    return pd.DataFrame(rows, columns=["name", "x", "words"])


def _notes(found: list[Points], series: int, marks: int,
           grouping: Grouping | None, outside: str) -> tuple[str, ...]:
    drawn = sum(min(len(part.drawn), part.total) for part in found)
    total = sum(part.total for part in found)
    if grouping:
        said = [f"Mean of runs with the same {grouping.by} and a band, {grouping.band}, on their "
                f"common steps (at most {BAND_POINTS}), from {total:,} points; between points a "
                "straight line."]
    elif drawn < total:
        said = [f"Showing {drawn:,} of {total:,} points: the lowest and the highest of each "
                "stretch, no peak is lost."]
    else:
        said = [f"Showing all {total:,} points."]
    said += [outside] if outside else []
    if series > MOST_UNDER_POINTER:
        said.append(f"The pointer tells the values of {MOST_UNDER_POINTER} of {series} curves: "
                    "tick runs to see theirs.")
    if marks > MOST_MARKS:
        said.append(f"The {marks} places where something happened are not marked: tick fewer runs.")
    return (*said, *dict.fromkeys(note for part in found for note in part.notes))
