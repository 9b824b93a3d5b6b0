"""Picture files of a folder or an archive: looked over at once, decoded when asked for."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from core.dataset_files.deep_pictures import common_range
from core.dataset_files.file_sources import Source
from core.errors import UserError
from core.images import (
    EXTENSIONS,
    LARGEST_FILE,
    LFS,
    decode,
    is_deep,
    is_misnamed,
    oddities,
    opened,
)

LOOKED_AT = 1_000  # pictures of which every header is read; of more, an even sample of SAMPLED
SAMPLED = 100
LOOKED_AT_BYTES = 64 << 20
MISNAMED = "with the ending of another format, read by what the bytes are"
POINTER_BYTES = (100, 250)  # the sizes that Git LFS pointers have


def is_picture(name: str) -> bool:
    """Whether a file has a picture's ending."""
    dot = name.rfind(".")
    return dot >= 0 and name[dot:].lower() in EXTENSIONS


@dataclass(frozen=True)
class PictureFiles:
    """Those of N files that seem readable. kept: positions of them among the N, ascending."""

    kept: np.ndarray
    paths: pd.Series
    image: Callable[[int], np.ndarray]
    unreadable: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def picture_files(source: Source, files: Sequence[str]) -> PictureFiles:
    """These files of a source as pictures. Raises UserError where not one can be read.

    Of many, a sample is looked at; all of them, where that finds empty files or LFS pointers.
    """
    reasons: dict[int, str] = {}
    every = np.arange(len(files))
    rows = every if len(files) <= LOOKED_AT else np.unique(
        np.linspace(0, len(files) - 1, SAMPLED, dtype=int))
    if _without_content(source, files, rows, reasons) and len(rows) < len(files):
        _without_content(source, files, every, reasons)
    odd, deep = _look(source, files, rows, reasons)
    if len(reasons) == len(files):
        raise _nothing(source, files, reasons)
    kept = np.delete(every, list(reasons))
    span, how = common_range(deep, lambda row: source.read(files[row], LARGEST_FILE))
    names = pa.array([files[row] for row in kept], pa.large_string())
    unreadable = tuple((files[row], reason) for row, reason in sorted(reasons.items()))
    return PictureFiles(
        kept, pd.Series(names, dtype=pd.ArrowDtype(pa.large_string()), name="path"),
        lambda row: decode(source.read(path := names[row].as_py(), LARGEST_FILE), path, span),
        unreadable, (*_skipped(reasons, files), *odd, *how))


def _without_content(source: Source, files: Sequence[str], rows: np.ndarray,
                     reasons: dict[int, str]) -> bool:
    """Adds files that are empty, and pointers to others, to `reasons`; whether there are any."""
    for row in rows.tolist():
        size = source.size(files[row])
        if size == 0:
            reasons[row] = _why_nothing(source, files[row])
        elif (POINTER_BYTES[0] < size < POINTER_BYTES[1]
              and source.read(files[row], size).startswith(LFS)):
            reasons[row] = "is a Git LFS pointer"
    return bool(reasons)


def _why_nothing(source: Source, name: str) -> str:
    """Why a file has no bytes: it has none, it is gone, or it is closed to this account."""
    try:
        source.start(name, 1)
    except UserError as error:
        return str(error).removeprefix(f"{name} ")
    return "is empty (0 bytes)"


def _look(source: Source, files: Sequence[str], rows: np.ndarray,
          reasons: dict[int, str]) -> tuple[list[str], list[int]]:
    """Reads headers, adds what is unreadable to `reasons`; gives what is odd in words, and the
    rows of pictures of 16 bits or floats."""
    left, odd, deep = LOOKED_AT_BYTES, Counter(), []
    for row in rows.tolist():
        if row in reasons:
            continue
        left -= source.size(files[row])
        if left < 0:
            break
        try:
            picture = opened(source.read(files[row], LARGEST_FILE), files[row])
            odd.update(oddities(picture))
            odd.update([MISNAMED] if is_misnamed(picture, files[row]) else [])
            deep += [row] if is_deep(picture) else []
        except UserError as error:
            reasons[row] = str(error).removeprefix(f"{files[row]} ")
    sampled = "" if len(rows) == len(files) and left >= 0 else "at least "
    return [f"{sampled}{count:,} {'picture' if count == 1 else 'pictures'} {words}."
            for words, count in odd.items()], deep


def _skipped(reasons: dict[int, str], files: Sequence[str]) -> list[str]:
    if not reasons:
        return []
    row = min(reasons)
    return [f"{len(reasons):,} of {len(files):,} pictures could not be read and were skipped, "
            f"first {files[row]}, which {reasons[row].rstrip('.')}."]


def _nothing(source: Source, files: Sequence[str],
             reasons: dict[int, str]) -> UserError:
    if all("Git LFS" in reason for reason in reasons.values()):
        return UserError(f"{source.title} holds {len(files):,} Git LFS pointers, which only name "
                         "the real pictures. Run 'git lfs pull' in it, then open it again.")
    row = min(reasons, default=0)
    first = f" {files[row]} {reasons[row]}" if reasons else ""
    return UserError(f"{source.title}: none of its {len(files):,} pictures can be read.{first}")
