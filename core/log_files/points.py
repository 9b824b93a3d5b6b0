"""The points of a run as they were read, and those of many runs as one table."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import pandas as pd

NUMBERS = {"step": np.int64, "wall_time": np.float64, "value": np.float64}


@dataclass(frozen=True)
class Points:
    """What will be a table of COLUMNS (core.log_formats), in pieces: a table of pandas for each of
    many short runs would cost more than reading them.

    tags: names, of which some may not occur. codes, step, wall_time, value: pieces, in order.
    A piece of codes may be (rounds, tags): then all rounds are alike.
    """

    run: str
    tags: tuple[str, ...]
    codes: list[np.ndarray]
    step: list[np.ndarray]
    wall_time: list[np.ndarray]
    value: list[np.ndarray]

    def __len__(self) -> int:
        return sum(map(len, self.value))

    @property
    def bytes(self) -> int:
        """That its pieces take."""
        pieces = (*self.codes, *self.step, *self.wall_time, *self.value)
        return sum(piece.nbytes for piece in pieces)

    @cached_property
    def occurring(self) -> np.ndarray:
        """The codes of the tags that occur, ascending."""
        there = np.zeros(len(self.tags), bool)
        for codes in self.codes:
            there[_one_round(codes)] = True
        return np.flatnonzero(there)

    @cached_property
    def table(self) -> pd.DataFrame:
        return joined([self])


@dataclass(frozen=True)
class _Coded:
    """A column of names: pieces of indexes into them; occurring: the indexes that are used."""

    names: tuple[str, ...]
    pieces: list[np.ndarray]
    occurring: np.ndarray


def joined(parts: list[Points | pd.DataFrame]) -> pd.DataFrame:
    """One table of them all, run and tag over common categories in name order."""
    rows = sum(len(part) for part in parts)
    runs = _unified([_of_runs(part) for part in parts], rows)
    tags = _unified([_of_tags(part) for part in parts], rows)
    numbers = {name: _stacked([_pieces(part, name) for part in parts], dtype)
               for name, dtype in NUMBERS.items()}
    return pd.DataFrame({"run": runs, "tag": tags} | numbers, copy=False)


def _pieces(part: Points | pd.DataFrame, name: str) -> list[np.ndarray]:
    return getattr(part, name) if isinstance(part, Points) else [part[name].to_numpy()]


def _stacked(pieces: list[list[np.ndarray]], dtype: type) -> np.ndarray:
    flat = [piece for some in pieces for piece in some]
    return flat[0] if len(flat) == 1 else np.concatenate(flat or [np.empty(0, dtype)])


def _of_runs(part: Points | pd.DataFrame) -> _Coded:
    if isinstance(part, pd.DataFrame):
        return _of_column(part["run"].array)
    one = np.zeros(min(1, len(part)), np.intp)
    return _Coded((part.run,), [np.broadcast_to(np.int8(0), len(part))], one)


def _of_tags(part: Points | pd.DataFrame) -> _Coded:
    if isinstance(part, pd.DataFrame):
        return _of_column(part["tag"].array)
    return _Coded(part.tags, part.codes, part.occurring)


def _of_column(column: pd.Categorical) -> _Coded:
    counts = np.bincount(column.codes, minlength=len(column.categories)) if len(column) else []
    return _Coded(tuple(column.categories), [column.codes], np.flatnonzero(counts))


def _one_round(codes: np.ndarray) -> np.ndarray:
    """Of a piece of codes as many as there are different ones."""
    return codes[0] if codes.ndim == 2 else codes


def _unified(columns: list[_Coded], rows: int) -> pd.Categorical:
    """One column over the names that occur in any. Runs that log the same tags share their names,
    which are then looked at once."""
    columns = [column for column in columns if len(column.occurring)]
    there = {column.names: np.zeros(len(column.names), bool) for column in columns}
    for column in columns:
        there[column.names][column.occurring] = True
    used = {names[code] for names, some in there.items() for code in np.flatnonzero(some)}
    place = {name: code for code, name in enumerate(sorted(used))}
    width = np.int8 if len(place) <= 127 else np.int32
    code_of = {names: np.array([place.get(name, -1) for name in names], width) for names in there}
    codes = np.empty(rows, width)
    pieces = [(column.names, piece) for column in columns for piece in column.pieces]
    stops = np.cumsum([0, *(piece.size for _, piece in pieces)]).tolist()
    for (names, piece), (start, stop) in zip(pieces, pairwise(stops), strict=True):
        if len(names) == 1:
            codes[start:stop] = code_of[names][0]
        elif piece.ndim == 2:
            codes[start:stop].reshape(piece.shape)[:] = code_of[names][_one_round(piece)]
        else:
            code_of[names].take(piece, out=codes[start:stop], mode="wrap")
    return pd.Categorical.from_codes(codes, list(place), validate=False)
