"""What was met in the event files of one run."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.events.decoding import Names
from core.events.pieces import Problem


class Others(NamedTuple):
    """Values of one kind that are no numbers: where they are, one entry each.

    tag: codes. byte, size: of the whole record in the file, unpacked where it is packed.
    """

    kind: str
    file: Path
    tag: np.ndarray
    step: np.ndarray
    wall_time: np.ndarray
    byte: np.ndarray
    size: np.ndarray


@dataclass
class Events:
    """The numbers of one run in the order of its files, and what else was met.

    columns: tag (int32 codes; of rounds that repeat (rounds, tags), all rounds alike), step, wall
    time, value. others: values that are no numbers, in no order.
    settings: hyperparameters that the run states. empty: names of files of 0 bytes.
    """

    names: Names = field(default_factory=Names)
    columns: tuple[list[np.ndarray], ...] = field(default_factory=lambda: ([], [], [], []))
    others: list[Others] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    records: int = 0
    plugin_of_tag: dict[int, int] = field(default_factory=dict)
    settings: dict[str, float | str | bool] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
