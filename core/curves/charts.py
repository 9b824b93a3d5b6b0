"""What one chart of the page shows: tags as lines, or values with a margin around them."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.cache import shared_resource
from core.curves.hover import pointer
from core.curves.notes import notes, outside
from core.curves.picture import LINES, Picture, ends, joined, picture, single, titles
from core.curves.points import Points, Settings, axis_title, limit_for, points
from core.curves.together import Grouping, names_of
from core.findings.kinds import Finding
from core.training_curves import visible_domain

Margin = tuple[str, str, str]  # the tags of the value, of its lower and its upper bound


@dataclass(frozen=True)
class Chart:
    """right: those of the tags that have the axis on the right. margins: drawn as values with
    their bounds, instead of the tags, which then are all of theirs."""

    title: str
    tags: tuple[str, ...]
    right: tuple[str, ...] = ()
    margins: tuple[Margin, ...] = ()


def chart_of(*tags: str, right: tuple[str, ...] = ()) -> Chart:
    """A chart that is called as its tags."""
    return Chart(" · ".join(tags), tags, right)


def picture_of(logs_id: str, chart: Chart, runs: tuple[str, ...], settings: Settings,
               grouping: Grouping | None = None, findings: tuple[Finding, ...] = ()) -> Picture:
    """See Picture; of the findings those of these tags and runs are marked."""
    if chart.margins:
        return margin_picture(logs_id, chart.margins, runs, replace(settings, smoothing=0.0))
    return picture(logs_id, chart.tags, runs, settings, chart.right, grouping, findings)


@shared_resource(entries=32)
def margin_picture(logs_id: str, margins: tuple[Margin, ...], runs: tuple[str, ...],
                   settings: Settings) -> Picture:
    """Each run's values as they were logged, in the band between their bounds at the same step."""
    found, series, lines, limit = {}, {}, [], limit_for(len(margins) * len(runs))
    for value, *bounds in margins:
        found[value] = part = points(logs_id, value, runs, settings, limit)
        low, high = (_at_steps(part, points(logs_id, tag, runs, settings).full) for tag in bounds)
        full = part.full.assign(y=part.full["value"], least=low, most=high)
        series |= {(str(run), value, "left"): rows
                   for run, rows in full.groupby("run", observed=True)}
        drawn = full.iloc[part.drawn]
        drawn = drawn[np.isfinite(drawn["value"])]
        lines.append(single(part).assign(low=drawn["least"], high=drawn["most"], tag=value,
                                         side="left"))
    drawn = joined(lines, LINES)
    domain = settings.vertical or (None if settings.outliers else visible_domain(
        drawn[["low", "y", "high"]].to_numpy(np.float64),
        drawn.groupby(["name", "tag"], observed=True).ngroup().to_numpy()))
    beyond = outside(drawn, {"left": ends(domain, "left", settings)}, settings)
    said = notes(list(found.values()), len(series), 0, None, beyond)
    nothing = pd.DataFrame(columns=["name", "tag", "side", "x", "y", "words"])
    return Picture(
        tuple(found), tuple(names_of(logs_id, None)), drawn, nothing, nothing[["name", "x"]].assign(
            words=""), *pointer(series, settings), titles(list(series), len(found) > 1),
        {"left": domain}, settings, axis_title(logs_id, settings.axis),
        ("The band lies between what was logged as lower and upper bound; not smoothed.", *said))


def _at_steps(part: Points, bound: pd.DataFrame) -> np.ndarray:
    """The bound of each point, by run and step; NaN where none was logged."""
    last = bound.drop_duplicates(["run", "step"], keep="last").set_index(["run", "step"])["value"]
    wanted = pd.MultiIndex.from_frame(part.full[["run", "step"]])
    return last.reindex(wanted).to_numpy(np.float64)
