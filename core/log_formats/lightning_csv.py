"""What Lightning's CSVLogger writes: metrics.csv, where a row has some of the metrics, and beside
it the hyperparameters."""

from dataclasses import replace
from pathlib import Path

from core.log_files.csv import read_table, table_start
from core.log_files.settings import settings_beside
from core.log_files.text import plain_name
from core.log_formats import Format, Logs

FILE = "metrics.csv"  # the logger's one name


def matches(path: Path) -> bool:
    return plain_name(path) == FILE and {"epoch", "step"} <= set(table_start(path).names)


def load(files: list[Path], run: str) -> Logs:
    """Raises UserError."""
    logs, settings = read_table(files[0], run), settings_beside(files[0], "hparams.yaml")
    return replace(logs, hyperparameters={run: settings} if settings else {})


FORMAT = Format("Lightning CSVLogger", matches, load, alone=True)
