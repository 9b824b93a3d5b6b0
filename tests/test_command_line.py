"""The command line: JSON by the line, errors in one line, nothing broken by a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core import library
from core.__main__ import STOPPED, main
from core.inference import pass_key, predictions
from core.outcomes import outcomes
from tests.conftest import ROOT


@pytest.fixture
def run(capsys):
    def run(*words):
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        return status, [json.loads(line) for line in captured.out.splitlines()], captured.err

    return run


def test_inspect_says_what_each_path_is(run, samples, tmp_path):
    (tmp_path / "broken.pt").write_bytes(b"<!DOCTYPE html>")
    status, lines, _ = run(
        "inspect",
        samples / "shapes-cnn.pt2",
        samples / "digits-test.json",
        samples / "logs",
        tmp_path / "broken.pt",
        tmp_path / "gone",
    )
    assert status == 2
    model, data, logs, broken, gone = lines
    assert (model["kind"], data["kind"], logs["kind"]) == ("model", "data", "logs")
    assert {"card", "parameters", "layers", "notes", "format", "path"} <= model.keys()
    layer = next(row for row in model["layers"] if row["name"] == "stage1.conv")
    assert (layer["type"], layer["input_shape"], layer["parameters"]) == (
        "Conv2d",
        [1, 3, 64, 64],
        324,
    )
    assert layer["multiply_adds"] == 324 * 64 * 64
    assert (data["examples"], sum(data["classes"].values())) == (504, 504)
    assert {"columns", "unreadable", "notes"} <= data.keys()
    assert {"runs", "tags", "points"} <= logs.keys()
    assert "broken.pt" in broken["error"]
    assert "gone" in gone["error"]
    assert set(broken) == {"path", "error"}


def test_inspect_as_another_kind_is_refused(run, samples):
    for kind, path in (
        ("model", "digits-test.json"),
        ("data", "shapes-cnn.pt"),
        ("logs", "shapes-cnn.pt"),
    ):
        status, lines, _ = run("inspect", "--as", kind, samples / path)
        assert status == 2
        assert path in lines[0]["error"]


def test_score_writes_what_the_pages_show(run, samples, tmp_path):
    model, data = samples / "digits-cnn.safetensors", samples / "digits-test.json"
    status, (record,), _ = run(
        "score",
        "--model",
        model,
        "--data",
        data,
        "--layer",
        "stage2",
        "head",
        "--out",
        tmp_path / "out",
    )
    assert status == 0
    table = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    shown = outcomes(library.model_id(model), library.dataset_id(data))
    assert record["accuracy"] == table["correct"].mean() == shown["correct"].mean()
    assert record["mean_loss"] == pytest.approx(table["loss"].mean())
    assert list(table.columns[:7]) == [
        "example",
        "path",
        "label",
        "prediction",
        "confidence",
        "loss",
        "correct",
    ]
    assert "row" in table.columns  # the data's own metadata
    saved = np.load(tmp_path / "out" / "probabilities.npy")
    assert np.array_equal(saved, predictions(library.model_id(model), library.dataset_id(data)))
    assert np.load(tmp_path / "out" / "activations" / "stage2.npy").shape == (504, 24)
    assert np.load(tmp_path / "out" / "activations" / "head.npy").shape == (504, 10)
    assert sum(row["examples"] for row in record["per_class"].values()) == record["examples"] == 504


@pytest.mark.parametrize("part", ["limit", "sample"])
def test_score_of_a_part(run, samples, tmp_path, part):
    words = ("score", "--model", samples / "digits-cnn.safetensors")
    data = samples / "digits-all.json"
    _, (record,), _ = run(*words, "--data", data, f"--{part}", 100, "--out", tmp_path)
    assert record["examples"] == 100
    assert any("100 of 1,797" in note for note in record["notes"])
    shown = library.open_dataset(
        library.dataset_id(data, 100 if part == "sample" else None)
    ).labels[:100]  # the app's sample, or the first of all
    table = pd.read_parquet(tmp_path / "predictions.parquet")
    assert table["label"].tolist() == [str(label) for label in shown]
    whole = library.open_dataset(library.dataset_id(data))
    assert table["path"].tolist() == whole.metadata["path"].iloc[table["example"]].tolist()


def test_a_card_from_elsewhere(run, samples, tmp_path):
    model = tmp_path / "net.safetensors"
    model.write_bytes((samples / "digits-cnn.safetensors").read_bytes())
    card = json.loads((samples / "digits-cnn.card.json").read_text())
    (tmp_path / "card.json").write_text(json.dumps(card | {"class_names": list("9876543210")}))
    _, (record,), _ = run(
        "score",
        "--model",
        model,
        "--data",
        samples / "digits-test.json",
        "--card",
        tmp_path / "card.json",
    )
    assert record["accuracy"] < 0.2


def test_explain_writes_the_map(run, samples, tmp_path):
    words = (
        "explain",
        "--model",
        samples / "shapes-cnn.safetensors",
        "--data",
        samples / "shapes-test.json",
        "--example",
        3,
    )
    status, (record,), _ = run(*words, "--method", "Grad-CAM", "--out", tmp_path / "map.npy")
    assert status == 0
    found = np.load(tmp_path / "map.npy")
    assert (found.dtype, found.shape) == (np.float32, (64, 64))
    assert record["sum"] == pytest.approx(found.sum(dtype=np.float64))
    assert (record["min"], record["max"]) == (found.min(), found.max())
    _, (by_name,), _ = run(
        *words, "--method", "gradient", "--target", record["prediction"][1]["class"]
    )
    assert by_name["target"] == record["prediction"][1]["class"]


@pytest.mark.parametrize(
    "words",
    [
        ("score", "--model", "{s}/gone.pt", "--data", "{s}/digits-test.json"),
        ("score", "--model", "{s}/digits-cnn.safetensors", "--data", "{s}/shapes-cnn.pt"),
        (
            "score",
            "--model",
            "{s}/digits-cnn.safetensors",
            "--data",
            "{s}/digits-test.json",
            "--layer",
            "gone",
        ),
        (
            "explain",
            "--model",
            "{s}/digits-cnn.safetensors",
            "--data",
            "{s}/digits-test.json",
            "--example",
            "9999",
            "--method",
            "gradient",
        ),
        (
            "explain",
            "--model",
            "{s}/digits-cnn.safetensors",
            "--data",
            "{s}/digits-test.json",
            "--example",
            "1",
            "--method",
            "magic",
        ),
        (
            "explain",
            "--model",
            "{s}/digits-cnn.safetensors",
            "--data",
            "{s}/digits-test.json",
            "--example",
            "1",
            "--method",
            "gradient",
            "--target",
            "gone",
        ),
        ("logs", "{s}/gone"),
        ("logs", "{s}/shapes-cnn.pt"),
    ],
)
def test_what_a_person_can_put_right_is_one_line(run, samples, words):
    status, lines, said = run(*(word.replace("{s}", str(samples)) for word in words))
    assert (status, lines) == (2, [])
    assert said.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in said


def test_logs_as_a_table(run, samples, tmp_path):
    status, (record,), _ = run("logs", samples / "logs", "--out", tmp_path / "logs.parquet")
    table = pd.read_parquet(tmp_path / "logs.parquet")
    assert status == 0
    assert list(table.columns) == ["run", "tag", "step", "wall_time", "value"]
    assert record["points"] == len(table)
    assert len(record["runs"]) == table["run"].nunique() >= 6


def test_a_run_killed_on_the_way_leaves_nothing_broken(run, samples, tmp_path, monkeypatch):
    """kill -9 in the middle of the pass; the next run computes it all, with the right result."""
    random = np.random.default_rng(0)
    picture = tmp_path / "picture.png"
    Image.fromarray(random.integers(0, 255, (8, 8), dtype=np.uint8)).save(picture)
    for name in ("0", "1"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(4000):  # enough that the pass is not over between two looks
            (tmp_path / "data" / name / f"{i}.png").hardlink_to(picture)
    monkeypatch.setenv("NETLENS_CACHE", str(tmp_path / "cache"))
    words = (
        "score",
        "--model",
        str(samples / "shapes-cnn.safetensors"),
        "--data",
        str(tmp_path / "data"),
    )
    child = subprocess.Popen(
        [sys.executable, "-m", "core", *words],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    begun = False
    while child.poll() is None and not begun:
        with suppress(FileNotFoundError):  # another result was finished while this looked
            begun = any(
                file.stat().st_size > 8000 for file in (tmp_path / "cache").glob(".*/*.npy")
            )
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "the run was over before it could be killed"
    assert list((tmp_path / "cache").glob(".*"))
    kept = (tmp_path / "cache").glob("[!.]*/*.npy")  # what the model is, at most
    assert all(len(np.load(file, mmap_mode="r")) != 8000 for file in kept)
    status, (record,), _ = run(*words)
    assert (status, record["examples"]) == (0, 8000)


def test_the_map_is_written_to_exactly_the_named_file(run, samples, tmp_path):
    words = (
        "explain",
        "--model",
        samples / "shapes-cnn.safetensors",
        "--example",
        3,
        "--method",
        "gradient",
        "--data",
        samples / "shapes-test.json",
        "--out",
    )
    assert run(*words, tmp_path / "new" / "map")[0] == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["map"]
    with (tmp_path / "new" / "map").open("rb") as file:
        assert np.load(file).shape == (64, 64)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    for place, why in (("folder", "is a folder"), ("file/map.npy", "could not be written")):
        status, lines, said = run(*words, tmp_path / place)
        assert (status, lines) == (2, [])
        assert said.splitlines()[-1].startswith(f"error: {tmp_path / place} {why}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "new"]
    assert (tmp_path / "file").read_text() == "kept"


def test_a_table_is_not_written_over_a_folder(run, samples, tmp_path):
    status, _, said = run("logs", samples / "logs", "--out", tmp_path)
    assert status == 2 and f"{tmp_path} is a folder" in said
    assert not list(tmp_path.iterdir()) and not list(tmp_path.parent.glob(".*.unfinished"))


def score_digits(samples):
    model, data = samples / "digits-cnn.safetensors", samples / "digits-test.json"
    return "score", "--model", model, "--data", data


def test_arrays_that_cannot_be_written_are_one_line(run, samples, tmp_path):
    (tmp_path / "probabilities.npy").mkdir()
    status, lines, said = run(*score_digits(samples), "--out", tmp_path)
    assert (status, lines) == (2, [])
    assert said.splitlines()[-1].startswith(f"error: {tmp_path / 'probabilities.npy'} is a folder")


def test_a_layer_is_checked_and_named_only_where_it_was_used(run, samples):
    words = (
        "explain",
        "--model",
        samples / "shapes-cnn.safetensors",
        "--example",
        3,
        "--data",
        samples / "shapes-test.json",
        "--method",
    )
    for method in ("gradient", "grad_cam"):
        status, lines, said = run(*words, method, "--layer", "nosuch")
        assert (status, lines) == (2, [])
        last = said.splitlines()[-1]
        assert "no layer 'nosuch'" in last and "stage4, stage4.conv" in last
    assert run(*words, "gradient", "--layer", "stage4")[1][0]["layer"] is None
    assert run(*words, "grad_cam", "--layer", "stage4")[1][0]["layer"] == "stage4"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "required: {inspect,score,explain,logs}"),
        (("score", "--model", "a", "--data", "b", "--limit", "0"), "--limit: '0' is less than 1"),
        (
            ("score", "--model", "a", "--data", "b", "--limit", "abc"),
            "--limit: 'abc' is not a whole number",
        ),
        (
            ("explain", "--model", "a", "--data", "b", "--method", "c", "--example", "abc"),
            "--example: 'abc' is not a whole number",
        ),
        (("inspect", "--as", "foo", "a"), "--as: invalid choice: 'foo'"),
        (("logs",), "required: path"),
    ],
)
def test_words_that_make_no_command_are_one_line(run, words, why):
    status, lines, said = run(*words)
    assert (status, lines, said.count("\n")) == (2, [], 1)
    assert said.startswith("error: ") and why in said and "--help" in said
    assert "invalid _" not in said and "usage" not in said


@pytest.mark.parametrize(
    ("card", "why"),
    [
        ("gone.json", "could not be read (No such file or directory). Check"),
        ("folder", "could not be read (Is a directory). Check"),
        ("words", "is not readable JSON (line 1, column 2: Expecting property name"),
        ("deep", "is not readable JSON (it is nested too deeply). Correct it"),
        ("bytes", "is not readable JSON (it is no text in UTF-8). Correct it"),
    ],
)
def test_a_card_that_cannot_be_read_says_why(run, samples, tmp_path, card, why):
    (tmp_path / "folder").mkdir()
    (tmp_path / "words").write_text("{words")
    (tmp_path / "deep").write_text("[" * 200_000)
    (tmp_path / "bytes").write_bytes(b'{"title": "\xff"}')
    status, lines, said = run(*score_digits(samples), "--card", tmp_path / card)
    assert (status, lines, said.count("\n")) == (2, [], 1)
    assert said.startswith(f"error: {card} {why}") and "Error" not in said


def test_a_name_that_no_file_can_have_is_one_line(run, samples, tmp_path):
    long, data = tmp_path / ("a" * 5000), samples / "digits-test.json"
    for words in (
        ("score", "--model", long, "--data", data),
        ("logs", long),
        ("score", "--model", samples / "digits-cnn.safetensors", "--data", long),
    ):
        status, lines, said = run(*words)
        assert (status, lines) == (2, [])
        assert "too long" in said and len(said.splitlines()[-1]) < 300
    status, (record,), _ = run("inspect", long)
    assert status == 2 and "too long" in record["error"] and len(record["error"]) < 300


def test_layers_are_checked_before_the_work(run, samples, monkeypatch):
    monkeypatch.setattr("core.score.examples", None)  # the pass is not asked for
    status, lines, said = run("score", "--model", samples / "shapes-cnn.safetensors",
                              "--data", samples / "shapes-test.json", "--layer", "stage4", "nosuch")
    assert (status, lines) == (2, []) and "no layer 'nosuch'" in said


def test_an_explanation_does_not_wait_for_the_whole_data(run, samples, tmp_path, monkeypatch):
    monkeypatch.setenv("NETLENS_CACHE", str(tmp_path))
    model, data = samples / "digits-cnn.safetensors", samples / "digits-test.json"
    words = ("explain", "--model", model, "--data", data, "--example", 300, "--method", "gradient")
    status, lines, _ = run(*words, "--target", "²")
    assert (status, lines) == (2, [])
    status, (found,), _ = run(*words, "--target", "7")
    assert (status, found["target"]) == (0, "7")
    whole = pass_key(library.model_id(model), library.dataset_id(data))
    assert not (tmp_path / whole).exists()


def test_names_that_are_no_text_are_spelled_out(run, tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.pt")).write_bytes(b"nothing")
    status, (found,), _ = run("inspect", *tmp_path.iterdir())
    assert status == 2 and found["path"].endswith("caf\udce9.pt") and found["error"]


def test_who_reads_the_answer_may_stop_and_so_may_the_person(samples):
    words = [sys.executable, "-m", "core", "inspect"]
    pipe = subprocess.Popen([*words, *[samples / "digits-cnn.safetensors"] * 3], cwd=ROOT,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    pipe.stdout.read(1)
    pipe.stdout.close()
    assert pipe.wait() == STOPPED and pipe.stderr.read() == b""
    code = ("import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
            "from core import __main__; __main__._inspect = lambda options: print('on', flush=True)"
            " or signal.pause(); sys.exit(__main__.main(['inspect', 'x']))")
    waiting = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert waiting.stdout.readline() == "on\n"
    waiting.send_signal(signal.SIGINT)
    assert waiting.communicate() == ("", "error: stopped\n") and waiting.returncode == STOPPED


def test_a_column_of_the_data_that_is_called_as_a_result_is_told(run, samples, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rows = []
    for number in range(4):
        Image.fromarray(np.full((8, 8), 60 * number, np.uint8)).save(pictures / f"{number}.png")
        rows.append({"path": f"{number}.png", "label": number % 2, "loss": 1.5, "site": "A"})
    pd.DataFrame(rows).to_csv(pictures / "labels.csv", index=False)
    status, (found,), _ = run("score", "--model", samples / "digits-cnn.safetensors",
                              "--data", pictures, "--out", tmp_path / "out")
    assert status == 0
    assert any("column 'loss' is not in predictions.parquet" in note for note in found["notes"])
    table = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    assert (table["site"] == "A").all() and not (table["loss"] == 1.5).any()
