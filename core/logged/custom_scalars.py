"""The layout of charts that a training program may leave: which scalars stand in one chart."""

from pathlib import Path

from core.cache import cached_result
from core.errors import UserError
from core.events.layout import fields
from core.events.payloads import payload, record_at
from core.library import open_logs

KIND = "custom_scalars"
CATEGORIES, CHARTS = 18, 18  # keys of a layout and of a category
TITLE, LINES, MARGIN, SERIES = 10, 18, 26, 10
MOST_CHARTS = 1000


@cached_result
def layout(logs_id: str) -> list[tuple[str, list[str]]]:
    """Title of each chart, with its category, and the regular expressions of the tags in it, as
    the last layout of each run says; a chart that several runs have stands once. Of a margin chart
    value, lower and upper tag in turn.
    """
    others = open_logs(logs_id).others
    rows = others[others["kind"] == KIND].drop_duplicates("run", keep="last")
    charts = []
    for row in rows.to_dict("records"):
        try:
            found = payload(record_at(Path(row["file"]), row["byte"], row["size"]), row["tag"])
            said = _charts(found[-1]) if isinstance(found, list) and found else []
        except (ValueError, UserError):
            said = []  # `core.logged.media.not_shown` names the tag in any case
        charts += [chart for chart in said if chart not in charts]
    return charts[:MOST_CHARTS]


def _charts(data: bytes) -> list[tuple[str, list[str]]]:
    """custom_scalar/layout.proto. Raises ValueError where it is none."""
    charts = []
    for category in _all(data, CATEGORIES):
        group = _text(category)
        for chart in _all(category, CHARTS):
            lines = [tag for part in _all(chart, LINES) for tag in _all(part, SERIES)]
            margins = [tag for part in _all(chart, MARGIN) for series in _all(part, SERIES)
                       for key in (10, 18, 26) for tag in _all(series, key)[-1:]]
            tags = [tag.decode("utf-8", "replace") for tag in lines + margins]
            charts.append(("/".join(filter(None, (group, _text(chart)))), tags))
    return charts


def _all(data: bytes, wanted: int) -> list[bytes]:
    return [data[start:stop] for key, start, stop in fields(data, 0, len(data)) if key == wanted]


def _text(data: bytes) -> str:
    found = _all(data, TITLE)
    return found[-1].decode("utf-8", "replace") if found else ""
