"""What TensorBoard's "download CSV" gives: Wall time, Step, Value; the file's name says of what."""

from pathlib import Path

import numpy as np
import pandas as pd

from core.log_files.csv import read_table, table_start
from core.log_files.downloads import read_downloads, said_by_name
from core.log_formats import Format, Logs

HEADER = ("Wall time", "Step", "Value")


def matches(path: Path) -> bool:
    return table_start(path).names == HEADER


def load(files: list[Path], run: str) -> Logs:
    """All downloads of a folder; one of several runs has them as runs below `run`."""
    return read_downloads(files, run, _read)


def _read(path: Path, run: str) -> Logs:
    run, tag = said_by_name(path, run)
    logs = read_table(path, run)
    tags = pd.Categorical.from_codes(np.zeros(len(logs.table), np.int8), [tag])
    return Logs(logs.table.assign(tag=tags), logs.notes)


FORMAT = Format("TensorBoard's downloaded CSV", matches, load)
