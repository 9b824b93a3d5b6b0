"""How many examples to run at once, and in which memory layout: found by timing the first batches
of the real work. Small batches win on a CPU and large ones on a GPU, so nothing is assumed.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import torch
from torch import nn

from core.device import device, locked

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
ROUNDS = 2  # timings of each choice, the faster counts: the first may pay for memory
HELPS = 0.97  # time an example, relative to the best so far, below which a larger size helps
HOPELESS = 1.5  # the same, above which a CPU's first timing is enough (a GPU's makes kernels ready)
SHORTEST = 0.004  # seconds of a round; shorter ones tell of the interpreter and other programs
MEETING = 0.1  # seconds after which batches that run side by side wait for each other,
MOST_BETWEEN = 16  # or this many batches of each: a wait costs as much as a small batch
SHARE = 8  # sizes above this fraction of the data are not tried
USUAL, LAST = LAYOUTS = (torch.contiguous_format, torch.channels_last)

# (at once, sizes) -> the best choice and its seconds an example: a second pass does not search.
_found: WeakKeyDictionary[nn.Module, dict[tuple, tuple[tuple, float]]] = WeakKeyDictionary()


class BatchPlan:
    """The size and layout of the next batches, `at_once` of which run side by side; run each round
    of them inside `timed`."""

    def __init__(self, model: nn.Module, examples: int, at_once: int = 1) -> None:
        lowest, highest = getattr(
            model, "batch", (1, None)
        )  # an exported network may take one size only
        self.fixed = lowest if lowest == highest else None
        sizes = [size for size in SIZES if size <= max(SIZES[0], examples // at_once // SHARE)]
        sizes = [self.fixed] if self.fixed else sizes
        self.model = model
        self.has_maps = any(p.dim() == 4 for p in model.parameters())
        self.cost: dict[tuple, float] = {}  # seconds an example
        self.trials = self._trials(sizes)
        self.choice = (sizes[0], USUAL)  # what the next batch runs with
        self.rounds = -1  # the very first batch warms up and does not count
        self.searching = len(sizes) > 1 or self.has_maps
        self.at_once = at_once
        self.largest = max(SIZES)
        self.asked = (at_once, *sizes)
        if self.asked in (found := _found.setdefault(model, {})):
            self.choice, seconds = found[self.asked]
            self.cost, self.searching = {self.choice: seconds}, False
        elif self.searching:
            self.choice = next(self.trials)
        if self.has_maps:  # an earlier pass may have left it in the other layout
            with locked(model):
                model.to(memory_format=self.choice[1])

    def _trials(self, sizes: list[int]) -> Iterator[tuple]:
        """Both layouts at the smallest size that takes long enough to be timed, then larger ones
        in the better while they help."""
        first, *layouts = (LAST, USUAL) if self.has_maps else (USUAL,)
        for number, size in enumerate(sizes, 1):
            yield size, first
            if self.cost[self.choice] * size * self.at_once >= SHORTEST or number == len(sizes):
                break
            del self.cost[self.choice]
        for layout in layouts:
            yield sizes[number - 1], layout
        for size in sizes[number:]:
            before = self.cost[self.best]
            yield size, self.best[1]
            if self.cost[self.choice] > HELPS * before:
                return

    @property
    def best(self) -> tuple:
        return min(self.cost, key=self.cost.__getitem__)

    @property
    def size(self) -> int:
        return min(self.choice[0], self.largest)

    @property
    def batches(self) -> int:
        """How many batches the next round has: several for each of those that run side by side,
        where they are quick."""
        if self.searching or self.at_once == 1 or self.choice not in self.cost:
            return self.at_once
        seconds = self.cost[self.choice] * self.size * self.at_once
        return self.at_once * max(1, min(MOST_BETWEEN, int(MEETING / max(seconds, 1e-9))))

    @property
    def layout(self) -> torch.memory_format:
        return self.choice[1]

    @contextmanager
    def timed(self, size: int) -> Iterator[None]:
        """Around a round of forward passes, `size` examples in all; while searching, its time
        counts."""
        begin = time.perf_counter()
        yield
        if not self.searching:
            return
        if device().type != "cpu":
            torch.accelerator.synchronize()
        seconds = (time.perf_counter() - begin) / size
        self.rounds += 1
        if not self.rounds:
            return
        hopeless = device().type == "cpu" and seconds > HOPELESS * min(
            self.cost.values(), default=seconds
        )
        self.cost[self.choice] = min(seconds, self.cost.get(self.choice, seconds))
        if self.rounds == ROUNDS or hopeless:
            self._next()

    def _next(self) -> None:
        choice = next(self.trials, None)
        self.searching, self.rounds = choice is not None, 0
        if not choice:
            _found[self.model][self.asked] = self.best, self.cost[self.best]
        self._take(choice or self.best)

    def _take(self, choice: tuple) -> None:
        if choice[1] is not self.choice[1]:
            with locked(self.model):
                self.model.to(memory_format=choice[1])
        self.choice = choice

    def recovers(self, error: Exception) -> bool:
        """Whether the batch that failed may be run again: smaller after the memory ran out (down
        to 1), or in the usual layout where the network cannot take channels-last."""
        if out_of_memory(error) and self.size > 1 and not self.fixed:
            self.largest = self.size // 2
            self.searching = False
            if device().type == "cuda":
                torch.cuda.empty_cache()
            return True
        if self.layout is LAST:
            self.searching = False
            usual = [c for c in self.cost if c[1] is USUAL]
            self._take(min(usual, key=self.cost.__getitem__, default=(self.size, USUAL)))
            return True
        return False


def out_of_memory(error: Exception) -> bool:
    """Whether a device or the machine had too little memory, in torch's ways of saying so."""
    words = str(error).lower()
    return (
        isinstance(error, torch.OutOfMemoryError)
        or "out of memory" in words
        or "can't allocate memory" in words
    )
