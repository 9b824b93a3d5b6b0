"""Charts in groups that open and close: those that the training program laid out, then one chart a
tag, by the tag's part before its first slash, or without one by what its name says."""

import math
import re
from collections.abc import Callable, Sequence

import streamlit as st

from core.curves.charts import Chart, chart_of
from core.logged.custom_scalars import layout
from core.places import path_of
from core.runs.filter import found
from core.training_curves import tags_and_runs
from core.ui.text import md_escape

FIRST_CHARTS = 4  # groups are open at first as far as they have so many in all, two rows: each
# chart takes a browser over 70 ms, and what is further down nobody sees yet
MOST_CHARTS = 12  # in one group, before a person asks for more

KINDS = {"loss": "loss", "accuracy": "acc"}  # groups of tags without a slash, by what they hold
Groups = dict[str, list[Chart]]  # by title


def groups(logs_id: str, words: str, draw: Callable[[Chart, str], None]) -> list[Chart]:
    """Draws the open groups of charts whose tags are found; gives what was drawn."""
    tags, note = found(words, tags_and_runs(logs_id)[0])
    if note:
        st.caption(md_escape(note, longest=400))
    if not tags:
        st.write("No tag matches. Remove a letter, or look for a part of the name.")
    laid = {f"{title} · as the training program laid it out": charts
            for title, charts in _laid_out(logs_id, tags).items()}
    drawn, before = [], 0
    for title, charts in [*laid.items(), *_by_prefix(tags).items()]:
        first = before == 0 or before + len(charts) <= FIRST_CHARTS
        before += len(charts)
        part = st.expander(f"{md_escape(title)} ({len(charts)})", expanded=first,
                           key=f"group-{path_of(logs_id)}-{title}", on_change="rerun")
        with part:
            if not part.open:  # its charts are drawn when they are looked at
                st.caption("…")
                continue
            place = f"laid-{title}" if title in laid else "alone"
            drawn += _group(logs_id, title, charts, lambda chart, at=place: draw(chart, at))
    return drawn


def _group(logs_id: str, title: str, charts: list[Chart], draw: Callable[[Chart], None]
           ) -> list[Chart]:
    """The charts of one group; and which were drawn."""
    pages = math.ceil(len(charts) / MOST_CHARTS)
    first = 0
    if pages > 1:
        first = MOST_CHARTS * (st.pagination(pages, key=f"page-{path_of(logs_id)}-{title}") - 1)
    members = charts[first:first + MOST_CHARTS]
    for chart, column in zip(members, _columns(len(members)), strict=True):
        with column:
            draw(chart)
    if pages > 1:
        st.caption(f"Charts {first + 1} to {first + len(members)} of {len(charts)}.")
    return members


def _columns(number: int) -> list:
    """Two a row; a single chart has all the width."""
    if number == 1:
        return [st.container()]
    rows = [st.columns(2) for _ in range(-(-number // 2))]
    return [column for row in rows for column in row][:number]


def _by_prefix(tags: Sequence[str]) -> Groups:
    by_name: dict[str, list[str]] = {}
    for tag in tags:
        by_name.setdefault(_group_of(tag), []).append(tag)
    ranked = sorted(by_name, key=_rank)
    return {name or "other tags": [chart_of(tag) for tag in by_name[name]] for name in ranked}


def _group_of(tag: str) -> str:
    """val_loss stands with the losses, as loss/val does; "" for a tag that says neither."""
    name, slash, _ = tag.partition("/")
    said = (group for group, word in KINDS.items() if word in tag.lower())
    return name if slash else next(said, "")


def _rank(group: str) -> tuple[int, str]:
    """Losses first, then accuracies, then the rest by name, tags without a group last."""
    words = ("loss", "train", "accuracy", "val", "")
    return next(i for i, word in enumerate(words) if word in group.lower()), group or "\uffff"


def _laid_out(logs_id: str, tags: Sequence[str]) -> Groups:
    """The layout's charts of these tags by their category; charts without any are left out."""
    known, result = set(tags), {}
    for laid in layout(logs_id):
        margins = tuple(margin for margin in laid.margins if known.issuperset(margin))
        lines = [tag for pattern in laid.tags for tag in _meant(pattern, tags)]
        shown = [tag for margin in margins for tag in margin] if margins else lines
        if shown:
            chart = Chart(laid.title or " · ".join(shown), tuple(dict.fromkeys(shown)),
                          margins=margins)
            result.setdefault(laid.category or "Charts", []).append(chart)
    return result


def _meant(pattern: str, tags: Sequence[str]) -> list[str]:
    """The tags that begin with a regular expression, which comes from a file: one that could take
    long is plain text."""
    matching, refused = found(pattern, tags)
    return matching if refused else [tag for tag in matching if re.match(pattern, tag)]
