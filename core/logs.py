"""Training logs under a file or folder: finds the runs, reads them all into one table."""

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from core.errors import UserError
from core.log_formats import COLUMNS, Format, Logs
from core.log_oddities import oddities
from core.plugins import discover

MOST_FILES = 20_000


@dataclass(frozen=True)
class Run:
    """The files of one format in one folder, sorted by name. format: a key of `formats`."""

    name: str
    format: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Found:
    """The runs below a folder, by folder; notes: what was not looked at, and why."""

    runs: tuple[Run, ...]
    notes: tuple[str, ...] = ()


@cache
def formats() -> dict[str, Format]:
    """Every log format, by the name of its file."""
    return discover("core.log_formats", "FORMAT")


def find_logs(root: Path) -> Found:
    """The runs at or below `root`, a file or a folder; a run is named by its folder below it.

    Hidden folders, links to folders and links that lead out of `root` are left out, as is what
    comes after MOST_FILES files. Raises UserError where `root` cannot be read.
    """
    files, notes = _files(root)
    top = root if root.is_dir() else root.parent
    grouped: dict[tuple[Path, str], list[Path]] = {}
    for path in files:
        if form := _format_of(path):
            grouped.setdefault((path.parent, form), []).append(path)
    runs: dict[str, Run] = {}
    for (folder, form), members in sorted(grouped.items()):
        name = _text(folder.relative_to(top).as_posix())
        name = _text(top.resolve().name) or "logs" if name == "." else name
        if name in runs:  # a folder with logs of several formats
            name = f"{name} ({formats()[form].title})"
        runs[name] = Run(name, form, tuple(sorted(members)))
    return Found(tuple(runs.values()), notes)


def read_logs(path: Path) -> Logs:
    """Every point of the log file or of all runs in the folder, run and tag in name order.

    A run that cannot be read is noted, and the others are kept. Raises UserError where nothing is
    left.
    """
    found = find_logs(path)
    read, notes, refused = {}, list(found.notes), []
    for run in found.runs:
        try:
            read[run.name] = formats()[run.format].load(list(run.files), run.name)
        except UserError as error:
            refused.append(f"{run.name}: {error}" if len(found.runs) > 1 else str(error))
    if not read:
        raise UserError(" ".join(refused[:3]) or _nothing_found(path))
    for name, logs in read.items():
        notes += [f"{name}: {note}" if len(found.runs) > 1 else note for note in logs.notes]
    table = _joined([logs.table for logs in read.values()])
    return Logs(table, (*notes, *refused, *oddities(table)))


def log_content_id(path: Path) -> str:
    """A digest of names, sizes and times of the files at or below `path`; reads none of them."""
    files, _ = _files(path)
    digest = hashlib.sha256(os.fsencode(path.resolve().name))
    for file in files:
        try:
            stat = file.stat()
        except FileNotFoundError:  # gone since it was listed
            continue
        said = os.fsencode(file.relative_to(path if path.is_dir() else path.parent))
        digest.update(b"\0%b\0%d\0%d" % (said, stat.st_size, stat.st_mtime_ns))
    return digest.hexdigest()[:32]


def _files(root: Path) -> tuple[list[Path], tuple[str, ...]]:
    """The regular, readable files at or below `root` in name order, and what was left out."""
    if not root.exists():
        raise UserError(f"{root.name or root} does not exist. Choose a log file, or the folder "
                        "that your training writes its logs to.")
    if root.is_file():
        return [root], ()
    files, hidden, outside, unreadable = [], [], [], []
    for place, folders, names in os.walk(root, onerror=lambda e: unreadable.append(e.filename)):
        hidden += [name for name in folders if name.startswith(".")]
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(place, name) for name in sorted(names)):
            if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
                outside.append(path.name)
            elif path.is_file():
                (files if os.access(path, os.R_OK) else unreadable).append(path)
        if len(files) > MOST_FILES:
            break
    notes = [_left_out("hidden folders were not searched", hidden),
             _left_out("links that lead out of the folder were not followed", outside),
             _left_out("could not be read", [Path(path).name for path in unreadable])]
    if len(files) > MOST_FILES:
        notes.append(f"Only the first {MOST_FILES:,} files were searched. Choose a smaller folder.")
    return files[:MOST_FILES], tuple(filter(None, notes))


def _left_out(why: str, names: list[str]) -> str:
    more = " …" if len(names) > 1 else ""
    return f"{len(names):,} {why}: {_text(names[0])}{more}." if names else ""


def _format_of(path: Path) -> str | None:
    return next((name for name, form in formats().items() if form.matches(path)), None)


def _text(name: str) -> str:
    """A file name as text that any table can hold, whatever its bytes."""
    return os.fsencode(name).decode("utf-8", "replace")


def _nothing_found(path: Path) -> str:
    known = ", ".join(form.title for form in formats().values())
    if path.is_dir():
        return (f"{path.name} holds no training log that Netlens reads ({known}). "
                "Choose the folder that your training writes its logs to.")
    return (f"{path.name} is not a training log that Netlens reads ({known}), or its first bytes "
            "are damaged. Choose another file.")


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The tables one after the other, run and tag over common categories in name order."""
    columns = {name: _stacked([table[name].to_numpy() for table in tables])
               for name in COLUMNS[2:]}
    coded = {name: _unified([table[name].cat for table in tables]) for name in COLUMNS[:2]}
    return pd.DataFrame(coded | columns, copy=False)


def _stacked(parts: list[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _unified(columns: list[pd.core.arrays.categorical.CategoricalAccessor]) -> pd.Categorical:
    used = [column.categories[np.unique(column.codes)] for column in columns]
    names = sorted({name for names in used for name in names})
    place = {name: code for code, name in enumerate(names)}
    parts = []
    for column in columns:
        codes = np.array([place.get(name, -1) for name in column.categories], np.int32)
        parts.append(codes[column.codes])
    return pd.Categorical.from_codes(_stacked(parts), names)
