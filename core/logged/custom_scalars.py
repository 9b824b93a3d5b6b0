"""The layout of charts that a training program may leave: which scalars stand in one chart."""

from dataclasses import dataclass
from pathlib import Path

from core.cache import cached_result
from core.errors import UserError
from core.events.layout import fields
from core.events.payloads import payload, record_at
from core.library import open_logs

KIND = "custom_scalars"
CATEGORIES, CHARTS = 18, 18  # keys of a layout and of a category
TITLE, LINES, MARGIN, SERIES = 10, 18, 26, 10
VALUE, LOWER, UPPER = 10, 18, 26  # keys of a margin's series
MOST_CHARTS = 1000


@dataclass(frozen=True)
class Laid:
    """One chart of a layout. tags: regular expressions, which tags begin with; or margins: the tags
    of value, lower and upper bound."""

    category: str
    title: str
    tags: tuple[str, ...]
    margins: tuple[tuple[str, str, str], ...]


@cached_result
def layout(logs_id: str) -> list[Laid]:
    """The charts that the last layout of each run says; one that several runs have stands once."""
    others = open_logs(logs_id).others
    rows = others[others["kind"] == KIND].drop_duplicates("run", keep="last")
    charts: list[Laid] = []
    for row in rows.to_dict("records"):
        try:
            found = payload(record_at(Path(row["file"]), row["byte"], row["size"]), row["tag"])
            said = _charts(found[-1]) if isinstance(found, list) and found else []
        except (ValueError, UserError):
            said = []  # `core.logged.media.not_shown` names the tag in any case
        charts += [chart for chart in said if chart not in charts]
    return charts[:MOST_CHARTS]


def _charts(data: bytes) -> list[Laid]:
    """custom_scalar/layout.proto. Raises ValueError where it is none."""
    charts = []
    for category in _all(data, CATEGORIES):
        for chart in _all(category, CHARTS):
            lines = [_said(tag) for part in _all(chart, LINES) for tag in _all(part, SERIES)]
            margins = [tuple(_text(series, key) for key in (VALUE, LOWER, UPPER))
                       for part in _all(chart, MARGIN) for series in _all(part, SERIES)]
            charts.append(Laid(_text(category), _text(chart), tuple(lines), tuple(margins)))
    return charts


def _all(data: bytes, wanted: int) -> list[bytes]:
    return [data[start:stop] for key, start, stop in fields(data, 0, len(data)) if key == wanted]


def _said(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _text(data: bytes, key: int = TITLE) -> str:
    found = _all(data, key)
    return _said(found[-1]) if found else ""
