"""What TensorBoard's "download JSON" gives: [[wall time, step, value], …]; the file's name says of
what."""

import re
from pathlib import Path

from core.log_files.downloads import points_table, read_downloads, said_by_name
from core.log_files.json import NUMBER, read_json
from core.log_files.text import start_of
from core.log_formats import Format, Logs

START = re.compile(rf"\s*\[\s*\[\s*{NUMBER}\s*,\s*{NUMBER}\s*,\s*{NUMBER}\s*\]")


def matches(path: Path) -> bool:
    return START.match(start_of(path)) is not None


def load(files: list[Path], run: str) -> Logs:
    """All downloads of a folder; one of several runs has them as runs below `run`."""
    return read_downloads(files, run, _read)


def _read(path: Path, run: str) -> Logs:
    points, notes = read_json(path)
    run, tag = said_by_name(path, run)
    table, said = points_table({tag: points}, run, path.name)
    return Logs(table, (*said, *notes))


FORMAT = Format("TensorBoard's downloaded JSON", matches, load)
