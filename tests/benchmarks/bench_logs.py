"""Event files to a table with every point, beside TensorBoard's EventAccumulator and data server.

    python -m tests.benchmarks.bench_logs [--steps 50000] [--tags 20] [--rounds 3] [--only one]
                                          [--keep FOLDER]

They take turns; the best round of each counts. A ratio moves less from machine to machine than a
time, and least where nothing else runs. The data server (Rust, all processors, no checksums; where
tensorboard-data-server is installed) is timed by what it says its load took: its points are then
in its own memory, and still to be fetched. `--keep` keeps what was generated for another time.
"""

import argparse
import importlib.util
import math
import os
import re
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

from core.log_parts import keeping
from core.logs import read_logs
from tests.event_files import NAME, scalar, tensor, tensorboard_reader, write

REPOSITORY = Path(__file__).parents[2]
CASES = {"one": "1 run, tags in turn", "tf2": "the same as TF2 tensors",
         "many": "many runs x 1,000 steps"}


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
    """Prints one line: seconds of each, and their ratios to ours."""
    runs = sorted({path.parent for path in folder.rglob("*tfevents*")})
    ours, theirs = best(rounds, lambda: read_logs(folder),
                        lambda: [tensorboard_reader(run) for run in runs])
    points = len(read_logs(folder).table)
    print(f"{title:28} {points:>9,} points  ours {ours:7.3f} s  EventAccumulator {theirs:7.2f} s  "
          f"{theirs / ours:6.1f} times faster", flush=True)
    served = min((data_server(folder) for _ in range(rounds)), default=math.nan)
    print(f"{'':28} {'':>9}         {'':17} data server      {served:7.2f} s  "
          f"{served / ours:6.1f} times faster", flush=True)


def data_server(folder: Path) -> float:
    """Seconds that TensorBoard's own server says it took to load all points; NaN without it."""
    if importlib.util.find_spec("tensorboard_data_server") is None:
        return math.nan
    from tensorboard_data_server import server_binary

    command = [server_binary(), "--logdir", str(folder), "--reload", "once", "--port", "0",
               "--samples-per-plugin", "scalars=all", "-v", "--die-after-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as server:
        for line in server.stderr:
            if found := re.search(r"Finished load cycle \(([\d.]+)(m?s)\)", line):
                server.stdin.close()
                return float(found[1]) / (1000 if found[2] == "ms" else 1)
    return math.nan


def grown(folder: Path) -> None:
    """Prints what opening costs once parts are kept, beside the first time."""
    with tempfile.TemporaryDirectory() as cache, keeping():
        os.environ["NETLENS_CACHE"] = cache
        first, again = (_seconds(lambda: read_logs(folder)) for _ in range(2))
    print(f"kept on disk: first {first:.3f} s, again {again:.3f} s")


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
    code = (f"from pathlib import Path; from tests.event_files import tensorboard_reader; "
            f"tensorboard_reader(Path({str(folder)!r}))")
    commands = ["-m", "core", "logs", str(folder)], ["-c", code]
    seconds = best(rounds, *(lambda words=words: subprocess.run(
        [sys.executable, *words], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
        for words in commands))
    print(f"python -m core logs: {seconds[0]:.2f} s, EventAccumulator {seconds[1]:.2f} s, "
          f"{seconds[1] / seconds[0]:.1f} times faster", flush=True)


def generated(root: Path, name: str, steps: int, tags: int) -> Path:
    """The folder of one of CASES, written unless it is there."""
    folder = root / name
    if folder.exists():
        return folder
    if name == "many":
        for run in range(max(1, steps // 500)):
            write(folder / f"run{run:03}" / NAME, scalars(max(1, tags // 2), 1000))
    else:
        write(folder / NAME, {"one": scalars, "tf2": tensors}[name](tags, steps))
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--tags", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=list(CASES))
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for case in [given.only] if given.only else CASES:
            folder = generated(given.keep or Path(name), case, given.steps, given.tags)
            compare(CASES[case], folder, given.rounds)
            if case == "one":
                memory(folder)
                grown(folder)
                start_up(folder, given.rounds)


if __name__ == "__main__":
    main()
