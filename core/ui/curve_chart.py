"""A picture of curves as a Vega-Lite chart: drag to zoom, double-click to go back, hover to read.

Plain dictionaries: Altair would check and copy each chart again on every run, 50 ms a chart.
"""

import numpy as np
import pandas as pd

from core.curves.picture import SIDES, Picture
from core.ui.chart_titles import title_of
from core.ui.curve_colours import dashes, run_colours
from core.ui.text import shorten

HEIGHT, TALLER = 280, 400  # TALLER where several tags share a chart
FEW = 60  # points of a series that are marked one by one
THOUSANDS = 10_000  # from which ticks are told as 10k, 20k
DAY = 86_400_000.0  # milliseconds
VALUE = "datum.label, indexof(datum.label, ' = ')"  # what follows it in "optimizer = adam"
GROUPS = {"title": None, "symbolType": "stroke", "symbolStrokeWidth": 3, "symbolOpacity": 1,
          "columns": 3, "labelLimit": 90, "symbolLimit": 12,
          "labelExpr": f"indexof(datum.label, ' = ') < 0 ? datum.label : slice({VALUE} + 3)"}
CLOCK = ("utcFormat(datum.value, utcseconds(datum.value) ? '%H:%M:%S' : utchours(datum.value) + "
         "utcminutes(datum.value) ? '%H:%M' : utcdayofyear(datum.value) > 1 ? '%d %b' : '%Y')")
ENDS = ("domainMin", "domainMax")
ZOOM = ["brush", "along", "reset"]  # the selections that Python hears of


def chart(picture: Picture, title: str, zooms: bool = True) -> dict:
    """A Vega-Lite specification; its data sets are frames."""
    sets: dict[str, pd.DataFrame] = {}
    sides = [side for side in SIDES if side in picture.domains]
    layers = [{"layer": _side(picture, side, sets)} for side in sides]
    layers += _marks(picture, sets) + _hover(picture, sets)
    spec = {
        "height": HEIGHT if len(picture.tags) == 1 else TALLER,
        "title": title_of(title),
        "params": _params(zooms and len(picture.pointer) > 0, len(sides) == 1),
        "layer": layers,
        "datasets": sets,
        "config": {"aria": False, "axis": {"gridOpacity": 0.4, "labelLimit": 120},
                   "view": {"strokeOpacity": 0}, "legend": {"orient": "top", "labelLimit": 220}},
        "usermeta": {"embedOptions": {"renderer": "canvas", "padding": {
            "left": 0, "top": 4, "right": 8, "bottom": 0}}},
    }
    if len(sides) > 1:
        spec["resolve"] = {"scale": {"y": "independent"}}
    return spec if len(picture.pointer) else {**spec, "params": []}


def _params(zooms: bool, both: bool) -> list[dict]:
    """both: whether a drag tells its height, too, which is that of one vertical axis only."""
    hover = {"name": "hover", "views": ["hover"], "select": {
        "type": "point", "on": "pointermove", "clear": "pointerout", "nearest": True,
        "fields": ["at"], "toggle": False}}
    if not zooms:
        return [hover]
    return [
        hover,
        {"name": "brush", "views": ["lines"], "select": {
            "type": "interval", "encodings": ["x", "y"] if both else ["x"],
            "translate": False, "zoom": False}},
        {"name": "along", "views": ["lines"], "select": {  # a drag without height is no box
            "type": "interval", "encodings": ["x"], "translate": False, "zoom": False,
            "mark": {"fillOpacity": 0, "strokeOpacity": 0}}},
        {"name": "reset", "views": ["hover"], "select": {
            "type": "point", "on": "dblclick", "clear": False, "nearest": True, "fields": ["at"],
            "toggle": False}},
    ]


def _x(picture: Picture, field: str = "x") -> dict:
    settings = picture.settings
    scale = {"type": "utc" if picture.date() else "log" if settings.log_x else "linear",
             "nice": False}
    if not settings.log_x:
        scale["zero"] = False
    if domain := settings.stretch or _around(picture):
        scale["domain"] = list(domain)
    far = len(picture.pointer) and picture.pointer["at"].iat[-1] >= THOUSANDS
    axis = {"labelExpr": CLOCK} if picture.date() else {
        "format": "~s" if far else ",.6~g", "tickCount": 6,
        "labelExpr": "datum.value == 0 ? '0' : datum.label"}  # of thousands it would be 0k
    return {"field": field, "type": "temporal" if picture.date() else "quantitative",
            "title": picture.axis_title, "scale": scale, "axis": axis}


def _around(picture: Picture) -> tuple[float, float] | None:
    """A stretch around a single place, which has no width of its own; else None."""
    at = picture.pointer["at"] if len(picture.pointer) else []
    if not len(at) or at.min() < at.max():
        return None
    if picture.settings.log_x:
        return at.iat[0] / 2, at.iat[0] * 2
    aside = DAY if picture.date() else 1.0
    return at.iat[0] - aside, at.iat[0] + aside


def _y(picture: Picture, side: str, field: str) -> dict:
    scale = {"type": "log"} if picture.settings.log else {"type": "linear", "zero": False}
    if ends := picture.ends(side):
        scale |= {"nice": False} | ({"domain": ends} if picture.pinned(side) else {
            end: {"expr": f"data('pointer')[0].{side}_{end}"} for end in ENDS})
    tags = ", ".join(picture.lines.loc[picture.lines["side"] == side, "tag"].unique())
    title = shorten(tags, 40) if len(picture.domains) > 1 else None
    return {"field": field, "type": "quantitative", "title": title, "scale": scale,
            "axis": {"orient": side, "format": ".6~g", "grid": side == "left", "tickCount": 5}}


def _colour(picture: Picture) -> dict:
    colours = run_colours(picture.names)
    used = set(picture.lines["name"]) | set(picture.odd["name"])
    names = [name for name in picture.names if name in used]
    return {"field": "name", "type": "nominal", "legend": GROUPS if _grouped(picture) else None,
            "scale": {"domain": names, "range": [colours[name] for name in names]}}


def _grouped(picture: Picture) -> bool:
    """Whether lines are means of groups, whose colours no list of runs explains."""
    return len(picture.lines) > 0 and bool(picture.lines["raw"].isna().all())


def _side(picture: Picture, side: str, sets: dict[str, pd.DataFrame]) -> list[dict]:
    table = picture.lines[picture.lines["side"] == side]
    if not picture.settings.smoothing:
        table = table.assign(raw=np.nan)  # it is the line itself
    shared = {"x": _x(picture), "color": _colour(picture), "detail": [
        {"field": "piece", "type": "nominal"}, {"field": "tag", "type": "nominal"}]}
    y = _y(picture, side, "y")
    if len(picture.tags) > 1:
        known = dashes(picture.tags)
        shared["strokeDash"] = {
            "field": "tag", "type": "nominal", "title": None,
            "legend": {"symbolType": "stroke", "symbolStrokeWidth": 2, "symbolSize": 900,
                       "symbolStrokeColor": "#888888", "columns": 2},
            "scale": {"domain": list(known), "range": list(known.values())}}
    name, layers = f"lines_{side}", []
    sets[name] = _small(table.drop(columns=["side"]))
    if table["low"].notna().any():
        layers.append({"data": {"name": name}, "mark": {"type": "area", "opacity": 0.2,
                                                        "clip": True},
                       "encoding": {**shared, "y": {**y, "field": "low"},
                                    "y2": {"field": "high"}}})
    elif picture.settings.smoothing:
        layers.append({"data": {"name": name}, "mark": {
            "type": "line", "opacity": 0.25, "strokeWidth": 1, "clip": True},
            "encoding": {**shared, "y": {**y, "field": "raw"}}})
    few = len(table) and table.groupby(["name", "tag"]).size().max() <= FEW
    layers.append({"name": "lines" if side == min(picture.domains) else side,
                   "data": {"name": name}, "mark": {
        "type": "line", "strokeWidth": 2, "clip": True,
        **({"point": {"size": 14, "opacity": 0.7}} if few else {})},
        "encoding": {**shared, "y": y}})
    return layers + _points(picture, side, sets, y)


def _points(picture: Picture, side: str, sets: dict[str, pd.DataFrame], y: dict) -> list[dict]:
    """Lone points, NaN and infinity, and the dots under the pointer."""
    of_side = [table[table["side"] == side] for table in (picture.lines, picture.odd, picture.dots)]
    alone = of_side[0][of_side[0]["alone"].astype(bool)]
    shared = {"x": _x(picture), "y": y, "color": _colour(picture)}
    layers = []
    if len(alone):
        sets[f"alone_{side}"] = _small(alone[["name", "tag", "x", "y"]])
        layers.append({"data": {"name": f"alone_{side}"}, "encoding": shared, "mark": {
            "type": "point", "filled": True, "size": 36, "opacity": 1, "clip": True}})
    if len(of_side[1]):
        sets[f"odd_{side}"] = _small(of_side[1].drop(columns="side"))
        layers.append({"data": {"name": f"odd_{side}"}, "encoding": shared, "mark": {
            "type": "point", "shape": "triangle-up", "filled": True, "size": 70, "opacity": 1,
            "clip": True}})
    if len(of_side[2]):
        sets[f"dots_{side}"] = _small(of_side[2].drop(columns="side"))
        layers.append({"data": {"name": f"dots_{side}"}, "encoding": shared,
                       "transform": [{"filter": {"param": "hover", "empty": False}}],
                       "mark": {"type": "point", "filled": True, "size": 50, "opacity": 1,
                                "clip": True}})
    return layers


def _marks(picture: Picture, sets: dict[str, pd.DataFrame]) -> list[dict]:
    """A rule a finding. The layer is there without any, too, so that marks which come later are
    new data to the browser and not another chart."""
    colours = run_colours(picture.names)
    sets["marks"] = pd.DataFrame({
        "x": picture.marks["x"].astype(np.float64),
        "colour": picture.marks["name"].map(colours).astype("str"),
        "words": picture.marks["words"].astype("str")})
    return [{"data": {"name": "marks"}, "mark": {
        "type": "rule", "strokeDash": [4, 3], "strokeWidth": 1.5, "clip": True},
        "encoding": {"x": _x(picture), "color": {
            "field": "colour", "type": "nominal", "scale": None}}}]


def _hover(picture: Picture, sets: dict[str, pd.DataFrame]) -> list[dict]:
    """A vertical rule at the place nearest to the pointer, with the value of each curve there."""
    if picture.pointer.empty:
        return []
    # The ends of the vertical axes come as data: as part of the specification, other ends would be
    # another chart to the browser, which drops the box that a person draws while points come.
    sets["pointer"] = picture.pointer.assign(**{
        f"{side}_{end}": value for side in picture.domains
        for end, value in zip(ENDS, picture.ends(side) or (), strict=False)})
    columns = [column for column in picture.pointer.columns if column.startswith("s")]
    tip = [{"field": "place", "type": "nominal", "title": picture.axis_title}]
    tip += [{"field": column, "type": "nominal",
             "title": f"● {shorten(picture.series[int(column[1:])], 40)}"} for column in columns]
    return [{"name": "hover", "data": {"name": "pointer"},
             "mark": {"type": "rule", "color": "#888888"},
             "encoding": {"x": _x(picture, "at"), "tooltip": tip, "opacity": {
                 "condition": {"param": "hover", "empty": False, "value": 0.7}, "value": 0}}}]


def _small(table: pd.DataFrame) -> pd.DataFrame:
    """As few bytes as a chart needs: 32 bits a value, names once."""
    small = {}
    for name, column in table.items():
        if column.dtype == object or column.dtype == "str":
            small[name] = column.astype("category")
        elif name in ("x", "at"):
            values = column.to_numpy(np.float64)
            whole = len(values) and (values == np.rint(values)).all() and (
                np.abs(values) < 2**31).all()
            small[name] = values.astype(np.int32) if whole else values
        elif column.dtype == np.float64:
            small[name] = _in_32_bits(column.to_numpy())
        else:
            small[name] = column.to_numpy()
    return pd.DataFrame(small).drop(columns=[c for c in ("low", "high", "raw", "alone")
                                             if c in small and _idle(table, c)])


def _in_32_bits(values: np.ndarray) -> np.ndarray:
    """As they are where 32 bits do not reach."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    fits = not len(sizes) or (sizes.max() < 3e38 and sizes.min() > 2e-38)
    return values.astype(np.float32) if fits else values


def _idle(table: pd.DataFrame, column: str) -> bool:
    """Whether a column of lines says nothing to the chart."""
    return column == "alone" or bool(table[column].isna().all())
