"""TensorBoard event files, of TensorFlow 1 and 2, torch, tensorboardX, Lightning, Hugging Face …"""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd

from core.errors import UserError
from core.events.found import Events
from core.events.framing import HEADER, record_size
from core.events.hyperparameters import PLUGIN
from core.events.pieces import Problem
from core.events.reader import read_events
from core.log_bytes import LogBytes, cannot_read
from core.log_formats import COLUMNS, OTHERS, Format, Logs, no_others
from core.log_oddities import counted

NAME = "tfevents"  # what every writer puts into the name of an event file
MARKER = ".profile-empty"  # the end of the name of a file that only marks a profile
FIRST_KEYS = b"\x09\x10\x1a\x22\x2a\x32\x3a\x42\x4a"  # the fields that an event may begin with


def matches(path: Path) -> bool:
    """Whether it begins with a record of an event; records of other kinds are framed alike.

    A file that a run has only just begun is known by its name.
    """
    if path.name.endswith(MARKER) or not path.is_file():
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
    try:
        empty = [path.name for path in files if not path.stat().st_size]
        events = read_events(files)
    except OSError as error:
        raise cannot_read(error, files[0]) from error
    if not events.records:
        raise UserError(_nothing_there(files, empty, events.problems))
    table = _table(events, run)
    settings = {run: events.settings} if events.settings else {}
    others = _others(events, run)
    return Logs(table, tuple(_notes(events, table, others, empty, files)), settings, others)


def _nothing_there(files: list[Path], empty: list[str], problems: list[Problem]) -> str:
    if problems:
        problem = problems[0]
        return (f"{problem.file}: no event can be read: at byte {problem.byte:,} {problem.what}. "
                "Copy the file again from where it was written.")
    return (f"{empty[0] if empty else files[0].name} is empty (0 bytes): the run has written "
            "nothing yet. Open it again once training has logged a step.")


def _table(events: Events, run: str) -> pd.DataFrame:
    codes = events.take(0, np.int32)
    tags = list(events.names.tags)
    used = np.flatnonzero(np.bincount(codes, minlength=len(tags)))
    code_of = np.zeros(len(tags), np.int32)
    code_of[used] = np.arange(len(used))
    return pd.DataFrame(dict(zip(COLUMNS, (
        _named(np.zeros(len(codes), np.int8), [run]),
        _named(code_of[codes], [tags[code] for code in used]),
        events.take(1, np.int64), events.take(2, np.float64), events.take(3, np.float64),
    ), strict=True)), copy=False)


def _named(codes: np.ndarray, names: list[str]) -> pd.Categorical:
    """Without the checks that cost more than a short run's decoding."""
    kind = pd.CategoricalDtype(pd.Index(names, dtype=object))
    return pd.Categorical.from_codes(codes, dtype=kind, validate=False)


def _others(events: Events, run: str) -> pd.DataFrame:
    """OTHERS in the order of files and records, hyperparameters left out as they are read."""
    if not events.others:
        return no_others()
    tags = np.array(list(events.names.tags), object)
    parts = [pd.DataFrame(dict(zip(OTHERS, (run, tags[found.tag], found.kind, found.step,
                                            found.wall_time, str(found.file), found.byte,
                                            found.size), strict=True)))
             for found in events.others if found.kind != PLUGIN or not events.settings]
    if not parts:
        return no_others()
    return pd.concat(parts).sort_values(["file", "byte"], kind="stable", ignore_index=True)


def _notes(events: Events, table: pd.DataFrame, others: pd.DataFrame, empty: list[str],
           files: list[Path]) -> list[str]:
    where = files[0].name if len(files) == 1 else f"{len(files):,} event files"
    tags = counted(len(table["tag"].cat.categories), "tag")
    read = f"Read {counted(len(table), 'point')} of {tags} from {where}."
    none = f"No scalars in {where}: {counted(events.records, 'record')} without a number to draw."
    notes = [none if table.empty else read]
    notes += [f"{name} is empty (0 bytes): nothing was logged to it." for name in empty]
    if events.settings:
        notes.append(f"Read {counted(len(events.settings), 'hyperparameter')}.")
    if len(others):
        counts = others["kind"].value_counts().to_dict()
        said = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()))
        notes.append(f"Not scalars, so not drawn as curves: {said}.")
    return notes + _losses(events.problems)


def _losses(problems: list[Problem]) -> list[str]:
    """One note a file and kind of loss, at the first place."""
    grouped: dict[tuple[str, str], list[Problem]] = defaultdict(list)
    for problem in problems:
        grouped[problem.file, problem.what].append(problem)
    notes = []
    for (file, what), found in grouped.items():
        more = sum(problem.more + 1 for problem in found) - 1
        also = f"; {more:,} more further on" if more else ""
        notes.append(f"{file}, byte {found[0].byte:,}: {what}{also}.")
    return notes


FORMAT = Format("TensorBoard event file", matches, load)
