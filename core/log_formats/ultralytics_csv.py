"""What Ultralytics writes: results.csv, a row an epoch, its names padded with spaces in versions
before 8.3, and beside it args.yaml."""

from dataclasses import replace
from pathlib import Path

from core.log_files.csv import read_table, table_start
from core.log_files.settings import settings_beside
from core.log_formats import Format, Logs


def matches(path: Path) -> bool:
    names = table_start(path).names
    groups = {name.partition("/")[0] for name in names if "/" in name}
    return names[:1] == ("epoch",) and {"train", "metrics"} <= groups


def load(files: list[Path], run: str) -> Logs:
    """Raises UserError."""
    logs, settings = read_table(files[0], run), settings_beside(files[0], "args.yaml")
    return replace(logs, hyperparameters={run: settings} if settings else {})


FORMAT = Format("Ultralytics results", matches, load, alone=True)
