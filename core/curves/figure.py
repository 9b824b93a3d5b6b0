"""A picture of curves laid out on paper: strokes, areas, dots and words, in pixels."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from core.curves.picture import Picture
from core.curves.ticks import ticks, written

WIDTH, PLOT_HEIGHT = 720, 300
LEFT, RIGHT, TOP, BELOW, LINE = 64, 16, 34, 44, 18
INK, GRID = "#333333", "#DDDDDD"
MOST_NAMES = 20


@dataclass(frozen=True)
class Stroke:
    """A line; points (N, 2)."""

    points: np.ndarray
    colour: str
    width: float = 1.0
    opacity: float = 1.0
    dash: tuple[float, ...] = ()


@dataclass(frozen=True)
class Area:
    """A filled polygon; points (N, 2)."""

    points: np.ndarray
    colour: str
    opacity: float


@dataclass(frozen=True)
class Words:
    """anchor: "start", "middle" or "end"; y is the base line."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    size: int = 12
    colour: str = INK


@dataclass
class Figure:
    """inside: what is clipped to the plot (left, top, right, bottom). around: what is not."""

    width: int
    height: int
    plot: tuple[float, float, float, float]
    inside: list[Stroke | Area] = field(default_factory=list)
    around: list[Stroke | Words] = field(default_factory=list)


@dataclass(frozen=True)
class _Scale:
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, values: np.ndarray | float) -> np.ndarray:
        change = np.log10 if self.log else np.asarray
        low, high = change(self.low), change(self.high)
        share = (change(values) - low) / (high - low)
        return self.start + share * (self.end - self.start)


def figure(picture: Picture, title: str, colours: dict[str, str],
           dashes: dict[str, list[int]]) -> Figure:
    """The picture on white paper, with a legend below."""
    present = set(picture.lines["name"])
    names = [name for name in picture.names if name in present]
    rows = min(len(names), MOST_NAMES) + (len(picture.tags) if len(picture.tags) > 1 else 0)
    right = WIDTH - (LEFT if len(picture.domains) > 1 else RIGHT)
    drawn = Figure(WIDTH, TOP + PLOT_HEIGHT + BELOW + LINE * rows + 8,
                   (LEFT, TOP, right, TOP + PLOT_HEIGHT))
    drawn.around.append(Words(LEFT, 20, title, size=15))
    if len(picture.lines):
        x = _x_scale(picture, drawn)
        _x_axis(picture, x, drawn)
        drawn.inside += _rules(picture, x, drawn.plot, colours)
        for side in picture.domains:
            _side(picture, side, x, drawn, colours, dashes)
    _legend(picture, names, drawn, colours, dashes)
    return drawn


def _x_scale(picture: Picture, drawn: Figure) -> _Scale:
    values = pd.concat([picture.lines["x"], picture.odd["x"]]).to_numpy(np.float64)
    low, high = picture.settings.stretch or (float(values.min()), float(values.max()))
    log = picture.settings.log_x
    return _Scale(*_apart(low, high, log), drawn.plot[0], drawn.plot[2], log)


def _apart(low: float, high: float, log: bool) -> tuple[float, float]:
    """Two ends that differ."""
    if low < high:
        return low, high
    return (low / 2, high * 2) if log else (low - 0.5, high + 0.5)


def _x_axis(picture: Picture, x: _Scale, drawn: Figure) -> None:
    left, top, right, bottom = drawn.plot
    found = ticks(x.low, x.high, x.log, picture.date())
    for value, words in zip(found, written(found, picture.date()), strict=True):
        at = float(x(value))
        drawn.around.append(Stroke(np.array([[at, top], [at, bottom]]), GRID))
        drawn.around.append(Words(at, bottom + 16, words, "middle", 11))
    drawn.around.append(Words((left + right) / 2, bottom + 34, picture.axis_title, "middle"))


def _rules(picture: Picture, x: _Scale, plot: tuple[int, int, int, int],
           colours: dict[str, str]) -> list[Stroke]:
    """A dashed line where something happened, as on the page."""
    places = zip(picture.marks["name"], x(picture.marks["x"].to_numpy(np.float64)), strict=True)
    return [Stroke(np.array([[at, plot[1]], [at, plot[3]]]), colours[name], 1.5, 1.0, (4, 3))
            for name, at in places]


def _side(picture: Picture, side: str, x: _Scale, drawn: Figure, colours: dict[str, str],
          dashes: dict[str, list[int]]) -> None:
    table = picture.lines[picture.lines["side"] == side]
    if table.empty:
        return
    log = picture.settings.log
    y = _Scale(*_ends(picture, side, table, log), drawn.plot[3], drawn.plot[1], log)
    _y_axis(side, y, drawn)
    for (name, tag, _), part in table.groupby(["name", "tag", "piece"], observed=True, sort=False):
        part = part.sort_values("x", kind="stable")
        dash = tuple(dashes[tag]) if len(picture.tags) > 1 and dashes[tag][1] else ()
        across = x(part["x"].to_numpy(np.float64))
        if part["low"].notna().any():
            drawn.inside.append(_band(part, across, y, colours[name]))
        raw = part["raw"].to_numpy(np.float64)
        if picture.settings.smoothing and len(part) > 1 and np.isfinite(raw).all():
            drawn.inside.append(Stroke(np.column_stack([across, y(raw)]), colours[name], 1, 0.25))
        line = np.column_stack([across, y(part["y"].to_numpy(np.float64))])
        drawn.inside.append(_dot(line[0], colours[name]) if len(part) == 1
                            else Stroke(line, colours[name], 1.8, 1.0, dash))
    for row in picture.odd[picture.odd["side"] == side].itertuples():
        drawn.inside.append(_triangle(float(x(row.x)), float(y(row.y)), colours[row.name]))


def _ends(picture: Picture, side: str, table: pd.DataFrame, log: bool) -> tuple[float, float]:
    if known := picture.ends(side):
        return _apart(*known, log)
    values = table[["y", "raw", "low", "high"]].to_numpy(np.float64)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    low, high = _apart(low, high, log)
    if log:
        return low / (high / low) ** 0.05, high * (high / low) ** 0.05
    return low - (high - low) * 0.05, high + (high - low) * 0.05


def _y_axis(side: str, y: _Scale, drawn: Figure) -> None:
    left, _, right, _ = drawn.plot
    found = ticks(y.low, y.high, y.log)
    for value, words in zip(found, written(found), strict=True):
        at = float(y(value))
        if side == "left":
            drawn.around.append(Stroke(np.array([[left, at], [right, at]]), GRID))
        place, anchor = (left - 6, "end") if side == "left" else (right + 6, "start")
        drawn.around.append(Words(place, at + 4, words, anchor, 11))


def _band(part: pd.DataFrame, across: np.ndarray, y: _Scale, colour: str) -> Area:
    there = (part["low"].notna() & part["high"].notna()).to_numpy()
    low = np.column_stack([across, y(part["low"].to_numpy(np.float64))])[there]
    high = np.column_stack([across, y(part["high"].to_numpy(np.float64))])[there]
    return Area(np.concatenate([low, high[::-1]]), colour, 0.2)


def _dot(place: np.ndarray, colour: str, size: float = 3.0) -> Area:
    angles = np.linspace(0, 2 * np.pi, 17)
    return Area(place + size * np.column_stack([np.cos(angles), np.sin(angles)]), colour, 1.0)


def _triangle(x: float, y: float, colour: str, size: float = 6.0) -> Area:
    return Area(np.array([[x, y - size], [x + size, y + size], [x - size, y + size]]), colour, 1.0)


def _legend(picture: Picture, names: list[str], drawn: Figure, colours: dict[str, str],
            dashes: dict[str, list[int]]) -> None:
    entries = [(name, colours[name], ()) for name in names[:MOST_NAMES]]
    if len(names) > MOST_NAMES:
        entries[-1] = (f"and {len(names) - MOST_NAMES + 1} more", "#FFFFFF", ())
    if len(picture.tags) > 1:
        on_the_right = set(picture.lines.loc[picture.lines["side"] == "right", "tag"])
        entries += [(f"{tag} (right axis)" if tag in on_the_right else tag, INK,
                     tuple(dashes[tag]) if dashes[tag][1] else ()) for tag in picture.tags]
    top = drawn.plot[3] + BELOW
    for row, (name, colour, dash) in enumerate(entries):
        at = top + row * LINE + LINE / 2
        drawn.around.append(Stroke(np.array([[LEFT, at], [LEFT + 28, at]]), colour, 2, 1.0, dash))
        drawn.around.append(Words(LEFT + 36, at + 4, name))
