"""The runs: which are drawn, pinned or grouped; and the table that compares them."""

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from core.curves.together import BANDS, Grouping
from core.places import path_of
from core.runs.filter import found
from core.runs.table import OWN, first_metrics, runs_of, settings_of
from core.training_curves import tags_and_runs
from core.ui.curve_colours import run_colours
from core.ui.curve_settings import told_active
from core.ui.text import duration, md_escape, shorten

RUNS = "run"  # in the address, once a run
TICKED = "_runs_ticked"  # how often runs were ticked from elsewhere on the page
LAST = "_last_ticked"  # by place, which outlives a visit to another page
ROW, MOST_ROWS = 35, 12
LONGEST = 17  # letters of a run's name in the list, whose column is narrow
TOLD = 8  # runs whose colours are told where the list stands below the charts
NARROW = Path(__file__).with_name("curves.css")  # how the page stands in a narrow window
WHOLE = 1e15  # below it every digit of a whole number is known
GREY = "#888888"
STAR = "M12 3l2.7 6 6.3.6-4.8 4.2 1.4 6.2-5.6-3.3L6.4 20l1.4-6.2L3 9.6 9.3 9z"
NUMBER = st.column_config.NumberColumn(format="%.6g")
DOT = st.column_config.TextColumn("", width=24)


def run_choice(logs_id: str) -> tuple[list[str], Grouping | None]:
    """The runs that are drawn: those ticked and pinned, which the address names, all at first; and
    by what they are drawn as one."""
    runs = tags_and_runs(logs_id)[1]
    if len(runs) < 2:
        return runs, None
    words = st.text_input(
        "Find runs", key="find_runs", bind="query-params", label_visibility="collapsed",
        placeholder="Find runs: cnn|vit")
    with st.popover(told_active("Pin or group", ("pin", "by")), key="more_runs", width="stretch"):
        pinned = st.multiselect(
            "Pinned", runs, key="pin", bind="query-params", placeholder="none",
            help="Always drawn and on top, whatever is ticked or found.")
        grouping = _group_choice(logs_id)
    matching, note = found(words, runs)
    if note:
        st.caption(md_escape(note, longest=400))
    listed = pinned + [run for run in matching if run not in pinned]
    if not listed:
        st.write("No run matches, so all are drawn. Remove a letter.")
        return runs, grouping
    ticked = _ticked(logs_id, listed, pinned, words, grouping is None)
    drawn = pinned + [run for run in ticked if run not in pinned] if ticked else listed
    st.caption(_choice_told(len(drawn), len(runs), bool(ticked), grouping))
    return [run for run in runs if run in drawn], grouping


def _in_short(names: Sequence[str]) -> list[str]:
    """Long names cut in the middle; where that would make two alike, at the word from which
    they differ; whole where that helps as little."""
    short = [shorten(name, LONGEST) for name in names]
    for cut in {cut for cut in short if short.count(cut) > 1}:
        alike = [place for place, other in enumerate(short) if other == cut]
        whole = [names[place] for place in alike]
        ends = [shorten(f"…{name[_shared(whole):]}", LONGEST) for name in whole]
        apart = len({*ends, *short}) == len(ends) + len(set(short))
        for place, said in zip(alike, ends if apart else whole, strict=True):
            short[place] = said
    return short


def _shared(names: Sequence[str]) -> int:
    """How many letters the names begin with alike, in whole words."""
    first, last = min(names), max(names)
    differ = [one != other for one, other in zip(first, last, strict=False)]
    alike = differ.index(True) if True in differ else len(differ)
    return len(re.sub(r"[^/_ -]*$", "", first[:alike]))


def colours_told(every: Sequence[str], runs: Sequence[str], grouping: Grouping | None) -> None:
    """Whose colour is whose, above the charts; only a narrow window shows it."""
    if len(every) < 2 or grouping:
        return
    colours = run_colours(every)
    said = [f':color[●]{{foreground="{colours[run]}"}}\u00a0{md_escape(name)}'
            for run, name in zip(runs[:TOLD], _in_short(runs[:TOLD]), strict=True)]
    more = f" and {len(runs) - TOLD} more" if len(runs) > TOLD else ""
    with st.container(key="run-colours"):
        st.caption(" ".join(said) + more)


def _choice_told(drawn: int, runs: int, ticked: bool, grouping: Grouping | None) -> str:
    how = f", grouped by {md_escape(grouping.by)}" if grouping else ""
    tick_them = ("Untick all to draw all." if ticked else
                 "Tick runs to draw only those; click a name to draw it alone.")
    return f"{drawn} of {runs} runs drawn{how}. {tick_them}"


def _ticked(logs_id: str, listed: list[str], pinned: list[str], words: str,
            coloured: bool) -> list[str]:
    """The listed runs that are ticked."""
    all_runs = tags_and_runs(logs_id)[1]
    colours = run_colours(all_runs)
    settings, differing = settings_of(logs_id, tuple(all_runs))
    table = settings.iloc[:, :differing].reindex(listed)
    table = table.rename(columns={name: f"setting {name}" for name in OWN}).reset_index()
    table["run"] = _in_short(listed)
    table.insert(0, "colour", [_picture(colours[run] if coloured else GREY, run in pinned)
                               for run in listed])
    numbers = dict.fromkeys(table.select_dtypes("number").columns, NUMBER)
    key = f"runs-{path_of(logs_id)}-{words}-{pinned}-{st.session_state.get(TICKED, 0)}"
    last = st.session_state.setdefault(LAST, {})
    if key not in st.session_state and RUNS not in st.query_params:  # as after another page
        st.query_params[RUNS] = last.get(path_of(logs_id), [])
    event = st.dataframe(
        table, hide_index=True, on_select=lambda: _alone(key, listed),
        selection_mode=["multi-row", "single-cell"], key=key,
        selection_default={"selection": {"rows": _asked_for(listed)}}, placeholder="",
        height=38 + ROW * min(MOST_ROWS, max(1, len(listed))),
        column_config={"colour": st.column_config.ImageColumn("", width=24), **numbers})
    ticked = [listed[row] for row in event.selection.rows if row < len(listed)]
    hidden = [run for run in st.query_params.get_all(RUNS) if run in all_runs and run not in listed]
    last[path_of(logs_id)] = hidden + ticked
    if ticked or hidden:  # what the search leaves out stays ticked
        st.query_params[RUNS] = hidden + ticked
    else:
        st.query_params.pop(RUNS, None)
    return ticked


def _alone(key: str, listed: list[str]) -> None:
    """A click on a name draws that run alone; the list that is made anew has it ticked. The first
    cell, of the colours, is chosen by whatever brings the keyboard to the list."""
    for row, column in st.session_state[key].selection.cells:
        if column == "run" and row < len(listed):
            tick([listed[row]])


def _picture(colour: str, pinned: bool) -> str:
    """A dot, for a pinned run a star. A picture, as a coloured letter would make Streamlit write
    out every cell of the table again on each run of the page."""
    shape = (f'<path d="{STAR}" fill="{colour}"/>' if pinned else
             f'<circle cx="12" cy="12" r="4" fill="{colour}"/>')
    return "data:image/svg+xml," + quote(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24">{shape}</svg>')


def _styled(table: pd.DataFrame, colours: Sequence[str]) -> Styler:
    """A dot a run in its colour; numbers as short as they are, nothing where nothing is stated."""
    numbers = table.select_dtypes("number").columns
    return table.style.apply(lambda marks: [f"color: {colour}" for colour in colours],
                             subset="colour").format(_short, subset=numbers).format(
        lambda word: "" if pd.isna(word) else word, subset=table.columns.difference(numbers))


def _short(number: float) -> str:
    if pd.isna(number):
        return ""
    return f"{number:.0f}" if number % 1 == 0 and abs(number) < WHOLE else f"{number:.6g}"


def tick(runs: Sequence[str]) -> None:
    """Ticks these runs, from elsewhere on the page; the next run of the page draws them."""
    st.query_params[RUNS] = list(runs)
    st.session_state[TICKED] = st.session_state.get(TICKED, 0) + 1


def _asked_for(runs: Sequence[str]) -> list[int]:
    """The rows of the runs that the address names."""
    asked = set(st.query_params.get_all(RUNS))
    return [row for row, run in enumerate(runs) if run in asked]


def _group_choice(logs_id: str) -> Grouping | None:
    """By which hyperparameter runs are drawn as one; None for each by itself."""
    settings, differing = settings_of(logs_id, tuple(tags_and_runs(logs_id)[1]))
    names = list(settings.columns[:differing])
    if not names:
        return None
    by = st.selectbox(
        "Group runs by", names, index=None, placeholder="each run by itself", key="by",
        bind="query-params", help="The mean of the runs with the same value, and a band.")
    if by is None:
        return None
    band = st.selectbox("Band", list(BANDS), key="band", bind="query-params")
    return Grouping(by, band)


def runs_table(logs_id: str, runs: Sequence[str]) -> None:
    """The runs side by side: hyperparameters, and each metric's last and best."""
    tags = tags_and_runs(logs_id)[0]
    metrics = st.multiselect("Metrics", tags, first_metrics(tags), key="metrics",
                             bind="query-params")
    table = runs_of(logs_id, tuple(metrics))
    without = len(table) - table["points"].gt(0).sum()
    table = table[table["run"].isin(runs) | table["points"].eq(0)]
    colours = run_colours(tags_and_runs(logs_id)[1])
    shown = table.assign(duration=[duration(seconds) if seconds == seconds else None
                                   for seconds in table["duration"]])
    shown.insert(0, "colour", "●")
    st.dataframe(
        _styled(shown, [colours.get(run, GREY) for run in table["run"]]), hide_index=True,
        placeholder="",
        column_config={"colour": DOT, "run": st.column_config.TextColumn(pinned=True)})
    words = ("Hyperparameters that differ come first. Best is the lowest or the highest finite "
             "value, as the metric's name says; without such a word there is none.")
    st.caption(words + (f" {without} runs state hyperparameters and have no point." if without
                        else ""))
    st.download_button("Download as CSV", lambda: table.to_csv(index=False), "runs.csv",
                       key="get-runs", on_click="ignore")
