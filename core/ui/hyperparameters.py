"""Hyperparameters of runs: parallel axes that filter them, a scatter, what mattered, a table."""

import pandas as pd
import streamlit as st

from core.places import path_of
from core.runs.groups import stated_as
from core.runs.hyperparameters import (
    constants,
    default_metrics,
    of_kind,
    of_one_run,
    run_table,
    varying,
)
from core.runs.parallel_axes import Axis, axis, brushes_of, kept
from core.training_curves import tags_and_runs
from core.ui.components.parallel import parallel
from core.ui.curve_colours import run_colours
from core.ui.run_relations import Metric, label_of, relations
from core.ui.text import md_escape, plural

VIEW = "parallel"  # in the address: what was moved, brushed and coloured, as JSON
MOST_AXES = 10  # hyperparameters at first
HOW_TO_LOG = """from torch.utils.tensorboard import SummaryWriter
SummaryWriter("runs/lr-0.1").add_hparams({"lr": 0.1, "batch_size": 32}, {"accuracy/val": 0.93})"""


def hyperparameters(logs_id: str, runs: list[str]) -> list[str] | None:
    """Draws all about the hyperparameters of those runs; gives the runs that the brushes keep, None
    where nothing is brushed."""
    table = run_table(logs_id)
    stated = of_kind(table, "hyperparameter")
    if not len(stated.columns):
        st.write(
            "These logs state no hyperparameters, so there is nothing to compare runs by. "
            "Two lines log them, once a run:"
        )
        st.code(HOW_TO_LOG, language="python", wrap_lines=True)
        return None
    table = table.loc[[run for run in runs if run in table.index]]
    stated = of_kind(table, "hyperparameter")
    _folded(stated)
    if len(table) < 2:
        st.caption("With a second run its hyperparameters are compared here.")
        return None
    different = [str(name) for name in varying(stated)]
    if not different:
        st.caption("No hyperparameter differs between these runs, so there is nothing to compare.")
        return None
    names, metrics = _choice(table, different, _is_new(str(path_of(logs_id))))
    brushed = _parallel(logs_id, table, names, metrics)
    shown = table if brushed is None else table.loc[brushed]
    relations(logs_id, shown, different, metrics)
    return brushed


def _folded(stated: pd.DataFrame) -> None:
    """What is the same everywhere, in one line, and what a single run states, in another."""
    said = [f"{name} {stated_as(value)}" for name, value in constants(stated).items()]
    silent = int(stated.isna().all(axis=1).sum())
    words = "Its hyperparameters" if len(stated) == 1 else "The same in all of them"
    if silent:
        words = "The same wherever they are stated"
    if said:
        st.markdown(f"{words}: {md_escape(', '.join(said), longest=600)}")
    alone = [f"{name} {stated_as(stated.loc[run, name])} ({run})"
             for name, run in of_one_run(stated).items()]
    if alone:
        st.caption(f"Stated by one run only: {md_escape(', '.join(alone), longest=600)}")
    if silent:
        st.caption(f"{plural(silent, 'run')} of {len(stated)} without any hyperparameter.")


def _choice(
    table: pd.DataFrame, names: list[str], anew: bool
) -> tuple[list[str], list[Metric]]:
    """Some of the names, and metrics; anew: what was chosen of other logs is forgotten."""
    reached = [(kind, str(tag)) for kind in ("best", "last") for tag in of_kind(table, kind)]
    known = {label_of(metric): metric for metric in reached}
    left, right = st.columns(2)
    with left:
        chosen = _several("Hyperparameters", names, names[:MOST_AXES], "hyperparameters", anew)
    with right:
        first = [label_of(metric) for metric in default_metrics(table)]
        metrics = _several("Metrics", list(known), first, "parallel_metrics", anew)
    return chosen, [known[metric] for metric in metrics]


def _several(title: str, options: list[str], first: list[str], key: str, anew: bool) -> list[str]:
    before = st.session_state.get(key, first)
    there = [name for name in before if name in options]
    if key not in st.session_state or (there == list(before) and not anew):
        return st.multiselect(title, options, first, key=key, bind="query-params")
    st.session_state[key] = first if anew else there
    return st.multiselect(title, options, key=key, bind="query-params")


def _axes(table: pd.DataFrame, names: list[str], metrics: list[Metric]) -> list[Axis]:
    drawn = [axis(name, table["hyperparameter", name]) for name in names]
    return drawn + [
        axis(label_of(metric), table[metric], table["points", metric[1]])
        for metric in metrics
        if label_of(metric) not in names
    ]


def _parallel(
    logs_id: str, table: pd.DataFrame, names: list[str], metrics: list[Metric]
) -> list[str] | None:
    axes = _axes(table, names, metrics)
    if not axes:
        st.caption("Choose at least one hyperparameter or metric.")
        return None
    place = path_of(logs_id)
    colours = run_colours(tags_and_runs(logs_id)[1])
    view = parallel(
        axes,
        list(table.index),
        [colours.get(run, "#999999") for run in table.index],
        label_of(metrics[0]) if metrics else "",
        _view_of(str(place)),
        key=f"{VIEW}-{place}",
    )
    _remember(str(place), view)
    brushes = {name: brush for name, brush in brushes_of(view).items()
               if name in {drawn.name for drawn in axes}}
    rows = kept(axes, brushes)
    st.caption(
        "A line is a run. Drag along an axis to keep only the runs that pass there, on as many "
        "axes as you like; a double click removes a brush. Drag a title to move its axis, click "
        "it for its scale. Neighbouring axes show their relation best, distant ones hide it."
    )
    if not rows.any():
        st.caption("No run passes all the brushes.")
    return list(table.index[rows]) if brushes else None


def _view_of(place: str) -> str:
    """What the address asks for, unless it was of other logs; else what was seen last."""
    views = st.session_state.setdefault("_parallel_views", {})  # by place; outlives the page
    return ("" if _is_new(place) else st.query_params.get(VIEW)) or views.get(place, "")


def _is_new(place: str) -> bool:
    """Whether what is chosen was chosen for other logs."""
    return st.session_state.get("_parallel_of", place) != place


def _remember(place: str, view: str) -> None:
    st.session_state["_parallel_of"] = place
    st.session_state["_parallel_views"][place] = view
    if view:
        st.query_params[VIEW] = view
    else:
        st.query_params.pop(VIEW, None)
