"""Event files to a table with every point, beside TensorBoard's EventAccumulator.

    python -m tests.benchmarks.bench_logs [--steps 50000] [--tags 20] [--rounds 3]

The two take turns; the best round of each counts. A ratio moves less from machine to machine than
a time, and least where nothing else runs.
"""

import argparse
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.tensor_pb2 import TensorProto

from core.logs import read_logs
from tests.event_files import NAME, scalar, tensor, tensorboard_reader, write

REPOSITORY = Path(__file__).parents[2]


def scalars(tags: int, steps: int) -> Iterator[Event]:
    values = np.random.default_rng(0).random((steps, tags))
    for step in range(steps):
        for tag in range(tags):
            yield scalar(f"group{tag % 3}/metric_{tag}", step, values[step, tag], 1.7e9 + step)


def tensors(tags: int, steps: int) -> Iterator[Event]:
    for step in range(steps):
        for tag in range(tags):
            content = np.float32(step / (tag + 1)).tobytes()
            yield tensor(f"metric_{tag}", step, TensorProto(dtype=1, tensor_content=content))


def best(rounds: int, *readers: Callable[[], object]) -> list[float]:
    """Seconds of each, the best of so many rounds in turn."""
    times = [[_seconds(reader) for reader in readers] for _ in range(rounds)]
    return [min(taken) for taken in zip(*times, strict=True)]


def _seconds(reader: Callable[[], object]) -> float:
    begin = perf_counter()
    reader()
    return perf_counter() - begin


def compare(title: str, folder: Path, rounds: int) -> None:
    """Prints one line: seconds of both, and their ratio."""
    runs = sorted({path.parent for path in folder.rglob("*tfevents*")})
    ours, theirs = best(rounds, lambda: read_logs(folder),
                        lambda: [tensorboard_reader(run) for run in runs])
    points = len(read_logs(folder).table)
    print(f"{title:28} {points:>9,} points  ours {ours:7.3f} s  EventAccumulator {theirs:7.2f} s  "
          f"{theirs / ours:6.1f} times faster", flush=True)


def memory(folder: Path) -> None:
    """Prints the peak of what is allocated while reading, as a multiple of the table."""
    tracemalloc.start()
    table = read_logs(folder).table
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = int(table.memory_usage(deep=True).sum())
    print(f"peak {peak / 1e6:.0f} MB, {peak / size:.1f} times the table's {size / 1e6:.0f} MB")


def start_up(folder: Path, rounds: int) -> None:
    """Prints the ratio of whole processes, imports included."""
    ours, theirs = (f"from pathlib import Path; from {module} import {reader}; "
                    f"{reader}(Path({str(folder)!r}))" for module, reader in
                    (("core.logs", "read_logs"), ("tests.event_files", "tensorboard_reader")))
    seconds = best(rounds, *(lambda code=code: subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, check=True) for code in (ours, theirs)))
    print(f"whole process: ours {seconds[0]:.2f} s, EventAccumulator {seconds[1]:.2f} s, "
          f"{seconds[1] / seconds[0]:.1f} times faster")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--tags", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write(root / "one" / NAME, scalars(given.tags, given.steps))
        compare(f"1 run x {given.tags} tags", root / "one", given.rounds)
        memory(root / "one")
        start_up(root / "one", given.rounds)
        write(root / "tf2" / NAME, tensors(given.tags, given.steps))
        compare("the same as TF2 tensors", root / "tf2", given.rounds)
        for run in range(max(1, given.steps // 500)):
            write(root / "many" / f"run{run:03}" / NAME, scalars(max(1, given.tags // 2), 1000))
        compare(f"{max(1, given.steps // 500)} runs x 1,000 steps", root / "many", given.rounds)


if __name__ == "__main__":
    main()
