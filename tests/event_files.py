"""Event files made by TensorBoard's own record writer and protobuf, and what its reader makes of
them: the reference for ours, sharing no code with it."""

import math
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_ndarray

EVERYTHING = dict.fromkeys(("scalars", "tensors", "histograms", "images", "audio",
                            "compressedHistograms"), 0)
NAME = "events.out.tfevents.1700000000.host"


def scalar(tag, step, value, wall_time=1.7e9):
    return Event(step=step, wall_time=wall_time,
                 summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)]))


def tensor(tag, step, proto, plugin="scalars", wall_time=1.7e9):
    value = Summary.Value(tag=tag, tensor=proto)
    if plugin is not None:
        value.metadata.CopyFrom(SummaryMetadata(
            plugin_data=SummaryMetadata.PluginData(plugin_name=plugin), display_name=tag))
    return Event(step=step, wall_time=wall_time, summary=Summary(value=[value]))


def write(path, events, version=True):
    """Writes events, or bytes as they are, as records; gives the offset of each and the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first = [Event(wall_time=1.7e9, file_version="brain.Event:2")] if version else []
    offsets = []
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for event in [*first, *events]:
            offsets.append(file.tell())
            writer.write(event if isinstance(event, bytes) else event.SerializeToString())
        offsets.append(file.tell())
    return offsets


def tensorboard_reader(folder: Path) -> EventAccumulator:
    """TensorBoard's own reader with all points of the folder, none purged."""
    reader = EventAccumulator(str(folder), size_guidance=EVERYTHING, purge_orphaned_data=False)
    return reader.Reload()


def by_tensorboard(folder: Path) -> dict[str, list[tuple]]:
    """Tag -> (step, wall time, value) of every scalar, as TensorBoard reads them."""
    reader = tensorboard_reader(folder)
    found = {tag: [tuple(point) for point in
                   ((p.step, p.wall_time, p.value) for p in reader.Scalars(tag))]
             for tag in reader.Tags()["scalars"]}
    for tag in reader.Tags()["tensors"]:
        metadata = reader.summary_metadata.get(tag)
        if metadata is None or metadata.plugin_data.plugin_name in ("", "scalars"):
            found.setdefault(tag, []).extend(
                (p.step, p.wall_time, float(make_ndarray(p.tensor_proto).item()))
                for p in reader.Tensors(tag))
    return found


def by_tag(table) -> dict[str, list[tuple]]:
    return {tag: list(zip(part["step"], part["wall_time"], part["value"], strict=True))
            for tag, part in table.groupby("tag", observed=True)}


def assert_same(found, expected):
    """Equal to the last bit, NaN equal to NaN."""
    assert set(found) == set(expected)
    for tag, points in expected.items():
        assert len(found[tag]) == len(points), tag
        for ours, theirs in zip(found[tag], points, strict=True):
            assert ours[0] == theirs[0], tag
            assert bits(ours[1]) == bits(theirs[1]), tag
            assert bits(ours[2]) == bits(theirs[2]), tag


def bits(number):
    return "nan" if math.isnan(number) else np.float64(number).tobytes()
