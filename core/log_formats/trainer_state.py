"""Hugging Face's trainer_state.json: log_history, a list of what was logged when."""

import re
from dataclasses import replace
from pathlib import Path

from core.errors import UserError
from core.log_files.json import number_of, read_json
from core.log_files.text import start_of
from core.log_formats import Format, Logs
from core.log_formats.json_rows import read_rows

HISTORY = re.compile(r'"log_history"\s*:\s*\[')
SETTINGS = ("num_train_epochs", "max_steps", "train_batch_size", "logging_steps", "eval_steps",
            "save_steps")


def matches(path: Path) -> bool:
    start = start_of(path)
    return start.lstrip().startswith("{") and HISTORY.search(start) is not None


def load(files: list[Path], run: str) -> Logs:
    """Raises UserError."""
    found, notes = read_json(files[0])
    history = found.get("log_history") if isinstance(found, dict) else None
    if not isinstance(history, list) or not history:
        raise UserError(f"{files[0].name} has an empty log_history: nothing was logged yet.")
    settings = {name: float(found[name]) for name in SETTINGS
                if name in found and number_of(found[name]) is not None}
    logs = read_rows(history, files[0].name, run, notes)
    return replace(logs, hyperparameters={run: settings} if settings else {})


FORMAT = Format("Hugging Face trainer state", matches, load, alone=True, snapshots=True)
