"""One chart on the page, and what a drag or a double click in it means."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st

from core.cache import shared_resource
from core.curves.charts import Chart, chart_of, picture_of
from core.curves.notes import OUTLYING
from core.curves.picture import Picture
from core.curves.points import Settings
from core.curves.together import Grouping
from core.findings.kinds import Finding
from core.places import path_of
from core.ui.boundary import boundary
from core.ui.curve_chart import ZOOM, chart
from core.ui.curve_colours import run_colours
from core.ui.curve_settings import vertical_of, whole, zoom_in, zoom_on
from core.ui.findings import marked
from core.ui.text import md_escape, shorten

SWITCH = 'outside the axis: see "Show outliers" in "More settings".'
MOST_NAMED = 8  # runs whose colours are told below a chart
CLICK = 0.005  # of the width: less is no drag
NARROW, FLAT = 0.03, 0.1  # of the width and of the height: less does not zoom where the other does


@shared_resource(entries=96)
def _drawn(logs_id: str, what: Chart, runs: tuple[str, ...], settings: Settings,
           grouping: Grouping | None, zooms: bool, marks: tuple[Finding, ...]
           ) -> tuple[dict, Picture]:
    found = picture_of(logs_id, what, runs, settings, grouping, marks)
    if found.pointer.empty and settings.stretch:  # its steps count something else, such as epochs
        found = picture_of(logs_id, what, runs, replace(settings, stretch=None), grouping, marks)
        note = "It has no point in the stretch zoomed on, so all of it is shown."
        found = replace(found, notes=(note, *found.notes))
    spec = chart(found, what.title, zooms)
    spec["datasets"] = {name: _sent(table) for name, table in spec["datasets"].items()}
    return spec, found


def _sent(table: pd.DataFrame) -> bytes:
    """As Streamlit sends it: made once a chart, which would take 5 ms a table on every run."""
    data, buffer = pa.Table.from_pandas(table), pa.BufferOutputStream()
    with pa.ipc.new_stream(buffer, data.schema) as stream:
        stream.write_table(data)
    return buffer.getvalue().to_pybytes()


def zooming(logs_id: str, what: Chart, runs: tuple[str, ...], settings: Settings,
            grouping: Grouping | None, marks: tuple[Finding, ...], place: str) -> None:
    """A chart that zooms; another stretch makes another chart, without a brush in it."""
    with boundary(what.title):
        own = replace(settings, vertical=None if what.right else
                      vertical_of(what.title, settings.log))
        marks = tuple(one for one in marks if one.tag in what.tags and one.run in runs)
        spec, found = _drawn(logs_id, what, runs, own, grouping, True, marks)
        if found.pointer.empty:
            _nothing(what.title, found)
            return
        drawn = f"{what.title}-{own.axis}-{own.stretch}-{own.vertical}"
        key = f"curve-{place}-{path_of(logs_id)}-{drawn}"
        st.vega_lite_chart(spec, key=key, width="stretch", selection_mode=ZOOM,
                           on_select=lambda: _zoomed(key, what.title, found))
        told = (note.replace(OUTLYING, SWITCH) for note in found.notes)
        st.caption(" ".join(map(md_escape_note, told)))


def _zoomed(key: str, title: str, found: Picture) -> None:
    """What the browser says of a drag or a double click, checked."""
    selection = st.session_state[key].selection
    if selection.get("reset"):
        whole()
        return
    brush = selection.get("brush") or {}
    along = _ends((selection.get("along") or brush).get("x"))
    upward = _ends(brush.get("y"))
    at = found.pointer["at"]
    wide = _share(along, (at.iat[0], at.iat[-1]), found.settings.log_x)
    high = _share(upward, _height(found), found.settings.log)
    if wide > CLICK and (wide > NARROW or high < FLAT):
        zoom_on(found.settings.axis, *along)
    if high >= FLAT and wide > 0:
        zoom_in(title, *upward)


def _ends(said: object) -> tuple[float, float] | None:
    """Both ends, ascending; None where there are none."""
    if not isinstance(said, list) or len(said) != 2 or not all(
            isinstance(end, int | float) for end in said):
        return None
    return (min(said), max(said)) if math.isfinite(sum(said)) else None


def _share(part: tuple[float, float] | None, of: tuple[float, float], log: bool) -> float:
    """How much of an axis that is, as it looks; 0 for nothing."""
    if part is None or (log and min(*part, *of) <= 0):
        return 0.0
    near, far = (np.log(ends) if log else np.asarray(ends) for ends in (part, of))
    return float((near[1] - near[0]) / (far[1] - far[0])) if far[1] > far[0] else 0.0


def _height(found: Picture) -> tuple[float, float]:
    """The ends of the left vertical axis as drawn."""
    side = min(found.domains)
    if known := found.ends(side):
        return tuple(known)
    drawn = found.lines.loc[found.lines["side"] == side, ["y", "raw", "low", "high"]]
    values = drawn.to_numpy(np.float64)
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)


def one_chart(logs_id: str, tag: str, runs: list[str], all_runs: list[str],
              settings: Settings) -> None:
    """One tag of those runs, without zoom, with whose colour is whose and what was left out of the
    drawing."""
    marks = tuple(one for one in marked(logs_id) if one.tag == tag and one.run in runs)
    spec, found = _drawn(logs_id, chart_of(tag), tuple(runs), settings, None, False, marks)
    if found.pointer.empty:
        _nothing(tag, found)
        return
    st.vega_lite_chart(spec, key=f"curve-{path_of(logs_id)}-{tag}", width="stretch")
    colours, named = run_colours(all_runs), found.series[:MOST_NAMED]
    said = [f':color[●]{{foreground="{colours[run]}"}}\u00a0{md_escape(shorten(run, 24))}'
            for run in named]
    more = ["…"] if len(found.series) > len(named) else []
    st.caption("  \n".join([" ".join([*said, *more]), " ".join(map(md_escape_note, found.notes))]))


def _nothing(title: str, found: Picture) -> None:
    st.caption(f"{md_escape(title)}: no point of these runs to draw. "
               + " ".join(map(md_escape_note, found.notes[1:])))


def md_escape_note(note: str) -> str:
    """A sentence about a chart."""
    return md_escape(note, longest=400)
