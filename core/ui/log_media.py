"""Pictures, texts, sounds and precision-recall curves that training logged, at one step."""

from collections.abc import Callable, Iterable

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from core.errors import UserError
from core.images import encoded
from core.logged.media import Shown, media_series, not_shown, shown_at, steps_of
from core.logged.pr_curves import curve_at, curve_series, curve_steps
from core.places import path_of
from core.runs.filter import found
from core.ui import logged_text
from core.ui.histogram_charts import finished
from core.ui.log_histograms import run_colours
from core.ui.text import count, headings, md_escape, plural

AT_ONCE = 12  # pictures, texts or sounds
MOST_STOPS = 500  # of the slider
MOST_CURVES = 12  # runs in one chart, and charts
SMALL, LARGE = 240, 800  # pixels: smaller pictures are enlarged, larger ones made smaller
LONG_TEXT = 600  # characters, from which a text has a window of its own


def media(logs_id: str, runs: list[str]) -> None:
    """What these runs logged that is neither a number nor a histogram, at one step for all."""
    series, curves = media_series(logs_id), curve_series(logs_id)
    series, curves = series[series["run"].isin(runs)], curves[curves["run"].isin(runs)]
    if len(series) or len(curves):
        step = _step({*steps_of(logs_id), *curve_steps(logs_id)})
        tags = _tags([*curves["tag"], *series["tag"]])
        curves, series = curves[curves["tag"].isin(tags)], series[series["tag"].isin(tags)]
        _section(logs_id, "Precision and recall", curves, step, _curves)
        for title, what, draw in (("Pictures", "pictures", _cards), ("Texts", "texts", _texts),
                                  ("Sounds", "sounds", _cards)):
            _section(logs_id, title, series[series["what"] == what], step, draw)
    else:
        st.caption("These runs logged no pictures, texts, sounds or precision-recall curves.")
    _the_rest(logs_id, runs)


def _tags(logged: Iterable[str]) -> list[str]:
    """Those that a person looks for."""
    words = st.text_input(
        "Find tags", key="find_media", bind="query-params", placeholder="a part of the name",
        help="Or a regular expression, such as input|output.")
    names = list(dict.fromkeys(logged))
    tags, note = found(words, names)
    if note:
        st.caption(md_escape(note, longest=400))
    if not tags:
        st.caption(f"None of {plural(len(names), 'tag')} has that in its name.")
    return tags


def _step(logged: Iterable[int]) -> int:
    """The slider that all share."""
    steps = sorted(logged)
    stops = steps
    if len(steps) > MOST_STOPS:
        stops = [steps[place] for place in
                 np.linspace(0, len(steps) - 1, MOST_STOPS).round().astype(int)]
    if len(stops) == 1:
        st.caption(f"All of it was logged at step {count(stops[0])}.")
        return stops[0]
    before = st.session_state.get("media_step", stops[0])
    if before not in stops:  # the logs grew
        st.session_state["media_step"] = min(stops, key=lambda stop: abs(stop - before))
    chosen = st.select_slider("Step", stops, value=stops[-1], key="media_step",
                              bind="query-params", format_func=lambda step: f"{step:,}")
    thinned = f" The slider stops at {count(len(stops))} of {plural(len(steps), 'step')}." \
        if len(stops) < len(steps) else ""
    st.caption(f"Each shows what was logged last at or before this step, and when.{thinned}")
    return chosen


def _section(logs_id: str, title: str, table: pd.DataFrame, step: int,
             draw: Callable[[str, pd.DataFrame, int, str], None]) -> None:
    if len(table):
        st.markdown(f"#### {title}")
        draw(logs_id, table, step, title)


def _texts(logs_id: str, table: pd.DataFrame, step: int, title: str) -> None:
    logged_text.choice()
    _cards(logs_id, table, step, title)


def _cards(logs_id: str, table: pd.DataFrame, step: int, title: str) -> None:
    """One card a tag and run, so many at once; of several runs, a row a tag to compare them."""
    pages = -(-len(table) // AT_ONCE)
    page = 1
    if pages > 1:
        page = min(pages, st.pagination(pages, key=f"media_page_{title}", bind="query-params"))
    shown = table.iloc[(page - 1) * AT_ONCE:page * AT_ONCE]
    if pages > 1:
        st.caption(f"{count(len(shown))} of {count(len(table))} shown.")
    parts = [part for _, part in shown.groupby("tag", sort=False)]
    for part in parts if table["run"].nunique() > 1 else [shown]:
        columns = [column for _ in range(-(-len(part) // 3)) for column in st.columns(3)]
        for row, column in zip(part.to_dict("records"), columns, strict=False):
            with column:
                _card(row, shown_at(logs_id, row["run"], row["tag"], step))


def _card(row: dict, shown: Shown | None) -> None:
    name = f"{md_escape(row['tag'], 60)} · **{md_escape(row['run'], 60)}**"
    if shown is None:
        st.caption(f"{name} · nothing yet; first at step {count(row['first'])}")
        return
    if shown.pictures:
        st.image([_picture(pixels) for pixels in shown.pictures])
    for content, kind in shown.plays:
        _player(content, kind, row)
    for text in shown.words:
        with st.container(height=220 if len(text) > LONG_TEXT else "content", border=False):
            logged_text.draw(text)
    for fault in shown.faults:
        st.caption(md_escape(fault, 300))
    st.caption(f"{name} · step {count(shown.step)}, {plural(row['logged'], 'step')} logged")


def _picture(pixels: np.ndarray) -> bytes:
    side = max(pixels.shape[:2])
    return encoded(pixels, side * max(1, SMALL // side) if side < SMALL else min(side, LARGE))


def _player(content: bytes, kind: str, row: dict) -> None:
    if kind.startswith("image/"):
        if st.toggle("Play", key=f"play-{row['run']}-{row['tag']}"):
            st.image(content)
    elif kind.startswith("video/"):
        st.video(content, kind)
    else:
        st.audio(content, kind)


def _curves(logs_id: str, table: pd.DataFrame, step: int, title: str) -> None:
    """One chart a tag, a line a run; whose colour is whose stands below it."""
    tags = list(dict.fromkeys(table["tag"]))
    columns = [column for _ in range(-(-len(tags) // 2)) for column in st.columns(2)]
    for tag, column in zip(tags[:MOST_CURVES], columns, strict=False):
        with column:
            _curve_chart(logs_id, tag, list(table.loc[table["tag"] == tag, "run"]), step)
    if len(tags) > MOST_CURVES:
        st.caption(f"{MOST_CURVES} of {count(len(tags))} tags shown. Find others by their names.")


def _curve_chart(logs_id: str, tag: str, runs: list[str], step: int) -> None:
    parts, said, colours = [], [], run_colours(logs_id, runs)
    for run in runs[:MOST_CURVES]:
        name = f':color[●]{{foreground="{colours[run]}"}}\u00a0**{md_escape(run, 60)}**'
        try:
            curve = curve_at(logs_id, run, tag, step)
        except UserError as error:
            said.append(md_escape(error, 300))
            continue
        if curve is not None:
            parts.append(curve.assign(run=run))
            said.append(f"{name} step {count(curve['step'].iat[0])}")
        else:
            said.append(f"{name} nothing yet")
    if parts:
        chart = _curve(pd.concat(parts), colours)
        st.altair_chart(finished(chart, tag, 360), key=f"precision-{path_of(logs_id)}-{tag}")
    if len(runs) > MOST_CURVES:
        said.append(f"{MOST_CURVES} of {count(len(runs))} runs shown")
    st.caption(" · ".join(said))


def _curve(table: pd.DataFrame, colours: dict[str, str]) -> alt.LayerChart:
    whole, shown = alt.Scale(domain=[0, 1.02], nice=False), set(table["run"])
    base = alt.Chart(table).encode(
        x=alt.X("recall:Q", scale=whole), y=alt.Y("precision:Q", scale=whole),
        order="threshold:Q", tooltip=[
            alt.Tooltip("run:N"), alt.Tooltip("threshold:Q", format=".3f"),
            alt.Tooltip("precision:Q", format=".4f"), alt.Tooltip("recall:Q", format=".4f"),
            *(alt.Tooltip(f"{kind}_{answer}:Q", title=f"{kind} {answer}", format=",")
              for kind in ("true", "false") for answer in ("positives", "negatives"))],
        color=alt.Color("run:N", legend=None, scale=alt.Scale(  # the line below tells whose it is
            domain=[run for run in colours if run in shown],
            range=[colour for run, colour in colours.items() if run in shown])))
    near = alt.selection_point(name="near", nearest=True, on="pointermove", empty=False,
                               clear="pointerout")
    points = base.mark_point(filled=True).encode(
        size=alt.condition(near, alt.value(90), alt.value(30))).add_params(near)
    return alt.layer(base.mark_line(strokeWidth=2), points)


def _the_rest(logs_id: str, runs: list[str]) -> None:
    """What is named only."""
    table = not_shown(logs_id)
    table = table[table["run"].isin(runs) | (table["kind"] == "projector")]
    if table.empty:
        return
    with st.expander(f"Also in these logs: {plural(len(table), 'thing')} not drawn here"):
        st.dataframe(table.rename(columns=headings(table)), hide_index=True)
