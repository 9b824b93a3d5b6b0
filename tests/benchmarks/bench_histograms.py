"""Event files to histograms with every bucket and percentile, beside TensorBoard's own reader.

    python -m tests.benchmarks.bench_histograms [--histograms 40000] [--buckets 30] [--rounds 3]

The two take turns; the best round of each counts. Ours: the log is read and checked, then all its
histograms are decoded. TensorBoard's: EventAccumulator's Reload, then Histograms of each tag.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.plugins.distribution.compressor import compress_histogram_proto

from core.events.histograms import KINDS, Histograms, histograms
from core.logged.histograms import percentiles
from core.logs import read_logs
from tests.benchmarks.bench_logs import best
from tests.event_files import NAME, tensorboard_reader, write

TAGS = 40


def logged(number: int, buckets: int) -> Iterator[Event]:
    """Histograms of TAGS tags in turn, each with buckets of its own."""
    chance = np.random.default_rng(0)
    for place in range(number):
        layer = place % TAGS
        counts, edges = np.histogram(chance.normal(0, 1 + layer, 500), buckets)
        proto = HistogramProto(min=edges[0], max=edges[-1], num=500, sum=1, sum_squares=2,
                               bucket_limit=edges[1:], bucket=counts)
        yield Event(step=place // TAGS, wall_time=1.7e9 + place, summary=Summary(
            value=[Summary.Value(tag=f"gradients/layer{layer}.weight", histo=proto)]))


def ours(folder: Path) -> Histograms:
    others = read_logs(folder).others
    return histograms(others[others["kind"].isin(KINDS)])


def theirs(folder: Path) -> list:
    reader = tensorboard_reader(folder)
    return [reader.Histograms(tag) for tag in reader.Tags()["histograms"]]


def bands(folder: Path, rounds: int) -> str:
    """The ratio for the percentiles of one tag's histograms, decoded before."""
    found, events = ours(folder), theirs(folder)
    mine, other = best(rounds, lambda: percentiles(found), lambda: [
        compress_histogram_proto(event.histogram_value) for tag in events for event in tag])
    return f"percentiles {mine:.3f} s and {other:.2f} s, {other / mine:.1f} times"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--histograms", type=int, default=40_000)
    parser.add_argument("--buckets", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        write(Path(name) / NAME, logged(given.histograms, given.buckets))
        mine, other = best(given.rounds, lambda: ours(Path(name)), lambda: theirs(Path(name)))
        print(f"{given.histograms:,} histograms of {given.buckets} buckets: ours {mine:.3f} s, "
              f"EventAccumulator {other:.2f} s, {other / mine:.1f} times faster; "
              f"{bands(Path(name), given.rounds)}")


if __name__ == "__main__":
    main()
