"""The event file reader against TensorBoard's own, on files of every kind and on damaged ones."""

import random
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tensorboard.compat.proto.event_pb2 import Event, SessionLog, TaggedRunMetadata
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.util.tensor_util import make_tensor_proto

from core.errors import UserError
from core.events import decoding, pieces, reader
from core.events.checksum import crc32c, masked
from core.events.framing import HEADER, frame, record_size
from core.log_formats.tensorboard_events import FORMAT
from core.logs import read_logs
from tests.event_files import NAME, assert_same, by_tag, by_tensorboard, scalar, tensor, write

# DataType, its name in numpy, the list that holds its values
TYPES = [(1, "<f4", "float_val"), (2, "<f8", "double_val"), (3, "<i4", "int_val"),
         (4, "u1", "int_val"), (5, "<i2", "int_val"), (6, "i1", "int_val"),
         (9, "<i8", "int64_val"), (10, "?", "bool_val"), (17, "<u2", "int_val"),
         (19, "<f2", "half_val")]
UNSIGNED = [(22, "<u4", "uint32_val"), (23, "<u8", "uint64_val")]  # TensorBoard cannot read these


def load(*paths):
    return FORMAT.load(sorted(paths), "run")


def same_as_tensorboard(folder):
    logs = load(*folder.glob("*tfevents*"))
    assert_same(by_tag(logs.table), by_tensorboard(folder))
    return logs


def test_torch_writer(tmp_path):
    from torch.utils.tensorboard import SummaryWriter
    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(700):
            for tag in ("loss/train", "loss/val", "accuracy"):
                writer.add_scalar(tag, np.sin(step) * 1e-3, step)
            writer.add_scalar("new", step / 3, step, new_style=True)
            writer.add_scalar("new double", step / 3, step, new_style=True, double_precision=True)
        writer.add_histogram("weights", np.arange(10.0), 1)
        writer.add_image("picture", np.zeros((3, 4, 4), np.uint8), 1)
        writer.add_text("note", "words", 1)
    logs = same_as_tensorboard(tmp_path)
    assert len(logs.table) == 3500
    assert any("1 histogram, 1 image, 1 text." in note for note in logs.notes)


def test_what_is_no_scalar_is_counted_in_words(tmp_path):
    graph = [Event(step=step, graph_def=b"\n\0") for step in range(3)]
    profile = TaggedRunMetadata(tag="step", run_metadata=b"\n\0")
    write(tmp_path / NAME, [scalar("a", 0, 1.0), *graph,
                            Event(tagged_run_metadata=profile), Event(tagged_run_metadata=profile),
                            *(tensor("pr", step, make_tensor_proto(np.ones((6, 3))), "pr_curves")
                              for step in range(2))])
    assert any(note.endswith(": 3 graphs, 2 precision-recall curves, 2 entries of run metadata.")
               for note in read_logs(tmp_path).notes)


def test_columns_are_as_promised(tmp_path):
    write(tmp_path / NAME, [scalar("a", 3, 0.5, 12.25), scalar("b", 3, 1.5, 12.5)])
    table = load(tmp_path / NAME).table
    assert [str(kind) for kind in table.dtypes] == ["category", "category", "int64", "float64",
                                                    "float64"]
    assert table.to_numpy().tolist() == [["run", "a", 3, 12.25, 0.5], ["run", "b", 3, 12.5, 1.5]]


@pytest.mark.parametrize("kind, name, listed", TYPES, ids=[name for _, name, _ in TYPES])
def test_tensors_of_every_type(tmp_path, kind, name, listed):
    numbers = np.array([0, 1, 1, 0] if name == "?" else [0, 1, 100, 77], name)
    if name[1:] in ("i2", "i4", "i8") or name == "i1":
        numbers = np.append(numbers, np.array([-5, np.iinfo(name).min, np.iinfo(name).max], name))
    if "f" in name:
        numbers = np.append(numbers, np.array([np.nan, np.inf, -np.inf, -0.0, 1 / 3], name))
    events = []
    for step, number in enumerate(numbers):
        content = TensorProto(dtype=kind, tensor_content=number.tobytes())
        stored = number.view("<u2") if listed == "half_val" else number
        value = TensorProto(dtype=kind, **{listed: [stored.item()]})
        one = TensorProto(dtype=kind, tensor_content=number.tobytes(),
                          tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]))
        events += [tensor("content", step, content), tensor("list", step, value),
                   tensor("of one", step, one)]
    write(tmp_path / NAME, events)
    same_as_tensorboard(tmp_path)


@pytest.mark.parametrize("kind, name, listed", UNSIGNED)
def test_unsigned_tensors(tmp_path, kind, name, listed):
    numbers = np.array([0, 1, 300, np.iinfo(name).max], name)
    protos = [TensorProto(dtype=kind, **{listed: [int(number)]}) for number in numbers]
    protos += [TensorProto(dtype=kind, tensor_content=number.tobytes()) for number in numbers]
    write(tmp_path / NAME, [tensor("x", step, proto) for step, proto in enumerate(protos)])
    assert load(tmp_path / NAME).table["value"].tolist() == [*numbers.astype(float)] * 2


def test_bfloat16(tmp_path):
    numbers = [0.0, 1.0, -3.140625, float("inf")]
    bits = [int(np.float32(number).view(np.uint32)) >> 16 for number in numbers]
    write(tmp_path / NAME, [tensor("x", 0, TensorProto(dtype=14, half_val=[b])) for b in bits])
    assert load(tmp_path / NAME).table["value"].tolist() == numbers


def test_unpacked_list_is_read_as_the_packed_one(tmp_path):
    unpacked = tensor("x", 1, TensorProto(dtype=2, tensor_content=b""))
    value = b"\x0a\x01x" + b"\x42\x0b\x08\x02" + b"\x31" + struct.pack("<d", 2.5)
    body = b"\x0a" + bytes([len(value)]) + value
    write(tmp_path / NAME, [b"\x10\x01\x2a" + bytes([len(body)]) + body, unpacked])
    logs = load(tmp_path / NAME)
    assert logs.table["value"].tolist() == [2.5]
    assert any("1 tensor" in note for note in logs.notes)  # the one without a number


def test_metadata_comes_only_first_and_holds_for_later_files(tmp_path):
    half = TensorProto(dtype=1, float_val=[0.5])
    write(tmp_path / f"{NAME}.1", [tensor("x", 0, half), tensor("x", 1, half, None),
                                   tensor("words", 0, half, "text")])
    write(tmp_path / f"{NAME}.2", [tensor("x", 2, half, None), tensor("words", 1, half, None)])
    logs = same_as_tensorboard(tmp_path)
    assert logs.table["step"].tolist() == [0, 1, 2]
    assert any("2 texts" in note for note in logs.notes)


def test_odd_events(tmp_path):
    many = Summary(value=[Summary.Value(tag=f"t{i % 7}", simple_value=i) for i in range(40)])
    write(tmp_path / NAME, [
        Event(wall_time=5.0, step=1, summary=many), Event(summary=many),
        Event(step=-3, summary=many), Event(wall_time=1.0, step=2**62, summary=many),
        Event(step=-2**63), Event(),
        Event(session_log=SessionLog(status=SessionLog.START), step=1),
        scalar("", 1, 2.0), scalar("ünï\n<b>", 1, 2.0), scalar("x" * 5000, 1, 2.0),
        scalar("x" * 70_000, 1, 2.0), *(scalar("odd", i, v) for i, v in enumerate(
            [float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e-45, 3.4e38]))], version=False)
    logs = same_as_tensorboard(tmp_path)
    assert len(logs.table) == 4 * 40 + 4 + 7


def random_event(chance: random.Random):
    tag, step = f"tag{chance.randrange(30)}", chance.choice([0, 5, -1, chance.randrange(2**40)])
    kind, wall_time = chance.randrange(5), chance.random() * 2e9
    if kind == 0:
        return scalar(tag, step, chance.random(), wall_time)
    if kind == 1:
        kind, name, _ = TYPES[chance.randrange(2)]
        content = np.array(chance.random(), name).tobytes()
        return tensor(f"tensor {tag}", step, TensorProto(dtype=kind, tensor_content=content),
                      wall_time=wall_time)
    if kind == 2:
        proto = TensorProto(dtype=9, int64_val=[chance.randrange(-2**62, 2**62)])
        return tensor(f"whole {tag}", step, proto, wall_time=wall_time)
    if kind == 3:
        return Event(step=step, wall_time=wall_time, summary=Summary(value=[
            Summary.Value(tag=f"tag{i}", node_name="n" * chance.randrange(3), simple_value=i)
            for i in range(chance.randrange(4))]))
    return Event(step=step, graph_def=bytes(chance.randrange(300)))


@pytest.mark.parametrize("seed", range(3))
def test_random_files(tmp_path, seed):
    chance = random.Random(seed)
    write(tmp_path / NAME, [random_event(chance) for _ in range(3000)])
    same_as_tensorboard(tmp_path)


@pytest.mark.parametrize("chunk, block", [(1 << 10, 1 << 20), (977, 100), (60, 1 << 20)])
def test_borders_of_pieces_change_nothing(tmp_path, monkeypatch, chunk, block):
    chance = random.Random(9)
    write(tmp_path / NAME, [random_event(chance) for _ in range(400)])
    whole = load(tmp_path / NAME)
    monkeypatch.setattr(pieces, "CHUNK", chunk)
    monkeypatch.setattr(decoding, "BLOCK", block)
    monkeypatch.setattr(decoding, "LONGEST_ROW", 120)
    parts = load(tmp_path / NAME)
    assert_same(by_tag(parts.table), by_tag(whole.table))
    assert parts.table["step"].tolist() == whole.table["step"].tolist()


def test_more_tags_and_layouts_than_tables_hold(tmp_path):
    tags = [f"tag {number:06}" for number in range(9000)]
    layouts = [scalar(f"tag {i:06}", 1, i).SerializeToString() + bytes([8 * 12, i])
               for i in range(100)]  # an unknown field of varying content
    write(tmp_path / NAME, [*(scalar(tag, 1, i) for i, tag in enumerate(tags)), *layouts])
    table = load(tmp_path / NAME).table
    assert table["tag"].tolist() == tags + tags[:100]
    assert table["value"].tolist() == [*range(9000), *range(100)]


def test_cut_at_every_byte_keeps_what_precedes(tmp_path):
    offsets = write(tmp_path / "whole", [scalar("loss", step, step / 7) for step in range(4)])
    data = (tmp_path / "whole").read_bytes()
    for cut in range(offsets[3], offsets[5]):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / NAME).write_bytes(data[:cut])
        logs = same_as_tensorboard(folder)
        begun = max(offset for offset in offsets if offset <= cut)
        said = any(f"byte {begun:,}: a record is cut off after {cut - begun}" in note
                   for note in logs.notes)
        assert said == (cut != begun)


def damaged(tmp_path, byte, count=60):
    offsets = write(tmp_path / NAME, [scalar("loss", step, step / 7) for step in range(count)])
    data = bytearray((tmp_path / NAME).read_bytes())
    data[offsets[31] + byte] ^= 0x10
    (tmp_path / NAME).write_bytes(data)
    return offsets[31], load(tmp_path / NAME)


@pytest.mark.parametrize("byte", [12, 14, 22, 30, 40])
def test_damaged_record_is_skipped_and_said(tmp_path, byte):
    offset, logs = damaged(tmp_path, byte)
    assert logs.table["step"].tolist() == [step for step in range(60) if step != 30]
    assert any(f"byte {offset:,}: a record is damaged" in note for note in logs.notes)


@pytest.mark.parametrize("byte", range(12))
def test_damaged_length_stops_and_is_said(tmp_path, byte):
    offset, logs = damaged(tmp_path, byte)
    assert logs.table["step"].tolist() == list(range(30))
    assert any(f"byte {offset:,}: the checksum of a record's length" in note for note in logs.notes)


def test_no_flipped_bit_goes_unnoticed(tmp_path):
    chance = random.Random(4)
    events = [scalar(f"t{i % 3}", i, chance.random()) for i in range(300)]
    write(tmp_path / NAME, events)
    data, whole = (tmp_path / NAME).read_bytes(), load(tmp_path / NAME)
    points = set(zip(*(whole.table[name] for name in ("tag", "step", "value")), strict=True))
    for _ in range(150):
        flipped = bytearray(data)
        flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        (tmp_path / NAME).write_bytes(flipped)
        try:
            logs = load(tmp_path / NAME)
        except UserError:
            continue
        kept = set(zip(*(logs.table[name] for name in ("tag", "step", "value")), strict=True))
        assert kept <= points and len(logs.notes) > 1


@pytest.mark.parametrize("junk", [b"\xff" * 40, b"\x2a\x7f", b"\x09\x00", b"hello, world", b"\x07",
                                  b"\x2a\x05\x0a\x03\x0a\x01\xff"])
def test_records_that_are_no_events_are_skipped(tmp_path, junk):
    offsets = write(tmp_path / NAME, [scalar("a", 0, 1.0), junk, junk, scalar("a", 1, 2.0)])
    logs = load(tmp_path / NAME)
    assert logs.table["value"].tolist() == [1.0, 2.0]
    assert any(f"byte {offsets[2]:,}: a record is not an event" in note and "1 more" in note
               for note in logs.notes)


def test_claimed_length_and_shape_are_never_allocated(tmp_path):
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
    vast = TensorProto(dtype=1, tensor_content=bytes(4), tensor_shape=TensorShapeProto(
        dim=[TensorShapeProto.Dim(size=1 << 40)]))
    write(tmp_path / NAME, [scalar("a", 0, 1.0), tensor("a b", 0, vast)])
    length = struct.pack("<Q", 1 << 62)
    with (tmp_path / NAME).open("ab") as file:
        file.write(length + struct.pack("<I", masked_crc32c(length)) + b"12345")
    logs = load(tmp_path / NAME)
    assert logs.table["value"].tolist() == [1.0]
    assert any("tensor" in note for note in logs.notes)
    assert any("cut off after 17 bytes, it claims 4,611," in note for note in logs.notes)


def test_a_record_of_countless_fields_costs_little(tmp_path):
    write(tmp_path / NAME, [b"\x60\x01" * 3_000_000, scalar("a", 0, 1.0)])
    logs = load(tmp_path / NAME)
    assert logs.table["value"].tolist() == [1.0]
    assert any("is not an event" in note for note in logs.notes)


def test_refusals_name_the_file_and_the_reason(tmp_path):
    (tmp_path / "a.tfevents").write_bytes(b"")
    with pytest.raises(UserError, match=r"a\.tfevents is empty \(0 bytes\)"):
        load(tmp_path / "a.tfevents")
    write(tmp_path / "b", [])
    (tmp_path / "b").write_bytes((tmp_path / "b").read_bytes()[:20])
    with pytest.raises(UserError, match=r"b is not a .*damaged: at byte 0 a record is cut off"):
        load(tmp_path / "b")
    with pytest.raises(UserError, match="gone cannot be read"):
        load(tmp_path / "gone")


def test_empty_file_beside_others_is_noted(tmp_path):
    write(tmp_path / f"{NAME}.1", [scalar("a", 0, 1.0)])
    (tmp_path / f"{NAME}.2").touch()
    logs = load(tmp_path / f"{NAME}.1", tmp_path / f"{NAME}.2")
    assert len(logs.table) == 1
    assert any(f"{NAME}.2 is empty" in note for note in logs.notes)


def test_matches_by_content_not_by_name(tmp_path):
    write(tmp_path / "data.bin", [scalar("a", 0, 1.0)])
    write(tmp_path / "examples.tfrecord", [b"\x0a\x03\x0a\x01x"], version=False)  # a tf.Example
    (tmp_path / f"{NAME}.csv").write_text("step,loss\n1,2\n")
    (tmp_path / NAME).touch()
    (tmp_path / "empty.txt").touch()
    write(tmp_path / f"{NAME}.profile-empty", [])
    found = {path.name for path in Path(tmp_path).iterdir() if FORMAT.matches(path)}
    assert found == {"data.bin", NAME}
    assert not FORMAT.matches(tmp_path) and not FORMAT.matches(tmp_path / "gone")


def record(length, chance):
    header = struct.pack("<Q", length)
    return (header + struct.pack("<I", masked(crc32c(header))) + chance.randbytes(length + 4))


def plain_walk(buffer):
    """(starts, where they end, why), one record after the other."""
    at, starts = 0, []
    while at + HEADER.size <= len(buffer):
        size = record_size(buffer[at:at + HEADER.size])
        if size is None:
            return starts, at, "length checksum"
        if at + size > len(buffer):
            break
        starts.append(at)
        at += size
    return starts, at, "cut" if at < len(buffer) else ""


def test_framing_is_that_of_a_plain_walk_whatever_was_framed_before():
    chance = random.Random(1)
    usual = [chance.choice([5, 7, 9]) for _ in range(900)]
    for _ in range(200):
        sizes = usual[:chance.randrange(900)]
        if sizes and chance.random() < 0.5:
            sizes[chance.randrange(len(sizes))] = chance.randrange(30)
        if chance.random() < 0.3:
            sizes += [11, 12] * chance.randrange(300)
        buffer = bytearray(b"".join(record(size, chance) for size in sizes))
        if buffer and chance.random() < 0.4:
            del buffer[chance.randrange(len(buffer)):]
        if buffer and chance.random() < 0.3:
            buffer[chance.randrange(len(buffer))] ^= 1
        framing = frame(bytes(buffer), {})
        assert (framing.starts.tolist(), framing.stop, framing.reason) == plain_walk(bytes(buffer))


def test_runs_that_are_read_together_are_what_each_is_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "MOST_COMMON_NAMES", 4)  # so that names begin anew on the way
    runs = {}
    for number in range(12):
        path = tmp_path / f"run{number}" / NAME
        offsets = write(path, [event for step in range(3 + 5 * number) for event in (
            scalar(f"loss/{number % 5}", step, step / (number + 1)),
            tensor("note", step, TensorProto(dtype=7, string_val=[b"word"]), "text"),
            tensor("of two", step, TensorProto(dtype=1, float_val=[step]),
                   "scalars" if number % 2 else "mine"))])
        data = bytearray(path.read_bytes())
        if number % 3 == 1:
            data[offsets[4] + 20] ^= 1
        path.write_bytes(data[:-5] if number % 4 == 2 else data)
        runs[f"run{number}"] = [path]
    (tmp_path / "empty").write_bytes(b"")
    runs |= {"empty": [tmp_path / "empty"], "gone": [tmp_path / "gone"]}
    together = FORMAT.load_together(runs)
    assert list(together) == list(runs)
    for run, files in runs.items():
        alone = FORMAT.load_together({run: files})[run]
        if isinstance(alone, UserError):
            assert str(together[run]) == str(alone)
            continue
        pd.testing.assert_frame_equal(together[run].table, alone.table)
        pd.testing.assert_frame_equal(together[run].others, alone.others)
        assert together[run].notes == alone.notes
        if run in ("run0", "run3", "run5"):  # whole ones, where TensorBoard reads all
            assert_same(by_tag(together[run].table), by_tensorboard(files[0].parent))
    assert isinstance(together["gone"], UserError) and isinstance(together["empty"], UserError)
