"""Histograms, pictures, texts and curves of event files against TensorBoard's own reader."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.util.tensor_util import make_ndarray, make_tensor_proto

from core.errors import UserError
from core.events.payloads import as_histogram, payload, record_at
from core.log_formats import OTHERS
from core.logs import read_logs
from tests.event_files import NAME, scalar, tensor, tensorboard_reader, write


def found(row):
    return payload(record_at(Path(row["file"]), row["byte"], row["size"]), row["tag"])


def of_kind(folder, kind):
    others = read_logs(folder).others
    assert list(others.columns) == OTHERS
    rows = others[others["kind"] == kind].to_dict("records")
    return rows, [found(row) for row in rows]


@pytest.fixture
def by_torch(tmp_path):
    from torch.utils.tensorboard import SummaryWriter
    chance = np.random.default_rng(0)
    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(3):
            writer.add_scalar("loss", step, step)
            writer.add_histogram("weights", chance.normal(size=500), step, walltime=5.0 + step)
            writer.add_image("picture", chance.random((3, 9, 7)), step)
            writer.add_text("note", f"words **{step}**", step)
            writer.add_pr_curve("pr", chance.integers(0, 2, 90), chance.random(90), step)
    return tmp_path


def test_histograms_of_torch(by_torch):
    rows, values = of_kind(by_torch, "histogram")
    theirs = tensorboard_reader(by_torch).Histograms("weights")
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert [row["wall_time"] for row in rows] == [5.0, 6.0, 7.0]
    for ours, event in zip(values, theirs, strict=True):
        proto = event.histogram_value
        np.testing.assert_array_equal(ours.right, proto.bucket_limit)
        np.testing.assert_array_equal(ours.counts, proto.bucket)
        np.testing.assert_array_equal(ours.left, [proto.min, *proto.bucket_limit[:-1]])
        assert ours.counts.sum() == 500


def test_pictures_texts_and_curves_of_torch(by_torch):
    theirs = tensorboard_reader(by_torch)
    pictures = [event.encoded_image_string for event in theirs.Images("picture")]
    assert of_kind(by_torch, "image")[1] == [[picture] for picture in pictures]
    assert of_kind(by_torch, "text")[1] == [[f"words **{step}**".encode()] for step in range(3)]
    for ours, event in zip(of_kind(by_torch, "pr_curves")[1], theirs.Tensors("pr"), strict=True):
        np.testing.assert_array_equal(ours, make_ndarray(event.tensor_proto))
        assert ours.shape[0] == 6


@pytest.mark.parametrize("array", [
    np.arange(12.0).reshape(4, 3), np.zeros((0, 3)), np.float32([[1, 2, 3]]), np.int64([-1, 2**40]),
    np.uint8([[1, 2], [3, 255]]), np.array([True, False]), np.float16([0.5, -2, 1])])
def test_tensors_in_each_form(array, tmp_path):
    content = make_tensor_proto(array)
    listed = TensorProto(dtype=content.dtype, tensor_shape=content.tensor_shape)
    name = {"f2": "half_val", "f4": "float_val", "f8": "double_val", "i8": "int64_val",
            "u1": "int_val", "b1": "bool_val"}[array.dtype.str[1:]]
    flat = array.view(np.uint16) if array.dtype == np.float16 else array
    getattr(listed, name).extend(flat.ravel().tolist())
    write(tmp_path / NAME, [tensor("a", 0, content, "histograms"), tensor("a", 1, listed, "histograms")])
    rows, values = of_kind(tmp_path, "histograms")
    assert len(rows) == 2
    for ours in values:
        np.testing.assert_array_equal(ours, array)
        assert ours.shape == array.shape


def test_a_second_tensorflows_histogram(tmp_path):
    array = np.array([[0, 1, 5], [1, 2, 7.0]])
    write(tmp_path / NAME, [tensor("w", 0, make_tensor_proto(array), "histograms")])
    ours = as_histogram(of_kind(tmp_path, "histograms")[1][0])
    assert (ours.left.tolist(), ours.right.tolist(), ours.counts.tolist()) == ([0, 1], [1, 2], [5, 7])
    with pytest.raises(ValueError, match="shape"):
        as_histogram(np.zeros(3))


def test_one_value_for_a_shape_and_shapes_that_lie(tmp_path):
    def shaped(*sizes):
        return TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in sizes])

    filled = TensorProto(dtype=2, double_val=[0.5], tensor_shape=shaped(2, 3))
    vast = TensorProto(dtype=2, double_val=[0.5], tensor_shape=shaped(1 << 31, 3))
    write(tmp_path / NAME, [tensor("a", 0, filled, "mesh"), tensor("a", 1, vast, "mesh")])
    rows = read_logs(tmp_path).others.to_dict("records")
    np.testing.assert_array_equal(found(rows[0]), np.full((2, 3), 0.5))
    with pytest.raises(ValueError, match="reshape"):
        found(rows[1])


def test_histograms_whose_lists_differ_are_refused(tmp_path):
    event = scalar("a", 0, 1.0)
    event.summary.value.append(Summary.Value(tag="h", histo=HistogramProto(
        min=0, bucket_limit=[1, 2], bucket=[3])))
    write(tmp_path / NAME, [event])
    (row,) = read_logs(tmp_path).others.to_dict("records")
    with pytest.raises(ValueError, match="differ in number"):
        found(row)


def test_packed_files_and_files_that_went_away(by_torch, tmp_path_factory):
    (path,) = by_torch.glob("*tfevents*")
    packed = tmp_path_factory.mktemp("packed") / f"{path.name}.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert of_kind(packed, "text")[1] == of_kind(by_torch, "text")[1]
    (row, *_), _ = of_kind(by_torch, "text")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="became shorter"):
        found(row)
    path.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        found(row)
