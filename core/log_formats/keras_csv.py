"""What Keras's CSVLogger writes: epoch, then the metrics in the order of their names."""

from pathlib import Path

from core.log_files.csv import read_table, table_start
from core.log_formats import Format, Logs


def matches(path: Path) -> bool:
    names = table_start(path).names
    return names[:1] == ("epoch",) and "loss" in names and list(names[1:]) == sorted(names[1:])


def load(files: list[Path], run: str) -> Logs:
    """Raises UserError."""
    return read_table(files[0], run)


FORMAT = Format("Keras CSVLogger", matches, load, alone=True)
