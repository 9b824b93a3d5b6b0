"""Training logs under a file or folder: reads all its runs into one table."""

from pathlib import Path

import pandas as pd

from core.errors import UserError
from core.log_files.children import without_children
from core.log_files.lost import note_on
from core.log_files.oddities import oddities
from core.log_files.parts import is_keeping
from core.log_files.points import joined
from core.log_files.recent import recent
from core.log_files.search import Found, Run, find_logs, formats, log_content_id
from core.log_formats import Logs, Settings, no_others
from core.memory import keep_freed_memory

__all__ = ["Found", "Run", "find_logs", "formats", "log_content_id", "read_logs"]


def read_logs(path: Path) -> Logs:
    """Every point of the log file or of all runs in the folder, run and tag in name order.

    A run that cannot be read is noted, and the others are kept. Raises UserError where nothing is
    left.
    """
    keep_freed_memory()
    found = find_logs(path)
    loaded, notes = _loaded(list(found.runs)), []
    read = {name: logs for name, logs in loaded.items() if isinstance(logs, Logs)}
    refused = [f"{name}: {error}" if len(found.runs) > 1 else str(error)
               for name, error in loaded.items() if isinstance(error, UserError)]
    if not read:
        raise UserError(" ".join(refused[:3] or [_nothing_found(path), *found.notes]))
    for name, logs in read.items():
        notes += [note_on(name, note) if len(found.runs) > 1 else note for note in logs.notes]
    parts, folded = without_children(found.runs, read, formats())
    table = joined([logs.points for logs in parts.values()])
    others = [logs.others for logs in parts.values() if len(logs.others)]
    common = (*found.notes, *refused, *folded, *oddities(table))  # which many runs would hide
    return Logs(table, (*common, *notes) if len(found.runs) > 1 else (*notes, *common),
                _settings(parts), pd.concat(others, ignore_index=True) if others else no_others(),
                frozenset().union(*(logs.by_epoch for logs in parts.values())))


def _loaded(runs: list[Run]) -> dict[str, Logs | UserError]:
    """By name, in the order of the runs."""
    found = recent(runs, _load) if is_keeping() else _load(runs)
    return {run.name: found[run.name] for run in runs}


def _load(runs: list[Run]) -> dict[str, Logs | UserError]:
    by_format: dict[str, dict[str, list[Path]]] = {}
    for run in runs:
        by_format.setdefault(run.format, {})[run.name] = list(run.files)
    return {run: logs for name, files in by_format.items()
            for run, logs in formats()[name].load_runs(files).items()}


def _settings(parts: dict[str, Logs]) -> dict[str, Settings]:
    stated: dict[str, Settings] = {}
    for logs in parts.values():
        for run, settings in logs.hyperparameters.items():
            stated[run] = stated.get(run, {}) | settings
    return stated


def _nothing_found(path: Path) -> str:
    known = ", ".join(form.title for form in formats().values())
    if path.is_dir():
        return (f"{path.name} holds no training log that Netlens reads ({known}). "
                "Choose the folder that your training writes its logs to.")
    return (f"{path.name} is not a training log that Netlens reads ({known}), or its first bytes "
            "are damaged. Choose another file.")
