"""Training curves as charts: one a tag, in groups by prefix, or several tags in one."""

import math
from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from core.cache import shared_resource
from core.curves.picture import Grouping, Picture, picture
from core.curves.points import Settings
from core.library import path_of
from core.runs.filter import found
from core.training_curves import tags_and_runs
from core.ui.boundary import boundary
from core.ui.curve_chart import ZOOM, chart
from core.ui.curve_downloads import downloads
from core.ui.curve_settings import curve_settings, whole, zoom_line, zoom_on
from core.ui.text import md_escape

OPEN_GROUPS = 2
MOST_CHARTS = 24  # in one group, before a person asks for more
DRAG = 0.005  # of the width: less is a click


@st.fragment
def curves_view(logs_id: str, runs: Sequence[str], grouping: Grouping | None = None) -> None:
    """All of the tab: controls, charts, downloads. A zoom draws only this again."""
    with boundary("The curves"):
        settings = curve_settings()
        words, together, right = _tags(logs_id)
        zoom_line(settings)
        runs = tuple(runs)
        shown = [together] if together else []
        if together:
            _zooming(logs_id, together, runs, settings, right, grouping, "together")
        shown += _groups(logs_id, words, runs, settings, grouping)
        downloads(logs_id, shown, right, runs, settings, grouping)


def _tags(logs_id: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """What tags are looked for, those that share a chart, and those of them with an axis of their
    own on the right."""
    tags = tags_and_runs(logs_id)[0]
    first, second, third = st.columns([3, 4, 4])
    words = first.text_input(
        "Find tags", key="find_tags", bind="query-params", placeholder="a part of the name",
        help="Or a regular expression, such as loss|acc.")
    together = second.multiselect(
        "Compare tags", tags, key="compare", bind="query-params",
        placeholder="several in one chart", help="A colour for each run, a dash for each tag.")
    right = third.multiselect(
        "On the right axis", together, key="right", bind="query-params",
        placeholder="none", help="A second vertical axis, for tags of another size."
    ) if together else []
    return words, tuple(together), tuple(right)


def _groups(logs_id: str, words: str, runs: tuple[str, ...], settings: Settings,
            grouping: Grouping | None) -> list[tuple[str, ...]]:
    """One chart a tag, two a row, grouped by the tag's part before its first slash; those drawn."""
    tags, note = found(words, tags_and_runs(logs_id)[0])
    if note:
        st.caption(md_escape(note, longest=400))
    if not tags:
        st.write("No tag matches. Remove a letter, or look for a part of the name.")
    groups: dict[str, list[str]] = {}
    for tag in tags:
        groups.setdefault(tag.partition("/")[0] if "/" in tag else "", []).append(tag)
    drawn = []
    ranked = sorted(groups, key=lambda group: _rank(group, groups[group]))
    for number, group in enumerate(ranked):
        part = st.expander(
            md_escape(group or "other tags") + f" ({len(groups[group])})",
            expanded=number < OPEN_GROUPS, key=f"group-{path_of(logs_id)}-{group}",
            on_change="rerun")
        with part:
            if not part.open:  # its charts are drawn when they are looked at
                st.caption("…")
                continue
            drawn += _group(logs_id, group, groups[group], runs, settings, grouping)
    return drawn


def _group(logs_id: str, group: str, tags: list[str], runs: tuple[str, ...], settings: Settings,
           grouping: Grouping | None) -> list[tuple[str, ...]]:
    """The charts of one group, and which were drawn."""
    pages = math.ceil(len(tags) / MOST_CHARTS)
    first = 0
    if pages > 1:
        first = MOST_CHARTS * (st.pagination(pages, key=f"page-{path_of(logs_id)}-{group}") - 1)
    members = tags[first:first + MOST_CHARTS]
    for tag, column in zip(members, _columns(len(members)), strict=True):
        with column:
            _zooming(logs_id, (tag,), runs, settings, (), grouping)
    if pages > 1:
        st.caption(f"Tags {first + 1} to {first + len(members)} of {len(tags)}.")
    return [(tag,) for tag in members]


def _rank(group: str, tags: Sequence[str]) -> tuple[int, str]:
    """Losses first, then accuracies, then the rest by name."""
    first, words = ("loss", "train", "accuracy", "val"), (group or " ".join(tags)).lower()
    return next((i for i, word in enumerate(first) if word in words), len(first)), group


def _columns(number: int) -> list:
    rows = [st.columns(2) for _ in range(-(-number // 2))]
    return [column for row in rows for column in row][:number]


def title_of(tags: Sequence[str]) -> str:
    """What stands above a chart."""
    return " · ".join(tags)


@shared_resource(entries=96)
def _drawn(logs_id: str, tags: tuple[str, ...], runs: tuple[str, ...], settings: Settings,
           right: tuple[str, ...], grouping: Grouping | None, zooms: bool) -> tuple[dict, Picture]:
    found = picture(logs_id, tags, runs, settings, right, grouping)
    if found.pointer.empty and settings.stretch:  # its steps count something else, such as epochs
        found = picture(logs_id, tags, runs, replace(settings, stretch=None), right, grouping)
        note = "It has no point in the stretch zoomed on, so all of it is shown."
        found = replace(found, notes=(note, *found.notes))
    return chart(found, title_of(tags), zooms), found


def _zooming(logs_id: str, tags: tuple[str, ...], runs: tuple[str, ...], settings: Settings,
             right: tuple[str, ...], grouping: Grouping | None, place: str = "alone") -> None:
    """A chart that zooms; another stretch makes another chart, without a brush in it."""
    with boundary(title_of(tags)):
        spec, found = _drawn(logs_id, tags, runs, settings, right, grouping, True)
        if found.pointer.empty:
            _nothing(found)
            return
        drawn = f"{title_of(tags)}-{settings.axis}-{settings.stretch}"
        key = f"curve-{place}-{path_of(logs_id)}-{drawn}"
        st.vega_lite_chart(spec, key=key, width="stretch", selection_mode=ZOOM,
                           on_select=lambda: _zoomed(key, found))
        st.caption(" ".join(map(md_escape_note, found.notes)))


def _zoomed(key: str, found: Picture) -> None:
    """What the browser says of a drag or a double click, checked."""
    selection = st.session_state[key].selection
    if selection.get("reset"):
        whole()
        return
    ends = (selection.get("brush") or {}).get("x") or []
    sound = isinstance(ends, list) and len(ends) == 2 and all(
        isinstance(end, int | float) for end in ends)
    span = found.pointer["at"].iat[-1] - found.pointer["at"].iat[0]
    if sound and math.isfinite(sum(ends)) and abs(ends[1] - ends[0]) > DRAG * span:
        zoom_on(found.settings.axis, min(ends), max(ends))


def one_chart(logs_id: str, tag: str, runs: list[str], all_runs: list[str],
              settings: Settings) -> None:
    """One tag of those runs, without zoom, with what was left out of the drawing."""
    spec, found = _drawn(logs_id, (tag,), tuple(runs), settings, (), None, False)
    if found.pointer.empty:
        _nothing(found)
        return
    st.vega_lite_chart(spec, key=f"curve-{path_of(logs_id)}-{tag}", width="stretch")
    st.caption(" ".join(map(md_escape_note, found.notes)))


def _nothing(found: Picture) -> None:
    st.caption(f"{md_escape(title_of(found.tags))}: no point of these runs to draw. "
               + " ".join(map(md_escape_note, found.notes[1:])))


def md_escape_note(note: str) -> str:
    """A sentence about a chart."""
    return md_escape(note, longest=400)
