"""A chart of curves as tables, before anyone draws it: lines, bands, marks, words to hover."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.cache import shared_resource
from core.curves.axes import AXES
from core.curves.hover import MOST_UNDER_POINTER, number, pointer
from core.curves.notes import MOST_MARKS, notes, outside
from core.curves.points import Points, Settings, axis_title, held, limit_for, points
from core.curves.together import BANDS, Grouping, grouped, groups_of, names_of
from core.findings.kinds import Finding

SIDES = ("left", "right")
LINES = ["name", "tag", "side", "x", "y", "raw", "low", "high", "piece", "alone"]
ODD = ["name", "tag", "side", "x", "y", "words"]


@dataclass(frozen=True)
class Picture:
    """One chart.

    lines: LINES; name: the run, or the group of runs; y: smoothed, or a group's mean; raw: as
    logged; low and high: a band; alone: a point to be drawn as one. odd: ODD, for NaN and infinity.
    marks: name, x, words: where something happened. pointer: at, place, and by column the words of
    each of `series`; dots: those of `pointer`. domains: of the vertical axes by side, None for all.
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

    def pinned(self, side: str) -> bool:
        """Whether the ends of the vertical axis are what a person zoomed on."""
        return self.settings.vertical is not None and side == "left"

    def ends(self, side: str) -> list[float] | None:
        """Of the vertical axis; None for all that is drawn."""
        return ends(self.domains[side], side, self.settings)


@shared_resource(entries=64)
def picture(logs_id: str, tags: tuple[str, ...], runs: tuple[str, ...], settings: Settings,
            right: tuple[str, ...] = (), grouping: Grouping | None = None,
            findings: tuple[Finding, ...] = ()) -> Picture:
    """Those tags of those runs in one chart; tags in `right` have the axis on the right; of the
    findings those of these tags and runs are marked."""
    limit = limit_for(len(tags) * len(runs))
    found, series, lines, odd, domains = {}, {}, [], [], {}
    for tag in tags:
        side = SIDES[tag in right]
        own = settings if side == "left" else replace(settings, vertical=None)
        found[tag] = part = points(logs_id, tag, runs, own, limit)
        drawn, by_name, domain = (
            grouped(part, groups_of(logs_id, runs, grouping), BANDS[grouping.band], own)
            if grouping else (single(part), _by_run(part), part.domain))
        lines.append(drawn.assign(tag=tag, side=side))
        odd += [] if grouping else [_odd(part).assign(tag=tag, side=side)]
        series |= {(name, tag, side): table for name, table in by_name.items()}
        domains[side] = _both(domains[side], domain) if side in domains else domain
    marks = _marks(findings, found, () if grouping else runs)
    drawn = joined(lines, LINES)
    beyond = outside(drawn, {side: ends(domain, side, settings)
                             for side, domain in domains.items()}, settings)
    return Picture(
        tags, tuple(names_of(logs_id, grouping)), drawn, joined(odd, ODD),
        marks.head(0) if len(marks) > MOST_MARKS else marks, *pointer(series, settings),
        titles(list(series), len(tags) > 1), domains, settings,
        axis_title(logs_id, settings.axis),
        notes(list(found.values()), len(series), len(marks), grouping, beyond))


def titles(series: list[tuple[str, str, str]], several: bool) -> tuple[str, ...]:
    """What the pointer calls the first of them: names, with tags where there are several."""
    return tuple(f"{name} · {tag}" if several else name
                 for name, tag, _ in series[:MOST_UNDER_POINTER])


def ends(domain: tuple[float, float] | None, side: str, settings: Settings) -> list[float] | None:
    """A domain with some room; exactly what is zoomed on."""
    if domain is None or (settings.vertical and side == "left"):
        return list(domain) if domain else None
    low, high = domain
    if settings.log:
        factor = (high / low) ** 0.05 if high > low else 1.2
        return [low / factor, high * factor]
    margin = (high - low) * 0.05 or abs(high) * 0.05 or 0.05
    return [low - margin, high + margin]


def joined(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """One table of them all."""
    kept = [part for part in parts if len(part)]
    return (pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=columns))[columns]


def _both(one: tuple[float, float] | None,
          other: tuple[float, float] | None) -> tuple[float, float] | None:
    """The domain that covers both."""
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])


def single(part: Points) -> pd.DataFrame:
    """The lines of each run by itself: LINES but tag and side."""
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
                         "words": list(map(number, table["value"]))})


def _marks(findings: tuple[Finding, ...], found: dict[str, Points],
           runs: tuple[str, ...]) -> pd.DataFrame:
    """Where something happened: the place of the point at that step, or of the nearest one."""
    rows = []
    for finding in findings:
        if finding.tag not in found or finding.run not in runs:
            continue
        table = found[finding.tag].full
        table = table[table["run"] == finding.run]
        if len(table):
            nearest = (table["step"] - finding.step).abs().to_numpy().argmin()
            rows.append((finding.run, table["x"].iat[nearest], finding.sentence))
    return pd.DataFrame(rows, columns=["name", "x", "words"])
