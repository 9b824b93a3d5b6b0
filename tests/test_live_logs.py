"""Logs that grow: only what is new is read, what is cut off is waited for, and how fast they go."""

import os
import shutil

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto

from core import library, live_logs, places
from core.events import kept, pieces, reader
from core.live_logs import Pace, Watch, paces_of
from core.log_files import bytes as log_bytes
from core.log_files import parts as log_parts
from core.log_files import recent as log_recent
from core.log_files.parts import keeping
from core.logs import read_logs
from core.training_findings import KINDS
from tests.event_files import NAME, Event, scalar, tensor, write
from tests.test_training_findings import log, together

OLD = 1_000_000_000  # seconds since 1970: long ago


def events(first, last):
    """Scalars, tensors with metadata the first time only, histograms, hyperparameters of a sort."""
    for step in range(first, last):
        yield scalar(f"loss/{step % 7}", step, step / 3)
        yield tensor("new", step, TensorProto(dtype=1, tensor_content=np.float32(step).tobytes()),
                     plugin="scalars" if step == 0 else None)
        if step % 5 == 0:
            yield Event(step=step, wall_time=1.7e9, summary=Summary(value=[Summary.Value(
                tag=f"weights/{step % 3}", histo=HistogramProto(bucket=[1, 2], bucket_limit=[1, 2]))]))


@pytest.fixture
def small_parts(monkeypatch, tmp_path):
    """Parts of a few records, in a cache of their own; what is decoded is counted."""
    monkeypatch.setenv("NETLENS_CACHE", str(tmp_path / "cache"))
    for module in (kept, log_parts):
        monkeypatch.setattr(module, "LEAST", 4000)
    monkeypatch.setattr(pieces, "CHUNK", 1500)
    read = []
    whole = reader.decode

    def counting(buffer, starts, stop, names):
        read.append(stop)
        return whole(buffer, starts, stop, names)

    monkeypatch.setattr(reader, "decode", counting)
    monkeypatch.setattr(log_recent, "_recent", log_recent.Recent())
    return read


def opened(path, read):
    """The logs as the app reads them, and how many bytes of events were decoded for it."""
    read.clear()
    with keeping():
        logs = read_logs(path)
    return logs, sum(read)


def assert_equal(ours, theirs):
    pd.testing.assert_frame_equal(ours.table, theirs.table)
    pd.testing.assert_frame_equal(ours.others, theirs.others)
    assert ours.notes == theirs.notes and ours.hyperparameters == theirs.hyperparameters


def test_a_grown_file_costs_its_new_part_only(tmp_path, small_parts):
    whole, file = tmp_path / "whole" / NAME, tmp_path / "run" / NAME
    ends = write(whole, events(0, 2000))
    file.parent.mkdir()
    data = whole.read_bytes()
    previous = 0
    for share in (0.5, 0.6, 0.61, 1.0):
        cut = ends[int(share * (len(ends) - 1))]
        file.open("ab").write(data[previous:cut])
        logs, decoded = opened(file.parent, small_parts)
        assert_equal(logs, read_logs(file.parent))
        assert decoded <= cut - previous + 4000 + 1500
        previous = cut


def test_parts_outlive_the_process_and_are_bounded_in_number(tmp_path, small_parts, monkeypatch):
    size = write(tmp_path / "run" / NAME, events(0, 2000))[-1]
    first, decoded = opened(tmp_path / "run", small_parts)
    assert decoded == size
    monkeypatch.setattr(log_recent, "_recent", log_recent.Recent())
    again, decoded = opened(tmp_path / "run", small_parts)
    assert decoded < 4000 + 1500
    assert_equal(again, first)


@pytest.mark.parametrize("change", ["replaced", "shortened", "in place"])
def test_a_file_that_is_another_is_read_anew(tmp_path, small_parts, change):
    file = tmp_path / "run" / NAME
    ends = write(file, events(0, 1000))
    opened(file.parent, small_parts)
    if change == "replaced":
        write(tmp_path / "other", [scalar("other", step, 1.0) for step in range(3000)])
        os.replace(tmp_path / "other", file)
    elif change == "shortened":
        os.truncate(file, ends[300])
    else:
        with file.open("r+b") as opened_file:  # another record where a part ended, of equal size
            data = bytearray(file.read_bytes())
            for at in range(len(data) // 2, len(data), 97):
                data[at] ^= 1
            opened_file.write(data)
    logs, _ = opened(file.parent, small_parts)
    assert_equal(logs, read_logs(file.parent))


def test_files_of_one_run_that_grow_beside_each_other(tmp_path, small_parts):
    ends = write(tmp_path / "whole", events(0, 1500))
    data = (tmp_path / "whole").read_bytes()
    for cuts in ((900, 600), (1100, 600), (1400, 1300)):
        for name, cut in zip(("a.tfevents", "b.tfevents"), cuts, strict=True):
            (tmp_path / "run").mkdir(exist_ok=True)
            (tmp_path / "run" / name).write_bytes(data[: ends[cut]])
        logs, _ = opened(tmp_path / "run", small_parts)
        assert_equal(logs, read_logs(tmp_path / "run"))


def test_damage_inside_a_kept_part_is_told_again(tmp_path, small_parts):
    file = tmp_path / "run" / NAME
    ends = write(file, events(0, 1000))
    data = bytearray(file.read_bytes())
    data[ends[30] + 14] ^= 1
    file.write_bytes(data)
    assert any("a record is damaged" in note for note in opened(file.parent, small_parts)[0].notes)
    logs, decoded = opened(file.parent, small_parts)
    assert decoded < ends[-1] / 2 and any("a record is damaged" in note for note in logs.notes)


def test_unchanged_runs_are_not_read_again(tmp_path, small_parts):
    for run in "ab":
        write(tmp_path / "logs" / run / NAME, events(0, 20))
        os.utime(tmp_path / "logs" / run / NAME, (OLD, OLD))
    first, _ = opened(tmp_path / "logs", small_parts)
    again, decoded = opened(tmp_path / "logs", small_parts)
    assert decoded == 0
    assert_equal(again, first)
    write(tmp_path / "logs" / "b" / NAME, events(0, 30))
    grown, decoded = opened(tmp_path / "logs", small_parts)
    assert 0 < decoded <= (tmp_path / "logs" / "b" / NAME).stat().st_size
    assert_equal(grown, read_logs(tmp_path / "logs"))


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path, small_parts, monkeypatch):
    write(tmp_path / "run" / NAME, events(0, 1000))
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("NETLENS_CACHE", str(tmp_path / "file"))
    assert_equal(opened(tmp_path / "run", small_parts)[0], read_logs(tmp_path / "run"))


@pytest.mark.parametrize("changed, said", [(None, "the rest is waited for"),
                                           (OLD, "normal while a run is being written")])
def test_a_record_that_is_not_whole_yet_is_waited_for(tmp_path, changed, said):
    ends = write(tmp_path / NAME, [scalar("loss", step, 1.0) for step in range(5)])
    os.truncate(tmp_path / NAME, ends[-2] + 9)
    if changed:
        os.utime(tmp_path / NAME, (changed, changed))
    logs = read_logs(tmp_path)
    assert len(logs.table) == 4 and any(said in note for note in logs.notes)


def test_packed_files_are_read_whole(tmp_path, small_parts):
    import gzip

    write(tmp_path / "plain" / NAME, events(0, 1000))
    (tmp_path / "run").mkdir()
    packed = gzip.compress((tmp_path / "plain" / NAME).read_bytes(), 1)
    (tmp_path / "run" / f"{NAME}.gz").write_bytes(packed)
    for _ in range(2):
        logs, _ = opened(tmp_path / "run", small_parts)
        assert logs.table["value"].tolist() == read_logs(tmp_path / "plain").table["value"].tolist()


def test_watch_sees_growth_new_files_and_the_end(tmp_path, monkeypatch):
    write(tmp_path / "a" / NAME, events(0, 3))
    watch = Watch(tmp_path)
    first = watch.state()
    assert watch.state() == first and first.is_written(first.changed + log_bytes.FRESH - 1)
    assert not first.is_written(first.changed + log_bytes.FRESH + 1)
    (tmp_path / "a" / NAME).open("ab").write(b"more")
    assert watch.state().sizes != first.sizes
    write(tmp_path / "b" / NAME, events(0, 3))
    monkeypatch.setattr(live_logs, "LOOK_AGAIN", 0.0)
    assert [file.parent.name for file, _ in watch.state().sizes] == ["a", "b"]
    shutil.rmtree(tmp_path / "a")
    assert [file.parent.name for file, _ in watch.state().sizes] == ["b"]


def timed(run="r", every=10, seconds=2.0, count=50, **tags):
    table = log(run, every, **(tags or {"loss": np.ones(count)}))
    return table.assign(wall_time=1.7e9 + seconds * table.groupby("tag", observed=True).cumcount())


@pytest.mark.parametrize("settings, total", [
    ({}, None), ({"max_steps": 1000.0}, 1000), ({"max_steps": -1.0}, None),
    ({"max_steps": 10.0}, None), ({"args/max_steps": 2000}, 2000), ({"max_steps": True}, None),
    ({"trainer.max_steps": 700}, 700), ({"epochs": 3.0}, None), ({"max_steps": "many"}, None)])
def test_pace_of_a_run(settings, total):
    (pace,) = paces_of(timed(), {"r": settings})
    assert pace == Pace("r", 490, 1.7e9 + 98, 5.0, total)
    assert pace.seconds_left == (None if total is None else (total - 490) / 5)


@pytest.mark.parametrize("epoch, settings, total", [
    (np.repeat(np.arange(5), 10), {"max_epochs": 10}, 980),       # Lightning: whole, from 0
    (np.arange(50) / 12.25, {"num_train_epochs": 8.0}, 980)])      # Hugging Face: parts of epochs
def test_epochs_are_turned_into_steps_by_the_log(epoch, settings, total):
    (pace,) = paces_of(timed(loss=np.ones(50), epoch=epoch), {"r": settings})
    assert pace.total == total


def test_steps_that_are_epochs():
    (pace,) = paces_of(timed(every=1), {"r": {"epochs": 100.0}})
    assert pace.total == 100 and pace.seconds_left == 51 / 0.5


def test_pace_after_a_restart_counts_the_new_attempt():
    crashed, again = timed(count=100), timed(count=30, seconds=4.0)
    again = again.assign(step=again["step"] + 500, wall_time=again["wall_time"] + 1000)
    (pace,) = paces_of(together(crashed, again), {})
    assert (pace.last_step, pace.per_second) == (790, 2.5)


def test_pace_without_times():
    (pace,) = paces_of(timed().assign(wall_time=np.nan), {"r": {"max_steps": 600}})
    assert pace == Pace("r", 490, None, None, 600) and pace.seconds_left is None
    assert paces_of(timed().iloc[:0], {}) == []


def page_that_follows():
    """A page as the app runs it."""
    from pathlib import Path

    import streamlit as st

    from core.library import logs_id, open_logs
    from core.ui.live import follow

    def draw(now: str) -> None:
        st.text(f"{len(open_logs(now).table)} points")

    follow(logs_id(Path(st.session_state["path"])), draw)
    st.text("what follows")


def test_a_page_follows_what_is_written_and_lets_go(tmp_path):
    ends = write(tmp_path / "whole", [scalar("loss", step, 1.0, 1.7e9 + step) for step in range(9)])
    data, file = (tmp_path / "whole").read_bytes(), tmp_path / "run" / NAME
    file.parent.mkdir()
    file.write_bytes(data[: ends[4]])
    app = AppTest.from_function(page_that_follows)
    app.session_state["path"] = str(file.parent)
    app.run()
    assert not app.exception and app.text[0].value == "3 points"
    assert "Still being written. Last point" in app.caption[0].value
    file.open("ab").write(data[ends[4] :])
    app.run()
    assert [text.value for text in app.text] == ["9 points", "what follows"]
    assert "step 8, 1 steps a second." in app.caption[0].value
    os.utime(file, (OLD, OLD))
    app.run()
    assert app.text[0].value == "9 points" and not app.caption


def test_places_of_logs_that_grow_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "MOST_OF_A_LOG", 100)
    file = tmp_path / NAME
    write(file, [scalar("loss", 0, 1.0)])
    before = len(places._places)
    for _ in range(300):
        file.open("ab").write(b"x")
        last = library.logs_id(tmp_path)
    assert len(places._places) - before <= library.MOST_OF_A_LOG
    assert places.path_of(last) == tmp_path


def page_of_findings():
    """What happened, as a page shows it."""
    from pathlib import Path

    import streamlit as st

    from core.library import logs_id, open_logs
    from core.ui.findings import show

    found = logs_id(Path(st.session_state["path"]))
    show(found, list(open_logs(found).table["run"].cat.categories))


def test_findings_are_told_but_not_of_an_end_that_has_not_come(tmp_path):
    for run, values in (("*bold*", np.linspace(2.3, 0.1, 50)), ("slow", np.linspace(2.3, 2, 50))):
        write(tmp_path / run / NAME, [scalar("loss", s, value) for s, value in enumerate(values)])
    app = AppTest.from_function(page_of_findings)
    app.session_state["path"] = str(tmp_path)

    def told():
        blocks = [block.value.replace("\\", "") for block in app.run().markdown]
        lines = [line for block in blocks for line in block.split("  \n")]
        return [line for line in lines if line.startswith(("#", ":small[:color"))]

    assert told() == ["#### 2 runs, nothing conspicuous"]
    for file in tmp_path.rglob(NAME):
        os.utime(file, (OLD, OLD))
    heading, bold, slow = told()
    assert not app.exception and heading == "#### 2 runs, something happened in each"
    assert "was still falling when training stopped" in bold and "probably too low" in slow
    assert any(r"\*bold\*" in line.value for line in app.markdown)
    rules = next(block.value for block in app.markdown if block.value.startswith("**"))
    rules = rules.split("\n\n")
    assert len(rules) == len(KINDS) and "80 %" in " ".join(rules)


def test_each_run_is_told_once_before_any_twice(tmp_path):
    for run in ("a", "b", "c", "d"):
        ends = {"loss": float("nan"), "val_loss": float("nan"), "other_loss": 1.0}
        write(tmp_path / run / NAME, [
            scalar(tag, step, end if step > 30 else 2.3 - step / 20)
            for tag, end in ends.items() for step in range(50)])
    for file in tmp_path.rglob(NAME):
        os.utime(file, (OLD, OLD))
    app = AppTest.from_function(page_of_findings)
    app.session_state["path"] = str(tmp_path)
    blocks = [block.value for block in app.run().markdown]
    first = next(block for block in blocks if block.startswith(":small")).split("  \n")
    assert [line.split("**")[1] for line in first] == ["a", "b", "c"]
    whole = next(block for block in blocks if ":small[:gray" in block)
    assert {run for run in "abcd" if f"**{run}**" in whole} == set("abcd")
    assert not app.exception


def test_how_far_a_run_without_times_is(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(f'{{"step": {step}, "loss": {1 / (step + 1)}}}\n' for step in range(9)))
    app = AppTest.from_function(page_that_follows)
    app.session_state["path"] = str(file)
    app.run()
    assert not app.exception and "Still being written. Step 8." in app.caption[0].value


def test_how_far_runs_are_of_which_some_have_times(tmp_path):
    for name, time in (("with", f', "timestamp": {1.7e9}'), ("without", ""), ("before", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.jsonl").write_text(
            "".join(f'{{"step": {step}, "loss": 1{time}}}\n' for step in range(9)))
    os.utime(tmp_path / "before" / "metrics.jsonl", (1.7e9, 1.7e9))
    app = AppTest.from_function(page_that_follows)
    app.session_state["path"] = str(tmp_path)
    app.run()
    said = app.caption[0].value
    assert not app.exception and "with: " in said and "without: step 8." in said
    assert "before: " not in said
