"""Finds training logs under a file or folder: which files make which run."""

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

from core.errors import UserError
from core.files.paths import exists
from core.log_formats import Format
from core.plugins import discover, knows

MOST_FILES = 20_000


@dataclass(frozen=True)
class Run:
    """The files of one format that make one run, sorted by name. format: a key of `formats`."""

    name: str
    format: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Found:
    """The runs below a folder, by folder; notes: what was not looked at or no log, and why."""

    runs: tuple[Run, ...]
    notes: tuple[str, ...] = ()


@cache
def formats() -> dict[str, Format]:
    """Every log format, by the name of its file; those that are asked last are last."""
    found = discover("core.log_formats", "FORMAT")
    return dict(sorted(found.items(), key=lambda pair: pair[1].fallback))


def find_logs(root: Path) -> Found:
    """The runs at or below `root`, a file or a folder; a run is named by its folder below it, and
    by its file where several of the folder are runs of their own.

    Hidden folders, links to folders and links that lead out of `root` are left out, as is what
    comes after MOST_FILES files. Raises UserError where `root` cannot be read.
    """
    files, notes = _files(root)
    grouped: dict[tuple[str, ...], dict[str, list[Path]]] = {}  # by the parts of the folder
    no_logs = []
    for path in files:
        if form := _format_of(path) or (_claimed_by(path) if path == root else None):
            grouped.setdefault(path.parts[:-1], {}).setdefault(form, []).append(path)
        elif _claimed_by(path):
            no_logs.append(path.name)
    runs: dict[str, Run] = {}
    top = root if root.is_dir() else root.parent
    for folder in sorted(grouped):
        below = "/".join(folder[len(top.parts) :])
        for name, form, members in _named(below, grouped[folder], root, top):
            if name in runs:  # the same training, logged in several formats
                name = f"{name} ({formats()[form].title})"
            free = _free(name, runs)
            runs[free] = Run(free, form, members)
    said = _left_out("Files named as logs in which there is none", no_logs)
    return Found(tuple(runs.values()), (*notes, *([said] if said else ())))


def _named(folder: str, by_format: dict[str, list[Path]], root: Path,
           top: Path) -> list[tuple[str, str, tuple[Path, ...]]]:
    """(name, format, files) of the runs of one folder below `top`, those of several files first."""
    below = _text(folder)
    name = below or _text(top.resolve().name) or "logs"
    alone = [(form, path) for form, paths in sorted(by_format.items())
             if formats()[form].alone for path in sorted(paths)]
    found = [(name, form, tuple(sorted(paths))) for form, paths in sorted(by_format.items())
             if not formats()[form].alone]
    for form, path in alone:
        own = path == root or len(alone) > 1
        stem = f"{below}/{_stem(path)}" if below else _stem(path)
        found.append((stem if own else name, form, (path,)))
    return found


def _stem(path: Path) -> str:
    name = _text(path.name)
    name = name[:-3] if name.lower().endswith(".gz") else name
    return name.rpartition(".")[0] or name


def _free(name: str, taken: dict[str, Run]) -> str:
    numbered = (f"{name} ({number})" for number in range(2, len(taken) + 3))
    return next(free for free in chain((name,), numbered) if free not in taken)


def _format_of(path: Path) -> str | None:
    return next((name for name, form in formats().items() if knows(form, path)), None)


def _claimed_by(path: Path) -> str | None:
    """The format to which a file belongs by its name alone."""
    name = path.name.lower()
    return next((key for key, form in formats().items() if name.endswith(form.endings)
                 or (form.naming and form.naming.search(name))), None)


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
    if not exists(root):
        raise UserError(f"{root.name or root} does not exist. Choose a log file, or the folder "
                        "that your training writes its logs to.")
    if root.is_file():
        return [root], ()
    files, hidden, outside, unreadable = [], [], [], []
    folders, real = [os.fspath(root)], os.path.realpath(root)  # which bears links in a circle
    while folders and len(files) <= MOST_FILES:
        below = []
        for entry in _entries(folders.pop(), unreadable):
            linked = entry.is_symlink()
            if os.path.isdir(entry) if linked else entry.is_dir():
                if entry.name.startswith("."):
                    hidden.append(entry.name)
                elif not linked:
                    below.append(entry.path)
            elif linked and not Path(os.path.realpath(entry)).is_relative_to(real):
                outside.append(entry.name)
            elif os.path.isfile(entry) if linked else entry.is_file():
                readable = os.access(entry.path, os.R_OK)
                (files if readable else unreadable).append(Path(entry))
        folders += reversed(below)
    notes = [_left_out("Hidden folders, which are not searched", hidden),
             _left_out("Links that lead out of the folder, which are not followed", outside),
             _left_out("Files or folders that could not be read", [p.name for p in unreadable])]
    if len(files) > MOST_FILES:
        notes.append(f"Only the first {MOST_FILES:,} files were searched. Choose a smaller folder.")
    return files[:MOST_FILES], tuple(filter(None, notes))


def _entries(folder: str, unreadable: list[Path]) -> list[os.DirEntry]:
    """What is in a folder, in name order; they know what they are without being asked."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        unreadable.append(Path(folder))
        return []


def _left_out(what: str, names: list[str]) -> str:
    named = ", ".join(map(_text, names[:3])) + (" …" if len(names) > 3 else "")
    return f"{what} ({len(names):,}): {named}." if names else ""


def _text(name: str) -> str:
    """A file name as text that any table can hold, whatever its bytes."""
    return os.fsencode(name).decode("utf-8", "replace")
