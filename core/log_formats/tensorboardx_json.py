"""What tensorboardX's export_scalars_to_json writes: {name: [[wall time, step, value], …], …}."""

import os.path
import re
from pathlib import Path

from core.log_files.downloads import points_table
from core.log_files.json import NUMBER, TEXT, read_json
from core.log_files.text import start_of
from core.log_formats import Format, Logs

START = re.compile(rf"\s*\{{\s*{TEXT}\s*:\s*\[\s*\[\s*{NUMBER}\s*,\s*{NUMBER}\s*,"
                   rf"\s*{NUMBER}\s*\]")


def matches(path: Path) -> bool:
    return START.match(start_of(path)) is not None


def load(files: list[Path], run: str) -> Logs:
    """A tag a name, without the log folder that all names begin with. Raises UserError."""
    series, notes = read_json(files[0])
    names = list(series)
    shared = os.path.commonpath(names) if _have_a_folder(names) else ""
    short = {name: os.path.relpath(name, shared) if shared else name for name in names}
    table, said = points_table({short[name]: series[name] for name in names}, run, files[0].name)
    return Logs(table, (*said, *notes))


def _have_a_folder(names: list[str]) -> bool:
    """Whether all are below one folder, as names of add_scalars are, and several."""
    absolute = {name.startswith("/") for name in names}
    return len(names) > 1 and len(absolute) == 1 and all("/" in name for name in names)


FORMAT = Format("tensorboardX's scalars as JSON", matches, load, alone=True)
