"""Event files to a table with every point, beside TensorBoard's EventAccumulator and data server.

    python -m tests.benchmarks.bench_logs [--steps 50000] [--tags 20] [--rounds 3] [--only one]
                                          [--keep FOLDER]

They take turns; the best round of each counts. A ratio moves less from machine to machine than a
time, and least where nothing else runs. The data server (Rust, where tensorboard-data-server is
installed) uses all processors and checks no checksum of a record that it can parse, as TensorBoard
starts it; ours uses one, two where files are alike, and checks them all. These two take four turns
a round, as they are over so soon that a moment of other work is all of a turn, and of ours the best
of a few reads is a turn, which together take as long as its one: a processor that has just slept
is slower for longer than one read. Its points are a table for its user once ReadScalars
has brought them: "load" is what it says its own reading took, and the second figure adds that call
and the table made of its answer. `--keep` keeps what was generated for another time.
"""

import argparse
import importlib.util
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
import pandas as pd
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.tensor_pb2 import TensorProto

from core.log_files.parts import keeping
from core.logs import read_logs
from tests.event_files import NAME, scalar, tensor, tensorboard_reader, write

REPOSITORY = Path(__file__).parents[2]
TRIES = 5
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
    if importlib.util.find_spec("tensorboard_data_server"):
        turns = [(*best(TRIES, lambda: read_logs(folder)), *data_server(folder))
                 for _ in range(4 * rounds)]
        ours, load, whole = map(min, zip(*turns, strict=True))
        print(f"{'':28} data server: load {load:.2f} s, points in a table {whole:.2f} s, ours "
              f"{ours:.3f} s, {whole / ours:.1f} times faster ({load / ours:.1f} than its load "
              "alone)", flush=True)


def data_server(folder: Path) -> tuple[float, float]:
    """Seconds that TensorBoard's own server says it took to load all points, and seconds until
    they are in a table of whoever asked for them."""
    from tensorboard_data_server import server_binary

    command = [server_binary(), "--logdir", str(folder), "--reload", "once", "--port", "0",
               "--samples-per-plugin", "scalars=all", "-v", "--die-after-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as server:
        port = load = None
        for line in server.stderr:
            if found := re.search(r"listening on \S*?:(\d+)\b", line):
                port = found[1]
            if found := re.search(r"Finished load cycle \(([\d.]+)(m?s)\)", line):
                load = float(found[1]) / (1000 if found[2] == "ms" else 1)
            if port and load is not None:
                break
        else:
            raise RuntimeError("the data server ended without a load")
        reading = _seconds(lambda: served_table(port))
        server.stdin.close()
        return load, load + reading


def served_table(port: str) -> pd.DataFrame:
    """Every scalar that the data server holds, as a table."""
    import grpc
    from tensorboard.data.grpc_provider import make_stub
    from tensorboard.data.proto import data_provider_pb2

    request = data_provider_pb2.ReadScalarsRequest()
    request.plugin_filter.plugin_name = "scalars"
    request.downsample.num_points = 1 << 40
    unlimited = [("grpc.max_receive_message_length", -1)]
    with grpc.secure_channel(f"localhost:{port}", grpc.local_channel_credentials(),
                             unlimited) as channel:
        answer = make_stub(channel).ReadScalars(request)
    series = [(run.run_name, tag.tag_name, tag.data) for run in answer.runs for tag in run.tags]
    sizes = [len(data.step) for _, _, data in series]
    runs, tags = (pd.Categorical([one[place] for one in series]) for place in (0, 1))
    columns = {name: np.concatenate([np.array(getattr(data, name)) for _, _, data in series])
               for name in ("step", "wall_time", "value")}
    return pd.DataFrame({"run": runs.repeat(sizes), "tag": tags.repeat(sizes)} | columns)


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
