"""The points of a run as they were read, and those of many runs as one table."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

NUMBERS = {"step": np.int64, "wall_time": np.float64, "value": np.float64}
ONE = np.zeros(1, np.intp)  # the codes of a column in which there is one name


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
            there[codes[0] if codes.ndim == 2 else codes] = True
        return there.nonzero()[0]

    @cached_property
    def table(self) -> pd.DataFrame:
        return joined([self])


class _Coded(NamedTuple):
    """A column of names: pieces of indexes into them; occurring: the indexes that are used."""

    names: tuple[str, ...]
    pieces: list[np.ndarray]
    occurring: np.ndarray


def joined(parts: list[Points | pd.DataFrame]) -> pd.DataFrame:
    """One table of them all, run and tag over common categories in name order."""
    runs = _runs(parts)
    tags = _unified([_of_tags(part) for part in parts])
    numbers = {name: _stacked([_pieces(part, name) for part in parts], dtype)
               for name, dtype in NUMBERS.items()}
    return pd.DataFrame({"run": runs, "tag": tags} | numbers, copy=False)


def _pieces(part: Points | pd.DataFrame, name: str) -> list[np.ndarray]:
    return getattr(part, name) if isinstance(part, Points) else [part[name].to_numpy()]


def _stacked(pieces: list[list[np.ndarray]], dtype: type) -> np.ndarray:
    flat = [piece for some in pieces for piece in some]
    return flat[0] if len(flat) == 1 else np.concatenate(flat or [np.empty(0, dtype)])


def _runs(parts: list[Points | pd.DataFrame]) -> pd.Categorical:
    if any(isinstance(part, pd.DataFrame) for part in parts):
        return _unified([_of_runs(part) for part in parts])
    names = sorted({part.run for part in parts if len(part)})
    place = {run: code for code, run in enumerate(names)}
    codes = np.array([place.get(part.run, 0) for part in parts], _width(len(names)))
    return pd.Categorical.from_codes(
        codes.repeat([len(part) for part in parts]), names, validate=False
    )


def _of_runs(part: Points | pd.DataFrame) -> _Coded:
    if isinstance(part, pd.DataFrame):
        return _of_column(part["run"].array)
    points = len(part)
    return _Coded((part.run,), [repeated(ONE, points)], ONE[:points])


def _width(names: int) -> type:
    """Of the codes of so many names."""
    return np.int8 if names <= 127 else np.int32


def _of_tags(part: Points | pd.DataFrame) -> _Coded:
    if isinstance(part, pd.DataFrame):
        return _of_column(part["tag"].array)
    return _Coded(part.tags, part.codes, part.occurring)


def _of_column(column: pd.Categorical) -> _Coded:
    counts = np.bincount(column.codes, minlength=len(column.categories)) if len(column) else []
    return _Coded(tuple(column.categories), [column.codes], np.flatnonzero(counts))


def repeated(codes: np.ndarray, rounds: int) -> np.ndarray:
    """The codes (N,) so many times, (rounds, N), in the same memory; np.broadcast_to is slower."""
    return np.ndarray((rounds, len(codes)), codes.dtype, codes, strides=(0, codes.itemsize))


def _unified(columns: list[_Coded]) -> pd.Categorical:
    """One column over the names that occur in any. Runs that log the same tags share their names,
    which are then looked at once."""
    columns = [column for column in columns if len(column.occurring)]
    alike = {(column.names, column.occurring.tobytes()) for column in columns}
    used = {names[code] for names, there in alike for code in np.frombuffer(there, np.intp)}
    place = {name: code for code, name in enumerate(sorted(used))}
    width = _width(len(place))
    code_of = {
        names: np.array([place.get(name, -1) for name in names], width) for names, _ in alike
    }
    codes = bytearray().join(
        _written_out(code_of[column.names], piece) for column in columns for piece in column.pieces
    )
    return pd.Categorical.from_codes(np.frombuffer(codes, width), list(place), validate=False)


def _written_out(code_of: np.ndarray, piece: np.ndarray) -> np.ndarray | bytes:
    """The new codes of a piece; bytes repeat themselves quicker than numpy does."""
    if len(code_of) == 1:
        return code_of.tobytes() * piece.size
    if piece.ndim == 2:
        return code_of[piece[0]].tobytes() * len(piece)
    return code_of.take(piece, mode="wrap")
