"""Training logs: one file a format; whatever the format, what comes out is one table."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

COLUMNS = ["run", "tag", "step", "wall_time", "value"]


@dataclass(frozen=True)
class Logs:
    """What was read from one file or folder.

    table: COLUMNS; run and tag categorical, step int64, wall_time seconds since 1970 (NaN where
    the log has none), value float64, NaN and infinity kept; in the order of the files.
    notes: the loading report, one sentence each: read, skipped, truncated, repeated, odd.
    """

    table: pd.DataFrame
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Format:
    """One kind of log file.

    matches: from the first bytes, never from the extension.
    load: the files of this format that lie in one folder, sorted by name, which make one run,
    named `run`. A damaged file costs its damaged part, never the rest. Raises UserError.
    """

    title: str
    matches: Callable[[Path], bool]
    load: Callable[[list[Path], str], Logs]
