"""Pictures of 16 bits or floats: one range for all of a data set, from a sample of them.

A range of each picture's own would show a dark one as bright as any, which no network saw.
"""

from collections.abc import Callable, Sequence

from core.dataset_files.value_ranges import ValueRange, in_figures, usual_range
from core.errors import UserError
from core.images import extremes

SAMPLED = 16


def common_range(rows: Sequence[int],
                 content: Callable[[int], bytes]) -> tuple[ValueRange | None, tuple[str, ...]]:
    """The range of the deep pictures in these rows, and what to say of it; None without any."""
    step = -(-len(rows) // SAMPLED) or 1
    found = []
    for row in rows[::step]:
        try:
            found.append(extremes(content(row), f"row {row}"))
        except UserError:  # is told when it is decoded
            continue
    if not found:
        return None, ()
    lows, highs, whole = zip(*found, strict=True)
    span = usual_range(min(lows), max(highs), all(whole))
    low, high = (in_figures(value, all(whole)) for value in (min(lows), max(highs)))
    judged = "" if step == 1 else f" (judged from {len(found):,} of them)"
    return span, (f"Values of pictures of 16 bits or floats go from {low} to {high}{judged}, "
                  f"{span.words}: the same for all of them. Values beyond are shown black or "
                  "white.",)
