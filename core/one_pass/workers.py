"""Threads that each run batches of their own; on a CPU as many as torch would use in one operator.

Threads that share an operator wait for each other at its end, thousands of times a second; batches
side by side do not. On two idle cores that is 1.4 times as fast, and many times where another
program uses one of them (tests/benchmarks/bench_inference.py).
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from core.device import device
from core.memory import keep_freed_memory
from core.threads import side_by_side

MOST = 16  # more would wait for the interpreter
TURN = 0.0005  # seconds; at Python's 5 ms each operator waits that long for a thread that is busy


@dataclass(frozen=True)
class Workers:
    """`count` batches are run at once."""

    count: int
    pool: ThreadPoolExecutor | None = None

    def run(self, function: Callable[[Any], Any], parts: Sequence[Any]) -> list[Any]:
        """What the function gives for each part, in order; raises what the first of them raised,
        once none is running."""
        if self.pool is None:
            return [function(part) for part in parts]
        found, left = [None] * len(parts), iter(range(len(parts)))

        def work() -> None:  # each takes the next: a future a part costs as much as a small batch
            for place in left:
                found[place] = function(parts[place])

        futures = [self.pool.submit(work) for _ in range(min(self.count, len(parts)))]
        if wait(futures, return_when=FIRST_EXCEPTION).not_done:
            deque(left, 0)  # nothing is left for the others
        wait(futures)
        for future in futures:
            future.result()
        return found


@contextmanager
def workers() -> Iterator[Workers]:
    """As many as suit the device; inside the block."""
    keep_freed_memory()
    turn = sys.getswitchinterval()
    sys.setswitchinterval(min(turn, TURN))
    try:
        with _threads() as team:
            yield team
    finally:
        sys.setswitchinterval(turn)


@contextmanager
def _threads() -> Iterator[Workers]:
    threads = torch.get_num_threads()
    count = min(threads, MOST) if device().type == "cpu" else 1
    if count == 1:
        yield Workers(1)
        return
    with side_by_side(count, "netlens-forward", threads // count) as pool:
        yield Workers(count, pool)
