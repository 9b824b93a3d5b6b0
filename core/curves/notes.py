"""What is to be said below a chart: what was thinned, left out, or lies outside the axes."""

from collections.abc import Mapping

import pandas as pd

from core.curves.hover import MOST_UNDER_POINTER
from core.curves.points import MARKED, Points, Settings
from core.curves.together import BAND_POINTS, Grouping

MOST_MARKS = 10
LEFT_OUT = "not counted there, so that a mean may jump."
OUTLYING = "outside the axis (5th to 95th percentile)."


def notes(found: list[Points], series: int, marks: int, grouping: Grouping | None,
          outside: str) -> tuple[str, ...]:
    """A sentence each."""
    drawn = sum(min(len(part.drawn), part.total) for part in found)
    total = sum(part.total for part in found)
    if grouping:
        said = [f"Mean of runs with the same {grouping.by} and a band, {grouping.band}, on their "
                f"common steps (at most {BAND_POINTS}), from {total:,} points; between points a "
                "straight line."]
    elif drawn < total:
        said = [f"Showing {drawn:,} of {total:,} points, each peak among them."]
    else:
        said = ["Showing its only point." if total == 1 else f"Showing all {total:,} points."]
    said += [outside] if outside else []
    if series > MOST_UNDER_POINTER:
        said.append(f"The pointer tells the values of {MOST_UNDER_POINTER} of {series} curves: "
                    "tick runs to see theirs.")
    if marks > MOST_MARKS:
        said.append(f"The {marks} places where something happened are not marked: tick fewer runs.")
    own = [f"{part.tag}: {note}" if len(found) > 1 else note  # each counts its own points
           for part in found for note in part.notes]
    if grouping:  # nothing marks a single run's value
        own = [note.replace(MARKED, LEFT_OUT) for note in own]
    return (*said, *own)


def outside(lines: pd.DataFrame, ends: Mapping[str, list[float] | None],
            settings: Settings) -> str:
    """How many drawn points of the stretch the vertical axes leave out."""
    if settings.stretch:
        lines = lines[lines["x"].between(*settings.stretch)]
    beyond = 0
    for side, pair in ends.items():
        if pair:
            y = lines.loc[lines["side"] == side, "y"]
            beyond += int(((y < pair[0]) | (y > pair[1])).sum())
    if not beyond:
        return ""
    lie = "lies" if beyond == 1 else "lie"
    if settings.vertical:
        return f"{beyond:,} of them {lie} above or below what is zoomed on."
    return f"{beyond:,} {lie} {OUTLYING}"
