"""What the curves show, as files: each is made when a person asks for it."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import streamlit as st

from core.curves.charts import Chart, picture_of
from core.curves.downloads import (
    as_json,
    file_name,
    long_csv,
    report,
    shown_points,
    wide_csv,
    zipped,
)
from core.curves.figure import Figure, figure
from core.curves.paper import png, svg
from core.curves.picture import Picture
from core.curves.points import Settings
from core.curves.together import Grouping
from core.findings.kinds import Finding
from core.runs.table import runs_of
from core.training_curves import tags_and_runs
from core.ui.curve_chart import chart
from core.ui.curve_colours import dashes, run_colours
from core.ui.curve_settings import vertical_of
from core.ui.findings import marked


def downloads(logs_id: str, shown: list[Chart], runs: tuple[str, ...], settings: Settings,
              grouping: Grouping | None) -> None:
    """The menu below the curves."""
    if not shown:
        return
    menu = st.popover("Download what is shown", icon=":material/download:", key="download",
                      on_change="rerun")
    if not menu.open:
        return
    with menu:
        _data(logs_id, shown, runs, settings)
        _charts(logs_id, shown, runs, settings, grouping)


def _data(logs_id: str, shown: list[Chart], runs: tuple[str, ...], settings: Settings) -> None:
    st.caption("Every point of the charts and runs shown, not only those drawn; zoomed, those of "
               "the stretch. Wide: a row a step; of points at the same step the last one.")
    tags = list(dict.fromkeys(tag for chart in shown for tag in chart.tags))
    table = partial(shown_points, logs_id, tags, runs, settings)
    kinds = {
        "CSV, a row a point": ("curves_long.csv", lambda: long_csv(table(), settings.axis)),
        "CSV, a column a curve": ("curves_wide.csv", lambda: wide_csv(table())),
        "JSON": ("curves.json", lambda: as_json(table(), settings)),
    }
    with st.container(horizontal=True):
        for title, (name, make) in kinds.items():
            st.download_button(title, make, name, key=f"get-{name}", on_click="ignore")


def _charts(logs_id: str, shown: list[Chart], runs: tuple[str, ...], settings: Settings,
            grouping: Grouping | None) -> None:
    names = [chart.title for chart in shown]
    place = st.selectbox("Chart", range(len(shown)), format_func=names.__getitem__,
                         key="download_chart")
    which, marks = shown[place], marked(logs_id)
    make = {chart: partial(_picture, logs_id, chart, runs, settings, grouping, marks)
            for chart in shown}
    with st.container(horizontal=True):
        for name, data in _pictures(which, make[which]).items():
            ending = name.partition(".")[2]
            st.download_button(KINDS[ending], data, name, key=f"get-chart-{ending}",
                               on_click="ignore")
    st.download_button("Everything as a zip", partial(_everything, logs_id, make, runs, settings),
                       "training_curves.zip", key="get-zip", on_click="ignore", type="primary")
    st.caption("The zip holds the data, the table of runs, how the logs were read, and each chart "
               "that is shown as SVG, PNG and Vega-Lite.")


KINDS = {"svg": "SVG", "png": "PNG", "vl.json": "Vega-Lite"}


def _picture(logs_id: str, chart: Chart, runs: tuple[str, ...], settings: Settings,
             grouping: Grouping | None, marks: tuple[Finding, ...]) -> Picture:
    own = replace(settings, vertical=None if chart.right else
                  vertical_of(chart.title, settings.log))
    return picture_of(logs_id, chart, runs, own, grouping, marks)


def _pictures(of: Chart, make: Callable[[], Picture]) -> dict[str, Callable[[], str | bytes]]:
    """The files of one chart by name."""
    title = of.title
    stem = file_name(title.replace("/", "_").replace(".", "_"), "")
    return {f"{stem}.svg": lambda: svg(_figure(make(), title)),
            f"{stem}.png": lambda: png(_figure(make(), title)),
            f"{stem}.vl.json": lambda: vega_lite(make(), title)}


def _figure(found: Picture, title: str) -> Figure:
    return figure(found, title, run_colours(found.names), dashes(found.tags))


def vega_lite(found: Picture, title: str) -> str:
    """The chart with its data in it: it opens in any Vega-Lite editor."""
    spec = chart(found, title)
    sets = {name: json.loads(table.to_json(orient="records"))
            for name, table in spec["datasets"].items()}
    own = {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "width": 640}
    return json.dumps(own | spec | {"datasets": sets}, ensure_ascii=False)


def _everything(logs_id: str, make: dict[Chart, Callable[[], Picture]],
                runs: tuple[str, ...], settings: Settings) -> bytes:
    tags = list(dict.fromkeys(tag for chart in make for tag in chart.tags))
    table = shown_points(logs_id, tags, runs, settings)
    every = tuple(tags_and_runs(logs_id)[0])
    files: dict[str, Callable[[], str | bytes]] = {
        "curves_long.csv": lambda: long_csv(table, settings.axis),
        "curves_wide.csv": lambda: wide_csv(table),
        "curves.json": lambda: as_json(table, settings),
        "runs.csv": lambda: runs_of(logs_id, every).to_csv(index=False),
        "how_the_logs_were_read.txt": lambda: report(logs_id),
    }
    for of, found in make.items():
        files |= _pictures(of, found)
    return zipped(files)
