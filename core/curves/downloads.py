"""What is shown as files: every point, as CSV long or wide or as JSON; all at once as a zip."""

import io
import json
import re
import zipfile
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from core.curves.points import Settings, points
from core.training_curves import loading_report

LONG = ["run", "tag", "step", "wall_time", "value", "smoothed"]


def shown_points(logs_id: str, tags: Sequence[str], runs: Sequence[str],
                 settings: Settings) -> pd.DataFrame:
    """LONG and x, the place along the axis: every point in the stretch, not only those drawn."""
    parts = []
    for tag in tags:
        table = points(logs_id, tag, tuple(runs), settings).full.assign(tag=tag)
        parts.append(table if settings.stretch is None
                     else table[table["x"].between(*settings.stretch)])
    if not parts:
        return pd.DataFrame(columns=[*LONG, "x"])
    return pd.concat(parts, ignore_index=True)[[*LONG, "x"]].astype({"run": "str", "tag": "str"})


def long_csv(table: pd.DataFrame, axis: str) -> str:
    """One row a point; NaN and infinity in words."""
    own = table[LONG] if axis == "step" else table[LONG].assign(**{axis: table["x"]})
    empty = own["wall_time"].isna().all()
    return own.drop(columns="wall_time" if empty else []).to_csv(index=False, na_rep="NaN",
                                                                 lineterminator="\n")


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """One row a step, one column a run and tag; of points at the same step the last one."""
    several = table["tag"].nunique() > 1
    name = table["run"] + (" · " + table["tag"] if several else "")
    last = table.assign(curve=name).drop_duplicates(["curve", "step"], keep="last")
    order = last["curve"].unique()
    table = last.pivot(index="step", columns="curve", values="value")
    return table[order].rename_axis(columns=None)


def wide_csv(table: pd.DataFrame) -> str:
    """Where a curve has no point the cell is empty; a NaN that was logged is written out."""
    logged = wide(table.assign(value=1.0)).notna()
    cells = wide(table).astype(object)
    return cells.where(cells.notna() | ~logged, "NaN").to_csv(lineterminator="\n")


def as_json(table: pd.DataFrame, settings: Settings) -> str:
    """Curve by curve; NaN and infinity as words, since JSON has no such numbers."""
    curves = [{"run": run, "tag": tag, **{name: _plain(part[name]) for name in LONG[2:]}}
              for (run, tag), part in table.groupby(["run", "tag"], sort=False)]
    stretch = list(settings.stretch) if settings.stretch else None
    said = {"smoothing": settings.smoothing, "axis": settings.axis, "stretch": stretch}
    return json.dumps({**said, "curves": curves}, ensure_ascii=False, allow_nan=False)


def _plain(column: pd.Series) -> list:
    values = column.tolist()
    if column.dtype != np.float64 or np.isfinite(column).all():
        return values
    words = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    return [words.get(str(value), value) for value in values]


def file_name(words: str, ending: str) -> str:
    """A name that every system allows."""
    return (re.sub(r"[^\w.-]+", "_", words).strip("._")[:100] or "curves") + ending


def zipped(files: dict[str, Callable[[], str | bytes]]) -> bytes:
    """A zip of files by name, each made when its turn comes; always the same bytes."""
    target, seen = io.BytesIO(), set()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, made in files.items():
            while name.lower() in seen:  # two tags may differ in what a file name cannot hold
                stem, dot, ending = name.partition(".")
                name = f"{stem}_{dot}{ending}"
            seen.add(name.lower())
            archive.writestr(zipfile.ZipInfo(name), made(), zipfile.ZIP_DEFLATED)
    return target.getvalue()


def report(logs_id: str) -> str:
    """How the logs were read, a line a note."""
    return "\n".join(loading_report(logs_id)) + "\n"
