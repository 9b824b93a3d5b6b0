"""Each text format against what was written; runs inside runs; damaged, packed and odd files."""

import csv
import gzip
import io
import json
import math
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tensorboard.compat.proto.summary_pb2 import Summary

from core.errors import UserError
from core.files import found_files
from core.log_files import bytes as log_bytes
from core.log_files import csv as log_csv
from core.log_files.lost import Lost
from core.log_files.search import formats
from core.logs import find_logs, read_logs
from tests.event_files import NAME, scalar, write

ROWS = [(0, 1.0, 0.25), (1, 0.5, 0.5), (2, 1 / 3, 0.75)]
LOSS = [[step, loss] for step, loss, _ in ROWS]
TABLE = "epoch,loss,val_acc\n" + "".join(f"{a},{b!r},{c}\n" for a, b, c in ROWS)
OBJECTS = [{"step": a, "loss": b, "val_acc": c} for a, b, c in ROWS]
POINTS = [[1.7e9 + a, a, b] for a, b, _ in ROWS]

# Format -> file name and content, each as its own program writes it.
SAMPLES = {
    "keras_csv": ("training.csv", TABLE),
    "keras_history": ("history.json", json.dumps({"loss": [b for _, b, _ in ROWS]})),
    "lightning_csv": ("metrics.csv", "epoch,step,loss,val_acc\n" + "".join(
        f"0,{a},{b!r},\n1,{a},,{c}\n" for a, b, c in ROWS)),
    "ultralytics_csv": ("results.csv", "  epoch,  train/loss, metrics/accuracy_top1,  loss\n" + "".join(
        f"  {a},  {b!r},  {c}, {b!r}\n" for a, b, c in ROWS)),
    "plain_csv": ("log.csv", TABLE.replace("epoch", "iteration").replace("loss", "x").replace(
        "x,val_acc", "loss,extra")),
    "tensorboard_csv": ("run-train-tag-loss.csv", "Wall time,Step,Value\n" + "".join(
        f"{t},{s},{v!r}\n" for t, s, v in POINTS)),
    "tensorboard_json": ("run-.-tag-loss.json", json.dumps(POINTS)),
    "tensorboardx_json": ("scalars.json", json.dumps({"loss": POINTS})),
    "json_lines": ("log.jsonl", "".join(json.dumps(row) + "\n" for row in OBJECTS)),
    "json_rows": ("rows.json", json.dumps(OBJECTS, indent=1)),
    "trainer_state": ("trainer_state.json", json.dumps(
        {"best_metric": None, "log_history": OBJECTS, "max_steps": 30}, indent=2)),
}


def written(folder: Path, name: str) -> Path:
    file, content = SAMPLES[name]
    (folder / file).write_text(content)
    return folder / file


def points(logs, tag="loss"):
    """[step, value] of a tag in file order."""
    found = logs.table[logs.table["tag"] == tag]
    return [list(pair) for pair in zip(found["step"].tolist(), found["value"].tolist(), strict=True)]


def test_every_format_has_a_sample():
    assert set(SAMPLES) | {"tensorboard_events"} == set(formats())


@pytest.mark.parametrize("name", SAMPLES)
def test_format_reads_its_sample_and_is_the_first_to_know_it(name, tmp_path):
    path = written(tmp_path, name)
    (run,) = find_logs(path).runs
    assert run.format == name
    assert points(read_logs(path)) == LOSS
    specific = [key for key, form in formats().items() if form.matches(path) and not form.fallback]
    assert specific == ([] if formats()[name].fallback else [name])


@pytest.mark.parametrize("name", SAMPLES)
def test_packed_is_the_same_as_plain(name, tmp_path):
    path = written(tmp_path, name)
    packed = tmp_path / "packed" / f"{path.name}.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(path.read_bytes()))
    (run,) = find_logs(packed).runs
    assert run.format == name
    columns = ["tag", "step", "wall_time", "value"]
    pd.testing.assert_frame_equal(read_logs(packed).table[columns], read_logs(path).table[columns])


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_encodings(name, encoding, tmp_path):
    file, content = SAMPLES[name]
    (tmp_path / file).write_text(content, encoding=encoding)
    assert points(read_logs(tmp_path / file)) == LOSS


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_cut_anywhere_is_read_or_named(name, tmp_path):
    path = written(tmp_path, name)
    content = path.read_bytes()
    for cut in range(0, len(content), 7):
        path.write_bytes(content[:cut])
        try:
            logs = read_logs(path)
            assert {tuple(p) for p in points(logs)[:-1]} <= {tuple(p) for p in LOSS}
        except UserError as error:
            assert path.name in str(error)


def test_a_folder_is_searched_for_all_formats(tmp_path):
    for name in SAMPLES:
        (tmp_path / name).mkdir()
        written(tmp_path / name, name)
    write(tmp_path / "events" / NAME, [scalar("loss", a, b) for a, b, _ in ROWS])
    (tmp_path / "config.json").write_text('{"lr": 0.1}')
    (tmp_path / "labels.csv").write_text("id,label\n1,2\n")
    logs = read_logs(tmp_path)
    runs = set(logs.table["run"].cat.categories)
    assert runs == (set(SAMPLES) - {"tensorboard_csv"}) | {"events", "tensorboard_csv/train"}
    assert any("Files named as logs in which there is none (2): config.json, labels.csv" in note
               for note in logs.notes)


def test_several_files_of_a_folder_are_runs_by_their_own_name(tmp_path):
    for seed in (1, 2):
        (tmp_path / f"seed{seed}.csv").write_text(TABLE)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.csv").write_text(TABLE)
    (tmp_path / "deep" / "a.json").write_text(json.dumps(OBJECTS))
    names = [run.name for run in find_logs(tmp_path).runs]
    assert names[:2] == ["seed1", "seed2"] and names[2] == "deep/a"
    assert names[3].startswith("deep/a (") and len(set(names)) == 4


@pytest.mark.parametrize("delimiter, comma", [(",", "."), (";", ","), (";", "."), ("\t", ","), ("|", ".")])
def test_delimiters_and_decimal_commas(delimiter, comma, tmp_path):
    chance = random.Random(3)
    values = [chance.uniform(-1e3, 1e3) * 10 ** chance.randrange(-9, 9) for _ in range(300)]
    text = "step" + delimiter + "loss\r\n" + "".join(
        f"{i}{delimiter}{value!r}\r\n".replace(".", comma) for i, value in enumerate(values))
    (tmp_path / "log.csv").write_bytes(text.encode())
    assert points(read_logs(tmp_path)) == [[i, value] for i, value in enumerate(values)]


def test_latin_1_and_a_counter_by_another_name(tmp_path):
    (tmp_path / "log.csv").write_bytes("époque,loss,précision\n1,0.5,0.2\n4,0.25,0.3\n".encode("latin-1"))
    logs = read_logs(tmp_path)
    assert points(logs) == [[1, 0.5], [4, 0.25]]
    assert points(logs, "précision") == [[1, 0.2], [4, 0.3]]
    assert any("Latin-1" in note for note in logs.notes)


def test_as_pandas_reads_it_block_by_block(tmp_path, monkeypatch):
    monkeypatch.setattr(log_csv, "CELLS", 100)
    chance = np.random.default_rng(1)
    table = pd.DataFrame(chance.normal(size=(997, 6)), columns=[f"m{i}" for i in range(6)])
    table = table.mask(chance.random(table.shape) < 0.3)
    table.insert(0, "step", np.arange(997) * 3)
    table.to_csv(tmp_path / "log.csv", index=False)
    ours = read_logs(tmp_path).table
    theirs = pd.read_csv(tmp_path / "log.csv", float_precision="round_trip").melt("step").dropna()
    assert len(ours) == len(theirs)
    for name, part in theirs.groupby("variable"):
        assert points_of(ours, name) == list(zip(part["step"], part["value"], strict=True))


def points_of(table, tag):
    found = table[table["tag"] == tag]
    return list(zip(found["step"], found["value"], strict=True))


def test_nan_and_infinity_are_points_and_empty_cells_are_none(tmp_path):
    (tmp_path / "log.csv").write_text("step,loss\n0,nan\n1,\n2,inf\n3,-Infinity\n4,1e999\n5,1e-999\n")
    found = dict(points(read_logs(tmp_path)))
    assert math.isnan(found.pop(0))
    assert found == {2: math.inf, 3: -math.inf, 4: math.inf, 5: 0.0}


@pytest.mark.parametrize("cell", ["0x10", "1_000", "٣٢", "1.0.0", "--", "=1+1", "1e", "12abc", "１"])
def test_what_is_no_number_is_left_out_and_said(cell, tmp_path):
    (tmp_path / "log.csv").write_text(f"step,loss\n0,0.5\n1,{cell}\n2,0.25\n", encoding="utf-8")
    logs = read_logs(tmp_path)
    assert points(logs) == [[0, 0.5], [2, 0.25]]
    assert any("1 value of 'loss' is no number" in note and "row 2" in note for note in logs.notes)


def test_damaged_lines_are_named(tmp_path):
    (tmp_path / "log.csv").write_text(
        "step,loss,note\n0,1,a\n1,2\n2,3,b,c\n3,4,d,,\nstep,loss,note\n4,5,\"two\nlines\"\n\n5,6,e\n6")
    logs = read_logs(tmp_path)
    assert points(logs) == [[0, 1], [3, 4], [4, 5], [5, 6]]
    notes = " ".join(logs.notes)
    assert "3 lines have another number of columns" in notes and "line 3, 4, 11" in notes
    assert "header is repeated 1 time" in notes and "Columns of text are not drawn: 'note'" in notes


@pytest.mark.parametrize(("name", "text", "by_epoch"), [
    ("log.csv", "epoch,loss\n0,1\n1,2\n", {"run"}),
    ("log.csv", "step,epoch,loss\n0,0,1\n1,0,2\n", set()),
    ("log.jsonl", '{"Epoch": 1, "loss": 2}\n{"Epoch": 2, "loss": 1}\n', {"run"}),
    ("log.json", '[{"epoch": 1, "loss": 2}, {"epoch": 2, "loss": 1}]', {"run"}),
    ("history.json", '{"epoch": [1, 2, 3], "loss": [3, 2, 1]}', {"run"})])
def test_runs_whose_steps_are_epochs_are_known(tmp_path, name, text, by_epoch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).write_text(text)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "log.csv").write_text("step,loss\n0,1\n1,2\n")
    assert read_logs(tmp_path).by_epoch == by_epoch


def test_lines_of_comment_are_no_damage(tmp_path):
    (tmp_path / "log.csv").write_text("step,loss\n0,1\n# new rate, 0.1, from here\n1,2\n# done\n")
    logs = read_logs(tmp_path)
    assert points(logs) == [[0, 1], [1, 2]]
    assert "2 lines of comment, after a #, left out." in logs.notes
    assert not any(isinstance(note, Lost) for note in logs.notes)


def test_a_quote_that_never_closes_costs_its_cell(tmp_path):
    (tmp_path / "log.csv").write_text('step,loss\n0,"1.0\n1,0.5\n2,0.25\n')
    logs = read_logs(tmp_path)
    assert points(logs) == [[1, 0.5], [2, 0.25]]
    assert any("a quote is opened and not closed" in note for note in logs.notes)


@pytest.mark.parametrize("text, step_of", [
    ("epoch,step,loss\n0,5,1\n0,9,2\n1,14,3\n", [5, 9, 14]),
    ("epoch,loss\n1,1\n2,2\n3,3\n", [1, 2, 3]),
    ("epoch,loss\n0.5,1\n1.0,2\n1.5,3\n", [0, 1, 2]),
    ("loss,acc\n1,.5\n2,.5\n3,.5\n", [1, 2, 3]),
    ("loss,acc\n1,3\n2,2\n3,5.5\n", None),
    ("epoch,batch,loss\n0,0,1\n0,1,2\n1,0,3\n", [0, 1, 2]),
    ("step,loss\n7,1\n3,2\n3,3\n", [7, 3, 3]),
])
def test_which_column_counts(text, step_of, tmp_path):
    (tmp_path / "log.csv").write_text(text)
    logs = read_logs(tmp_path / "log.csv")
    tag = "loss" if "loss" in set(logs.table["tag"]) else "acc"
    assert step_of is None or [step for step, _ in points(logs, tag)] == step_of


def test_a_second_counter_is_a_tag_without_repeats(tmp_path):
    rows = [{"epoch": 0.5, "step": 5, "loss": 2}, {"epoch": 0.5, "step": 5, "eval_loss": 3},
            {"epoch": 0.5, "step": 6, "loss": 1}, {"epoch": 1.0, "step": 6, "eval_loss": 2}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    logs = read_logs(tmp_path / "a.jsonl")
    assert points(logs, "epoch") == [[5, 0.5], [6, 0.5], [6, 1.0]]
    assert points(logs, "loss") == [[5, 2], [6, 1]] and points(logs, "eval_loss") == [[5, 3], [6, 2]]


def test_rows_without_a_step_are_left_out_and_said(tmp_path):
    (tmp_path / "a.csv").write_text("step,loss\n1,5\n,6\n3,7\n")
    logs = read_logs(tmp_path / "a.csv")
    assert points(logs) == [[1, 5], [3, 7]]
    assert any("1 value in rows without a 'step'" in note for note in logs.notes)


@pytest.mark.parametrize("name, cells, seconds", [
    ("timestamp", [1700000000.5, 1700000001.5], [1700000000.5, 1700000001.5]),
    ("_timestamp", [1700000000500, 1700000001500], [1700000000.5, 1700000001.5]),
    ("time", ["2023-11-14T22:13:20Z", "2023-11-14T22:13:21Z"], [1.7e9, 1.7e9 + 1]),
    ("time", [12.5, 20.0], [math.nan, math.nan]),
])
def test_wall_times(name, cells, seconds, tmp_path):
    rows = [{"step": i, name: cell, "loss": 1.0} for i, cell in enumerate(cells)]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    pd.DataFrame(rows).to_csv(tmp_path / "log.csv", index=False)
    for file in ("log.jsonl", "log.csv"):
        table = read_logs(tmp_path / file).table
        np.testing.assert_array_equal(table[table["tag"] == "loss"]["wall_time"], seconds)


def test_rows_that_name_their_split_or_their_metric(tmp_path):
    rows = [{"mode": "train", "step": 1, "loss": 2.0}, {"mode": "val", "step": 1, "loss": 3.0}]
    (tmp_path / "mm.jsonl").write_text("\n".join(map(json.dumps, rows)))
    logs = read_logs(tmp_path / "mm.jsonl")
    assert points(logs, "train/loss") == [[1, 2.0]] and points(logs, "val/loss") == [[1, 3.0]]
    (tmp_path / "long.csv").write_text("run,tag,step,value\na,loss,0,1\nb,loss,0,2\nb,acc,5,3\n")
    table = read_logs(tmp_path / "long.csv").table
    found = table[["run", "tag", "step", "value"]].to_numpy().tolist()
    assert found == [["long/a", "loss", 0, 1], ["long/b", "loss", 0, 2], ["long/b", "acc", 5, 3]]


def test_objects_in_objects_and_what_is_no_number(tmp_path):
    rows = [{"step": 0, "train": {"loss": 1, "names": ["a"]}, "ok": True, "lr": None, "big": 10**400},
            [1, 2], {"step": 1, "train": {"loss": "NaN"}, "lr": "high", "big": 2}]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    logs = read_logs(tmp_path / "rows.json")
    assert points(logs, "train/loss")[0] == [0, 1.0] and math.isnan(points(logs, "train/loss")[1][1])
    assert points(logs, "big") == [[0, math.inf], [1, 2.0]]
    assert set(logs.table["tag"]) == {"train/loss", "big"}
    assert "1 row of rows.json that are no object" in " ".join(logs.notes)
    assert "no numbers are not drawn: 'train/names' and 2 more" in " ".join(logs.notes)


def test_doubled_names_and_depth(tmp_path):
    (tmp_path / "a.json").write_text('{"loss": [1, 2], "loss": [3, 4]}')
    logs = read_logs(tmp_path / "a.json")
    assert points(logs) == [[0, 3], [1, 4]] and "duplicate names" in " ".join(logs.notes)
    (tmp_path / "deep.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(UserError, match=r"deep\.json is no JSON.*nested more than 100 deep"):
        read_logs(tmp_path / "deep.json")


def test_series_of_different_length_and_what_is_none(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(
        {"test_acc": 0.9, "losses": [1, 2, 3, None], "val_acc": [5], "epoch": [3], "names": ["a"]}))
    logs = read_logs(tmp_path / "a.json")
    assert points(logs, "losses") == [[0, 1], [1, 2], [2, 3]] and points(logs, "val_acc") == [[0, 5]]
    notes = " ".join(logs.notes)
    assert "differ in length (1 to 4)" in notes and "'test_acc' and 1 more" in notes


def test_cut_and_damaged_lines_of_json(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 0, "loss": 1}\n[1]\nwords\n\n{"step": 1, "loss": 2}\n{"st')
    logs = read_logs(tmp_path)
    assert points(logs) == [[0, 1], [1, 2]]
    assert any("3 lines cut off" in note and "line 2, 3, 6" in note for note in logs.notes)


def test_tensorboard_downloads_of_several_runs(tmp_path):
    for run in ("train", "."):
        for tag in ("loss", "acc"):
            (tmp_path / f"run-{run}-tag-{tag}.csv").write_text(SAMPLES["tensorboard_csv"][1])
    (tmp_path / "run-train-tag-bad.csv").write_text("Wall time,Step,Value\n")
    logs = read_logs(tmp_path)
    name = tmp_path.name
    assert set(zip(logs.table["run"], logs.table["tag"], strict=True)) == {
        (run, tag) for run in (name, f"{name}/train") for tag in ("loss", "acc")}
    assert logs.table["wall_time"].tolist() == [t for t, _, _ in POINTS] * 4
    assert any("bad.csv has no rows" in note for note in logs.notes)


def test_tensorboardx_names_lose_their_folder(tmp_path):
    names = {f"/home/a/runs/x/data/{tag}": POINTS for tag in ("loss/train", "loss/val")}
    (tmp_path / "all.json").write_text(json.dumps(names))
    assert set(read_logs(tmp_path).table["tag"]) == {"train", "val"}


def test_snapshots_beside_checkpoints_count_once(tmp_path):
    for step, place in ((2, "checkpoint-2"), (3, "checkpoint-3"), (3, ".")):
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / "trainer_state.json").write_text(
            json.dumps({"log_history": OBJECTS[:step]}, indent=2))
    logs = read_logs(tmp_path)
    assert points(logs) == LOSS and len(logs.table["run"].cat.categories) == 1
    assert any("2 logs saved beside an earlier checkpoint" in note for note in logs.notes)


def test_hyperparameters_beside_the_log(tmp_path):
    written(tmp_path, "lightning_csv")
    (tmp_path / "hparams.yaml").write_text(
        "lr: 1e-3\nname: 'a b'\n# words\nfast: true\nnothing: null\nlayers:\n- 1\nevil: !!python/name:os\n")
    logs = read_logs(tmp_path)
    assert logs.hyperparameters == {tmp_path.name: {"lr": 1e-3, "name": "a b", "fast": True}}


def test_add_scalars_of_torch(tmp_path):
    from torch.utils.tensorboard import SummaryWriter
    with SummaryWriter(str(tmp_path / "exp")) as writer:
        writer.add_scalar("lr", 0.5, 0)
        for step in range(4):
            writer.add_scalars("a/loss", {"train": step / 2, "val": step / 3}, step)
    logs = read_logs(tmp_path)
    assert list(logs.table["run"].cat.categories) == ["exp"]
    assert set(logs.table["tag"]) == {"lr", "a/loss/train", "a/loss/val"}
    assert points(logs, "a/loss/train") == [[step, step / 2] for step in range(4)]
    assert any("2 folders that add_scalars wrote" in note for note in logs.notes)


def test_add_scalars_of_tensorboardx(tmp_path):
    write(tmp_path / NAME, [])
    for key in ("train", "val"):
        write(tmp_path / "data" / "loss" / key / NAME, [scalar("data/loss", 0, 1.0)])
    write(tmp_path / "other" / NAME, [scalar("data/loss", 0, 1.0)])
    table = read_logs(tmp_path).table
    assert set(zip(table["run"], table["tag"], strict=True)) == {
        (tmp_path.name, "data/loss/train"), (tmp_path.name, "data/loss/val"), ("other", "data/loss")}


@pytest.mark.parametrize("name", [None, "hp"])
def test_add_hparams_of_torch(tmp_path, name):
    from torch.utils.tensorboard import SummaryWriter
    stated = {"lr": 0.125, "batch": 32, "optimizer": "adam", "nesterov": True, "wide": False}
    with SummaryWriter(str(tmp_path / "exp")) as writer:
        writer.add_scalar("accuracy", 0.25, 7)
        writer.add_hparams(stated, {"accuracy": 0.75, "hparam/loss": 0.5}, run_name=name)
    logs = read_logs(tmp_path)
    assert logs.hyperparameters == {"exp": stated}
    assert list(logs.table["run"].cat.categories) == ["exp"]
    assert points(logs, "accuracy") == [[7, 0.25]] and points(logs, "hparams/accuracy") == [[0, 0.75]]
    assert any("Read 5 hyperparameters" in note for note in logs.notes)


def test_several_trials_of_one_writer_stay_apart(tmp_path):
    from torch.utils.tensorboard import SummaryWriter
    with SummaryWriter(str(tmp_path)) as writer:
        for lr in (0.1, 0.2):
            writer.add_hparams({"lr": lr}, {"loss": lr}, run_name=f"170000000{lr}")
    logs = read_logs(tmp_path)
    assert sorted(stated["lr"] for stated in logs.hyperparameters.values()) == [0.1, 0.2]
    assert len(logs.table["run"].cat.categories) == 2


def test_damaged_hyperparameters_state_nothing(tmp_path):
    value = Summary.Value(tag="_hparams_/session_start_info")
    value.metadata.plugin_data.plugin_name = "hparams"
    value.metadata.plugin_data.content = b"\x1a\xff\x01\x02"
    event = scalar("loss", 0, 1.0)
    event.summary.value.append(value)
    write(tmp_path / NAME, [event])
    logs = read_logs(tmp_path)
    assert logs.hyperparameters == {} and points(logs) == [[0, 1.0]]


def test_packed_event_files_whole_and_cut(tmp_path):
    write(tmp_path / NAME, [scalar(f"t{i % 3}", i, i / 7) for i in range(5000)])
    whole = read_logs(tmp_path / NAME).table
    packed = gzip.compress((tmp_path / NAME).read_bytes())
    (tmp_path / "z").mkdir()
    path = tmp_path / "z" / f"{NAME}.gz"
    path.write_bytes(packed)
    assert read_logs(path).table["value"].tolist() == whole["value"].tolist()
    path.write_bytes(packed[:len(packed) // 2])
    logs = read_logs(path)
    assert logs.table["value"].tolist() == whole["value"].tolist()[:len(logs.table)]
    assert len(logs.table) > 500 and any("gzip is cut off" in note for note in logs.notes)


def test_a_gzip_bomb_is_refused(tmp_path, monkeypatch):
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(b"step,loss\n" + b"0,0\n" * 10_000_000))
    with pytest.raises(UserError, match="unpacks to more than 100 times its size"):
        read_logs(tmp_path / "log.csv.gz")


def test_unpacked_bytes_are_bounded(tmp_path, monkeypatch):
    from core.files.limits import Limits, limited_to
    content = random.Random(0).randbytes(50_000)
    (tmp_path / "a.gz").write_bytes(gzip.compress(content))
    with limited_to(Limits(unpacked_bytes=20_000)), log_bytes.LogBytes(tmp_path / "a.gz") as file:
        assert file.read(100_000) == content[:20_000]
        assert "20,000 bytes" in file.fault and not file.left


@pytest.mark.parametrize("name, content, reason", [
    ("a.csv", "epoch,loss\none,high\n", "no column of numbers"),
    ("a.csv", "epoch,loss\n", "no rows"), ("a.csv", " \n\n", "is empty"), ("a.csv", "", "is empty"),
    ("a.json", '{"a": 1}', "no list of numbers"), ("a.json", "[]", "no list of numbers"),
    ("a.json", "{", "no JSON"), ("a.json", '"loss"', "no list of numbers"),
    ("a.json", '{"log_history": []}', "nothing was logged"), ("a.jsonl", "words", "no JSON")])
def test_refusals_name_the_file_and_the_reason(name, content, reason, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=rf"{name}.*{reason}"):
        read_logs(tmp_path / name)


def test_a_cell_without_end_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text('step,loss\n0,"' + "x" * 200_000)
    with pytest.raises(UserError, match=r"a\.csv is damaged or no table"):
        read_logs(tmp_path / "a.csv")


def test_times_that_only_some_logs_state_are_said(tmp_path):
    for file in ("json_lines", "tensorboard_json"):
        written(tmp_path, file)
    notes = " ".join(read_logs(tmp_path).notes)
    assert "6 points without a wall time" in notes and "is no date" not in notes


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_a_log_by_itself_is_offered_as_one(name, tmp_path):
    path = written(tmp_path, name)
    assert found_files.kind_of(path) == "logs" and found_files.kind_of(tmp_path) == "logs"


def test_binary_is_no_text(tmp_path):
    (tmp_path / "a.csv").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="is not a text file"):
        read_logs(tmp_path / "a.csv")


@pytest.mark.parametrize("name, content", [
    ("labels.csv", "path,label\na.png,1\nb.png,2\n"), ("digits.csv", "label,pixel0,pixel1\n3,0,255\n"),
    ("people.csv", "age,height\n31,1.8\n40,1.6\n"), ("card.json", '{"mean": [0.5, 0.5], "std": [1]}'),
    ("coco.json", '[{"image": "a", "label": 3}]'), ("words.txt", "a\nb\n"), ("x.log", "epoch 1\n")])
def test_other_tables_and_json_are_no_logs(name, content, tmp_path):
    (tmp_path / name).write_text(content)
    assert not [key for key, form in formats().items() if form.matches(tmp_path / name)]


def test_names_and_formulas_are_text(tmp_path):
    names = ["<img src=x onerror=alert(1)>", "![x](http://a/b.png)", "=HYPERLINK(1)", "a.b[0]:Q", ""]
    stream = io.StringIO()
    csv.writer(stream).writerows([["epoch", *names], [0, 1, 2, 3, 4, 5], [1, 1, 2, 3, 4, 5]])
    (tmp_path / "log.csv").write_text(stream.getvalue())
    assert set(read_logs(tmp_path).table["tag"]) == {*names[:4], "column 6"}


def test_a_trainer_state_on_one_line_is_no_line_of_a_log(tmp_path):
    file, content = SAMPLES["trainer_state"]
    (tmp_path / file).write_text(json.dumps({"global_step": 30, **json.loads(content)}))
    (run,) = find_logs(tmp_path).runs
    assert run.format == "trainer_state" and "loss" in set(read_logs(tmp_path).table["tag"])


@pytest.mark.parametrize("name", ["plain_csv", "trainer_state"])
def test_command_line(name, tmp_path):
    path = written(tmp_path, name)
    done = subprocess.run([sys.executable, "-m", "core", "logs", str(path), "--out",
                           str(tmp_path / "t.parquet")], capture_output=True, text=True,
                          cwd=Path(__file__).parents[1])
    record = json.loads(done.stdout)
    assert record["format"] == formats()[name].title and "loss" in record["tags"]
    assert len(pd.read_parquet(tmp_path / "t.parquet")) == record["points"]
