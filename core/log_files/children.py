"""Runs that are part of another run: what add_scalars and add_hparams write into folders of their
own, and logs saved beside each checkpoint."""

import re
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.log_files.oddities import counted
from core.log_files.search import Run
from core.log_formats import Format, Logs

TIMESTAMP = re.compile(r"\d{9,11}\.\d+")  # as add_hparams names a folder
MOST_POINTS = 200_000  # of a snapshot that is compared with others


@dataclass(frozen=True)
class Child:
    """A run in a folder below its parent's. place: that folder, seen from the parent's."""

    run: Run
    parent: Run
    place: str


def without_children(runs: tuple[Run, ...], read: dict[str, Logs],
                     formats: dict[str, Format]) -> tuple[dict[str, Logs], list[str]]:
    """The logs by run, those of children under their parent's name; and what was done."""
    read, notes = _without_snapshots(runs, read, formats)
    children = _children([run for run in runs if run.name in read
                          and not formats[run.format].alone])
    folded: dict[tuple[str, str], list[str]] = defaultdict(list)
    trials = [child.parent.name for child in children if _is_trial(child, read)]
    for child in children:
        name, parent = child.run.name, child.parent.name
        if tag := _scalars_tag(child, read[name].table):
            read[name] = _as_part_of(parent, read[name], {tag: f"{tag}/{child.place[len(tag)+1:]}"})
            folded["add_scalars", parent].append(name)
        elif _is_trial(child, read) and trials.count(parent) == 1:
            taken = set(read[parent].table["tag"].cat.categories)
            own = read[name].table["tag"].cat.categories
            tags = {tag: f"hparams/{tag}" for tag in own if tag in taken}
            read[name] = _as_part_of(parent, read[name], tags)
            folded["add_hparams", parent].append(name)
    return read, notes + [f"{parent}: {counted(len(names), 'folder')} that {writer} wrote below it "
                          f"{'is' if len(names) == 1 else 'are'} part of it: {_some(names)}."
                          for (writer, parent), names in folded.items()]


def _children(runs: list[Run]) -> list[Child]:
    by_folder: dict[tuple[str, ...], Run] = {}  # by its parts
    for run in runs:
        by_folder.setdefault(run.files[0].parts[:-1], run)
    above = {folder[:-1]: None for folder in by_folder}  # many runs lie side by side
    for place in above:
        higher = (place[:parts] for parts in range(len(place), -1, -1))
        above[place] = next((own for own in higher if own in by_folder), None)
    return [Child(run, by_folder[own], "/".join(folder[len(own):]))
            for folder, run in by_folder.items() if (own := above[folder[:-1]]) is not None]


def _scalars_tag(child: Child, table: pd.DataFrame) -> str:
    """The main tag of add_scalars: its folder is main_key with torch, main/key with tensorboardX,
    and that tag is all there is in it. "" for any other run."""
    tags = table["tag"].cat.categories
    if len(tags) != 1 or table.empty:
        return ""
    main, place = (re.sub(r"[^-\w.]", "_", name) for name in (tags[0], child.place))
    return tags[0] if len(place) > len(main) + 1 and place.startswith(f"{main}_") else ""


def _is_trial(child: Child, read: dict[str, Logs]) -> bool:
    """Whether it is what add_hparams writes of a run that has no hyperparameters itself: in a
    folder named by the time, or by the person, with one point of each metric."""
    own = read[child.run.name]
    if not own.hyperparameters or read[child.parent.name].hyperparameters:
        return False
    once = not own.table.empty and not own.table.duplicated("tag").any()
    return once or TIMESTAMP.fullmatch(child.place) is not None


def _as_part_of(parent: str, logs: Logs, tags: dict[str, str]) -> Logs:
    table = logs.table
    run = pd.Categorical.from_codes(np.zeros(len(table), np.int8), [parent])
    renamed = table["tag"].cat.rename_categories(tags)
    settings = {parent if name in logs.table["run"].cat.categories else name: stated
                for name, stated in logs.hyperparameters.items()}
    return replace(logs, points=table.assign(run=run, tag=renamed), hyperparameters=settings,
                   others=logs.others.assign(run=parent))


def _without_snapshots(runs: tuple[Run, ...], read: dict[str, Logs],
                       formats: dict[str, Format]) -> tuple[dict[str, Logs], list[str]]:
    """Without the runs of which each point is in a later snapshot too."""
    points = {run.name: _points(read[run.name].table) for run in runs
              if run.name in read and formats[run.format].snapshots
              and len(read[run.name].table) <= MOST_POINTS}
    kept: list[str] = []
    for name in sorted(points, key=lambda name: len(points[name]), reverse=True):
        if not any(points[name] <= points[larger] for larger in kept):
            kept.append(name)
    dropped = [name for name in points if name not in kept]
    notes = [f"{counted(len(dropped), 'log')} saved beside an earlier checkpoint "
             f"{'holds' if len(dropped) == 1 else 'hold'} nothing that a later one lacks and "
             f"{'is' if len(dropped) == 1 else 'are'} not shown: {_some(dropped)}."]
    return ({name: logs for name, logs in read.items() if name not in dropped},
            notes if dropped else [])


def _points(table: pd.DataFrame) -> set[tuple]:
    values = table["value"].to_numpy().view(np.int64)  # bits, as NaN equals nothing
    return set(zip(table["tag"], table["step"], values.tolist(), strict=True))


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
