"""Rounds of records read as a matrix: the same as record by record, whatever is in the file."""

import random
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto

from core.errors import UserError
from core.events import equals, pieces, rounds, sections
from core.events.equals import EqualFiles
from core.events.framing import HEADER
from core.events.sections import Searcher
from core.log_formats.tensorboard_events import FORMAT
from tests.event_files import NAME, assert_same, by_tag, by_tensorboard, scalar, tensor, write

NEVER = 1 << 60


@pytest.fixture
def eager(monkeypatch):
    """Rounds are looked for from the first records on, in the shortest stretches."""
    monkeypatch.setattr(rounds, "FEWEST", 2)
    monkeypatch.setattr(rounds, "FEWEST_SIDE_BY_SIDE", 2)
    monkeypatch.setattr(sections, "PATIENCE", 2)
    monkeypatch.setattr(sections, "MOST_PATIENCE", 1 << 20)
    sections._templates().clear()


def outcome(files):
    try:
        return FORMAT.load(files, "run")
    except UserError as error:
        return str(error)


def assert_as_record_by_record(files, monkeypatch):
    """Gives what was read."""
    found = outcome(files)
    with monkeypatch.context() as patched:
        patched.setattr(rounds, "FEWEST", NEVER)
        expected = outcome(files)
    if isinstance(expected, str):
        assert found == expected
        return None
    pd.testing.assert_frame_equal(found.table, expected.table, check_exact=True)
    pd.testing.assert_frame_equal(found.others, expected.others, check_exact=True)
    assert found.table["value"].to_numpy().tobytes() == expected.table["value"].to_numpy().tobytes()
    assert found.notes == expected.notes
    assert found.hyperparameters == expected.hyperparameters
    return found


def stretched(path):
    """How many records of a file are in stretches."""
    return sum(len(part.step) * len(part.template.starts)
               for part in Searcher().sections(path.read_bytes()).found
               if isinstance(part, rounds.Stretch))


def random_number(chance):
    odd = [float("nan"), float("inf"), -0.0, 1e-45]
    return chance.choice(odd) if chance.random() < 0.02 else chance.gauss(0, 10)


def random_writer(chance):
    """What a training program logs under one tag: (step, wall time) -> Event."""
    tag = chance.choice(["loss", "acc", "t/lr", "ünï", "x" * chance.randrange(1, 200)])
    kind = chance.randrange(6)
    tag = f"{tag}{kind}{chance.randrange(3)}"
    plugin = chance.choice(["scalars", "scalars", None, "mine"])
    if kind < 2:
        return lambda step, time: scalar(tag, step, random_number(chance), time)
    if kind == 2:
        return lambda step, time: tensor(tag, step, TensorProto(
            dtype=1, tensor_content=np.float32(random_number(chance)).tobytes()), plugin, time)
    if kind == 3:
        return lambda step, time: tensor(tag, step, TensorProto(
            dtype=9, int64_val=[chance.randrange(-2**40, 2**62)]), plugin, time)
    if kind == 4:
        return lambda step, time: tensor(tag, step, TensorProto(
            dtype=2, double_val=[random_number(chance)]), "scalars", time)
    many = chance.randrange(1, 5)
    return lambda step, time: Event(step=step, wall_time=time, summary=Summary(value=[
        Summary.Value(tag=f"{tag}/{place}", simple_value=random_number(chance))
        for place in range(many)]))


def random_log(chance):
    """Events of a training loop, with what breaks its rounds now and then."""
    writers = [random_writer(chance) for _ in range(chance.randrange(1, 9))]
    step, time, events = chance.choice([0, 0, 100, 16_300, 2**31, -5]), 1.7e9, []
    every = chance.choice([7, 50, NEVER])
    for number in range(chance.randrange(20, 400)):
        for write_one in writers:
            time += chance.random() * chance.choice([0, 1, 1e-3])
            events.append(write_one(step, time))
        if number % every == every - 1:
            events.append(scalar("validation", step, random_number(chance), time))
        if chance.random() < 0.01:
            events.append(Event(step=step, graph_def=bytes(chance.randrange(50))))
        if chance.random() < 0.01:
            step = max(0, step - chance.randrange(300))  # as after a restart
        step += chance.choice([1, 1, 1, 10]) if chance.random() < 0.1 else 1
    return events


@pytest.mark.parametrize("seed", range(25))
def test_random_training_logs(tmp_path, monkeypatch, eager, seed):
    chance = random.Random(seed)
    for number in range(2):  # the second file is of the same program: its templates are known
        write(tmp_path / f"{NAME}.{number}", random_log(chance), version=chance.random() < 0.7)
    data = bytearray((tmp_path / f"{NAME}.1").read_bytes())
    for _ in range(chance.choice([0, 0, 1, 5])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    (tmp_path / f"{NAME}.1").write_bytes(data)
    monkeypatch.setattr(pieces, "CHUNK", chance.choice([2 << 20, 5000, 777]))
    assert_as_record_by_record(sorted(tmp_path.iterdir()), monkeypatch)


def test_usual_logs_are_read_in_stretches_and_as_tensorboard_reads_them(tmp_path):
    chance = random.Random(0)
    for kind in ("simple", "tensor"):
        path, time, events = tmp_path / kind / NAME, 1.7e9, []
        for step in range(20_000 // 12):
            for tag in range(12):
                time += chance.random()
                value = random_number(chance)
                content = TensorProto(dtype=1, tensor_content=np.float32(value).tobytes())
                events.append(scalar(f"metric_{tag}", step, value, time) if kind == "simple"
                              else tensor(f"metric_{tag}", step, content, wall_time=time))
        write(path, events)
        assert stretched(path) > 0.95 * len(events)
        assert_same(by_tag(FORMAT.load([path], "run").table), by_tensorboard(path.parent))


def test_one_layout_met_once_is_known_from_the_first_step_of_the_next_run(tmp_path):
    sections._templates().clear()
    for run in range(3):  # from the second on only the version and step 0 are no rounds
        path = tmp_path / str(run) / NAME
        write(path, [scalar(f"metric_{tag}", step, step / (tag + 1), 1.7e9 + step)
                     for step in range(400) for tag in range(7)])
        few = [part.start for part in Searcher().sections(path.read_bytes()).found
               if not isinstance(part, rounds.Stretch)]
        assert (few == [0]) == (run > 0)
        assert run == 0 or stretched(path) == 399 * 7


def small_file(path):
    return write(path, [event for step in range(120, 136) for event in (
        scalar("a", step, step / 7, 1.7e9 + step / 3), scalar("loss", step, -step, 1.7e9 + step))])


def test_damage_at_every_byte(tmp_path, monkeypatch, eager):
    path = tmp_path / NAME
    small_file(path)
    data = path.read_bytes()
    assert stretched(path) >= 16
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        found = assert_as_record_by_record([path], monkeypatch)
        assert found is None or len(found.table) < 32 or place < HEADER.size + 40  # never unnoticed


def test_two_equal_damages_do_not_make_up_for_each_other(tmp_path, monkeypatch, eager):
    path = tmp_path / NAME
    offsets = small_file(path)
    data = bytearray(path.read_bytes())
    for record in (11, 15):  # of the same tag
        data[offsets[record] + HEADER.size + 3] ^= 4
    path.write_bytes(data)
    found = assert_as_record_by_record([path], monkeypatch)
    assert len(found.table) == 30 and any("1 more further on" in note for note in found.notes)


def test_cut_at_every_byte(tmp_path, monkeypatch, eager):
    path = tmp_path / NAME
    small_file(path)
    data = path.read_bytes()
    for stop in range(1, len(data), 3):
        path.write_bytes(data[:stop])
        assert_as_record_by_record([path], monkeypatch)


def test_tensors_of_another_plug_in_are_no_scalars(tmp_path, monkeypatch, eager):
    half = TensorProto(dtype=1, float_val=[0.5])
    events = [tensor("x", 0, half, "mine"), *(event for step in range(1, 40) for event in (
        tensor("x", step, half, None), tensor("y", step, half, "scalars")))]
    write(tmp_path / NAME, events)
    assert stretched(tmp_path / NAME) > 60
    found = assert_as_record_by_record([tmp_path / NAME], monkeypatch)
    assert len(found.table) == 39 and found.others["kind"].tolist() == ["mine"] * 40


def test_a_file_without_rounds_is_not_searched_for_long(tmp_path, monkeypatch):
    chance = random.Random(2)
    events = [scalar(f"tag{chance.randrange(30)}", step, 0.5) for step in range(6000)]
    write(tmp_path / NAME, events)
    looks = []
    monkeypatch.setattr(sections, "guesses", lambda *given: looks.append(given) or [])
    monkeypatch.setattr(pieces, "CHUNK", 60_000)  # six buffers, of which some are searched
    assert len(FORMAT.load([tmp_path / NAME], "run").table) == 6000
    assert 0 < len(looks) <= 9


def of_one_program(folder, run, change=lambda events: None):
    """A file of a run that differs from others in its numbers only, but for what `change` does."""
    events = [scalar(f"metric_{tag}", 1000 + step, (step + run) / (tag + 1), 1.7e9 + step + run / 3)
              for step in range(150) for tag in range(3)]
    change(events)
    path = folder / f"run{run}" / NAME
    write(path, events)
    return path


@pytest.fixture
def read_alone(monkeypatch):
    """The files that were not read together with others."""
    alone = []

    def spy(path, *rest):
        alone.append(path)
        return pieces.pieces(path, *rest)

    monkeypatch.setattr(equals, "pieces", spy)
    return alone


def test_equal_files_are_read_together_and_as_tensorboard_reads_them(tmp_path, read_alone):
    files = [of_one_program(tmp_path, run) for run in range(9)]
    found = FORMAT.load_runs({str(run): [path] for run, path in enumerate(files)})
    assert read_alone == files[:1]
    for run, path in enumerate(files):
        assert len(found[str(run)].table) == 450
        assert_same(by_tag(found[str(run)].table), by_tensorboard(path.parent))


def test_equal_files_of_one_run_keep_their_order(tmp_path, read_alone):
    files = [of_one_program(tmp_path, run) for run in (2, 0, 1, 3)]
    table = FORMAT.load(files, "run").table
    assert read_alone == files[:1]
    assert table["wall_time"].iloc[::450].tolist() == [1.7e9 + run / 3 for run in (2, 0, 1, 3)]


def changed(chance, events):
    """Makes the same number of bytes say something else, or nothing else."""
    place, kind = chance.randrange(150) * 3, chance.randrange(5)
    if kind == 1:
        events[place].summary.value[0].tag = "metric_9"
    elif kind == 2:
        events[place], events[place + 1] = events[place + 1], events[place]
    elif kind == 3:
        events[place].step = 1001  # as after a restart
    elif kind == 4:
        events[place].summary.value[0].simple_value = float("nan")


@pytest.mark.parametrize("seed", range(12))
def test_an_odd_file_among_equal_ones_is_read_as_if_it_were_alone(tmp_path, monkeypatch, seed):
    chance = random.Random(seed)
    files = [of_one_program(tmp_path, run, lambda events: changed(chance, events))
             for run in range(12)]
    for path in chance.sample(files, 5):
        data = bytearray(path.read_bytes())
        kind, place = chance.randrange(3), chance.randrange(len(data))
        if kind == 0:
            data[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[place:] = bytes(len(data) - place)
        else:
            del data[place:]
        path.write_bytes(data)
    together = FORMAT.load_runs({path.parent.name: [path] for path in files})
    monkeypatch.setattr(rounds, "FEWEST", NEVER)
    for path in files:
        run, found = path.parent.name, together[path.parent.name]
        try:
            expected = FORMAT.load([path], run)
        except UserError as error:
            assert str(found) == str(error)
            continue
        pd.testing.assert_frame_equal(found.table, expected.table, check_exact=True)
        assert found.notes == expected.notes


def test_damage_at_every_byte_of_one_of_equal_files(tmp_path, monkeypatch, eager):
    first, second = tmp_path / "a" / NAME, tmp_path / "b" / NAME
    small_file(first)
    small_file(second)
    data = second.read_bytes()
    for place in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        second.write_bytes(damaged)
        found = FORMAT.load_runs({"a": [first], "b": [second]})["b"]
        expected = outcome([second])
        if isinstance(expected, str):
            assert str(found) == expected
        else:
            expected = FORMAT.load([second], "b")
            pd.testing.assert_frame_equal(found.table, expected.table, check_exact=True)
            assert found.notes == expected.notes


@pytest.mark.parametrize("place", [HEADER.size + 3, -4, -1])  # of a time, of a checksum
def test_equal_damages_in_one_of_equal_files_are_all_found(tmp_path, eager, place):
    first, second = tmp_path / "a" / NAME, tmp_path / "b" / NAME
    small_file(first)
    offsets = small_file(second)
    sound, ends = second.read_bytes(), offsets[1:]
    for pair in combinations(range(9, len(ends)), 2):
        data = bytearray(sound)
        for record in pair:
            data[(offsets if place > 0 else ends)[record] + place] ^= 4
        second.write_bytes(data)
        found = FORMAT.load_runs({"a": [first], "b": [second]})
        assert len(found["a"].table) - len(found["b"].table) == 2


def test_a_file_that_changed_since_it_was_listed_is_read_as_it_is(tmp_path, read_alone):
    first, grown, gone, last = (of_one_program(tmp_path, run) for run in range(4))
    files = EqualFiles([first, grown, gone, last])
    with grown.open("ab") as file:
        file.write(first.read_bytes())
    gone.unlink()
    problems = []
    sizes = [sum(piece.stop for piece in files.pieces(path, problems)) for path in (first, grown)]
    assert sizes == [first.stat().st_size, grown.stat().st_size] and not problems
    with pytest.raises(FileNotFoundError):
        list(files.pieces(gone, problems))
    assert sum(piece.stop for piece in files.pieces(last, problems)) == last.stat().st_size
    assert read_alone == [first, grown, gone]


def test_the_last_of_equal_files_may_be_gone(tmp_path):
    first, gone = (of_one_program(tmp_path, run) for run in range(2))
    files = EqualFiles([first, gone])
    assert len(list(files.pieces(first, []))) > 1
    gone.unlink()
    with pytest.raises(FileNotFoundError):
        list(files.pieces(gone, []))
