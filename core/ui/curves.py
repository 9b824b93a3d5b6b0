"""Training curves as charts: one a tag, in groups by prefix, or several tags in one."""

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.curves.charts import Chart, chart_of
from core.curves.points import Settings
from core.curves.together import Grouping
from core.training_curves import tags_and_runs
from core.ui.boundary import boundary
from core.ui.curve_downloads import downloads
from core.ui.curve_groups import groups
from core.ui.curve_settings import LESSER, curve_settings, told_active, zoom_again, zoom_line
from core.ui.curve_zoom import one_chart, zooming
from core.ui.findings import marked

__all__ = ["Settings", "charts_at_hand", "curves_view", "one_chart"]


@st.fragment
def curves_view(logs_id: str, runs: Sequence[str], grouping: Grouping | None = None) -> None:
    """All of the tab: controls, charts, downloads. A zoom draws only this again."""
    with boundary("The curves"):
        controls = st.container(key="curve-settings")
        with st.container(key="curve-tags"):
            words, together, more = _tags(logs_id)
        zoom_again(logs_id)
        with controls:
            settings = curve_settings(more)
        zoom_line(settings)
        runs, marks = tuple(runs), marked(logs_id)
        shown = [together] if together else []
        if together:
            zooming(logs_id, together, runs, settings, grouping, marks, "together")
        shown += groups(logs_id, words, lambda chart, place: zooming(
            logs_id, chart, runs, settings, grouping, marks, place))
        downloads(logs_id, shown, runs, settings, grouping)


def charts_at_hand() -> None:
    """Has the browser load what draws charts, 0.4 s, before a person chooses logs; nothing is
    seen."""
    with st.container(key="charts-at-hand"):
        st.vega_lite_chart({"data": {"values": []}, "mark": "point"})


def _tags(logs_id: str) -> tuple[str, Chart | None, DeltaGenerator]:
    """What tags are looked for, the chart of those that share one, and where lesser settings are
    out of sight."""
    tags = tags_and_runs(logs_id)[0]
    first, second, third = st.columns([3, 4, 3])
    words = first.text_input(
        "Find tags", key="find_tags", bind="query-params", label_visibility="collapsed",
        placeholder="Find tags: loss|acc")
    together = second.multiselect(
        "Compare tags", tags, key="compare", bind="query-params", label_visibility="collapsed",
        placeholder="Compare tags in one chart")
    more = third.popover(told_active("More settings", LESSER), key="more_settings", width="stretch")
    right = st.multiselect(
        "On the right axis", together, key="right", bind="query-params",
        placeholder="none", help="A second vertical axis, for tags of another size. Such a chart "
        "zooms along only.") if together else []
    return words, chart_of(*together, right=tuple(right)) if together else None, more
