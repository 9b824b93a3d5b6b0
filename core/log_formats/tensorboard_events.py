"""TensorBoard event files, of TensorFlow 1 and 2, torch, tensorboardX, Lightning, Hugging Face …"""

import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd

from core.errors import UserError
from core.events.found import Events
from core.events.framing import HEADER, record_size
from core.events.hyperparameters import PLUGIN
from core.events.pieces import Problem
from core.events.reader import read_runs
from core.log_files.bytes import LogBytes, cannot_read
from core.log_files.lost import Lost
from core.log_files.oddities import counted
from core.log_files.points import Points
from core.log_formats import OTHERS, Format, Logs, no_others

NAME = "tfevents"  # what every writer puts into the name of an event file
MARKER = ".profile-empty"  # the end of the name of a file that only marks a profile
NAMING = re.compile(rf"{NAME}(?!.*{re.escape(MARKER)}$)")
WORDS = {  # of one value, of several, where the kind's name and an s would not do
    "pr_curves": ("precision-recall curve", "precision-recall curves"),
    "hparams": ("entry of hyperparameters", "entries of hyperparameters"),
    "custom_scalars": ("layout of charts", "layouts of charts"),
    "run metadata": ("entry of run metadata", "entries of run metadata"),
    "metadata": ("description", "descriptions"), "audio": ("sound", "sounds"),
    "images": ("image", "images"), "histograms": ("histogram", "histograms"),
    "mesh": ("mesh", "meshes")}
FIRST_KEYS = b"\x09\x10\x1a\x22\x2a\x32\x3a\x42\x4a"  # the fields that an event may begin with


def matches(path: Path) -> bool:
    """Whether it begins with a record of an event; records of other kinds are framed alike.

    A file that a run has only just begun is known by its name.
    """
    if path.name.endswith(MARKER):
        return False
    try:
        with LogBytes(path) as file:
            head = file.read(HEADER.size + 1)
    except OSError:
        return False
    if len(head) <= HEADER.size:
        return NAME in path.name and (not head or head[2:8] == bytes(6)[:len(head[2:8])])
    return record_size(head[:HEADER.size]) is not None and (head[-1] in FIRST_KEYS
                                                            or NAME in path.name)


def load(files: list[Path], run: str) -> Logs:
    """Every scalar of the event files of one run."""
    logs = load_together({run: files})[run]
    if isinstance(logs, UserError):
        raise logs
    return logs


def load_together(runs: dict[str, list[Path]]) -> dict[str, Logs | UserError]:
    """Every scalar of the event files of each run, or why there is none."""
    found = read_runs(list(runs.values()))
    return {run: _logs(files, run, events)
            for (run, files), events in zip(runs.items(), found, strict=True)}


def _logs(files: list[Path], run: str, events: Events | OSError | UserError) -> Logs | UserError:
    if isinstance(events, OSError):
        return cannot_read(events, files[0])
    if isinstance(events, UserError):
        return events
    if not events.records:
        return UserError(_nothing_there(files, events))
    points = Points(run, tuple(events.names.tags), *events.columns)
    settings = {run: events.settings} if events.settings else {}
    others = _others(events, run)
    return Logs(points, tuple(_notes(events, points, others, files)), settings, others)


def _nothing_there(files: list[Path], events: Events) -> str:
    if events.problems:
        problem = events.problems[0]
        return (f"{problem.file} is not a TensorBoard event file, or is damaged: at byte "
                f"{problem.byte:,} {problem.what}. Copy it again from where it was written.")
    return (f"{[*events.empty, files[0].name][0]} is empty (0 bytes): the run has written "
            "nothing yet. Open it again once training has logged a step.")


def _others(events: Events, run: str) -> pd.DataFrame:
    """OTHERS in the order of files and records, hyperparameters left out as they are read."""
    parts = [found for found in events.others if found.kind != PLUGIN or not events.settings]
    if not parts:
        return no_others()
    sizes = [len(found.tag) for found in parts]
    numbers = {name: np.concatenate([getattr(found, name) for found in parts])
               for name in ("tag", "step", "wall_time", "byte", "size")}
    files = sorted({str(found.file) for found in parts})
    file = np.repeat([files.index(str(found.file)) for found in parts], sizes)
    order = np.lexsort((numbers["byte"], file))
    words = {"run": np.full(len(file), run, object),
             "tag": np.array(list(events.names.tags), object)[numbers.pop("tag")],
             "kind": np.repeat(np.array([found.kind for found in parts], object), sizes),
             "file": np.array(files, object)[file]}
    # as objects: a text column of pandas would convert each text once more
    columns = {name: pd.Series(column[order], dtype=object) for name, column in words.items()}
    columns |= {name: column[order] for name, column in numbers.items()}
    return pd.DataFrame({name: columns[name] for name in OTHERS}, copy=False)


def _notes(events: Events, points: Points, others: pd.DataFrame,
           files: list[Path]) -> list[str]:
    where = files[0].name if len(files) == 1 else f"{len(files):,} event files"
    tags = counted(len(points.occurring), "tag")
    read = f"Read {counted(len(points), 'point')} of {tags} from {where}."
    none = f"No scalars in {where}: {counted(events.records, 'record')} without a number to draw."
    notes = [read if len(points) else none]
    notes += [f"{name} is empty (0 bytes): nothing was logged to it." for name in events.empty]
    if events.settings:
        notes.append(f"Read {counted(len(events.settings), 'hyperparameter')}.")
    if len(others):
        counts = others["kind"].value_counts().to_dict()
        said = ", ".join(_counted(kind, number) for kind, number in sorted(counts.items()))
        notes.append(f"Not scalars, so not drawn as curves: {said}.")
    return notes + _losses(events.problems)


def _counted(kind: str, number: int) -> str:
    """6 images, 3 entries of run metadata, 1 graph."""
    name = kind.replace("_", " ")
    return f"{number:,} {WORDS.get(kind, (name, f'{name}s'))[number != 1]}"


def _losses(problems: list[Problem]) -> list[str]:
    """One note a file and kind of loss, at the first place."""
    grouped: dict[tuple[str, str], list[Problem]] = defaultdict(list)
    for problem in problems:
        grouped[problem.file, problem.what].append(problem)
    notes = []
    for (file, what), found in grouped.items():
        more = sum(problem.more + 1 for problem in found) - 1
        also = f"; {more:,} more further on" if more else ""
        notes.append(Lost(f"{file}, byte {found[0].byte:,}: {what}{also}."))
    return notes


FORMAT = Format("TensorBoard event file", matches, load, naming=NAMING,
                load_together=load_together)
