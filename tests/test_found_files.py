"""The listing of what there is to open: as fresh as the folders, without asking every file again."""

import os
import pickle

import numpy as np
import pytest
from PIL import Image

from core.errors import UserError
from core.files import found_files, walked_folders
from core.files.found_data import data_set_at


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(found_files, "folders", lambda kind: (tmp_path,))
    monkeypatch.setattr(found_files, "REMEMBERED", 0)
    return tmp_path


def names(kind):
    return sorted(found_files.listing(kind).paths)


def metrics(folder, words="step,loss\n0,1.0\n1,0.5\n"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.csv").write_text(words)


def test_what_comes_changes_and_goes_is_seen(root):
    (root / "keep").mkdir()
    metrics(root / "runs" / "first")
    assert names("logs") == ["runs"]
    metrics(root / "deep" / "below" / "run")
    assert names("logs") == ["deep/below", "runs"]
    (root / "runs" / "first" / "metrics.csv").write_text("words of no meaning\n")
    assert names("logs") == ["deep/below"]
    (root / "deep" / "below" / "run" / "metrics.csv").unlink()
    assert names("logs") == []


def test_data_sets_below_a_folder_that_is_none(root):
    (root / "other").mkdir()
    (root / "other" / "notes.txt").write_text("nothing")
    assert names("data") == []
    np.savez(root / "other" / "set.npz", x=np.zeros((4, 8, 8, 3), np.uint8), y=np.arange(4))
    assert names("data") == ["other/set.npz"]
    (root / "other" / "set.npz").unlink()
    assert names("data") == []


def test_a_folder_as_it_was_is_not_asked_again(root, monkeypatch):
    metrics(root / "runs" / "first")
    asked = []
    is_log = found_files._is_log
    monkeypatch.setattr(found_files, "_is_log", lambda path: asked.append(path) or is_log(path))
    assert names("logs") == ["runs"] and asked
    asked.clear()
    assert names("logs") == ["runs"] and not asked
    metrics(root / "runs" / "second")
    assert names("logs") == ["runs"] and asked


def test_stamp_tells_content_and_names_apart(tmp_path, monkeypatch):
    metrics(tmp_path / "a")
    first = walked_folders.walked(tmp_path)
    assert walked_folders.walked(tmp_path) == first
    file = tmp_path / "a" / "metrics.csv"
    os.utime(file, (1, 1))
    assert walked_folders.walked(tmp_path).stamp != first.stamp
    monkeypatch.setattr(walked_folders, "MOST_STAMPED", 0)  # files are many: the folder's time counts
    coarse = walked_folders.walked(tmp_path).stamp
    os.utime(file, (2, 2))
    assert walked_folders.walked(tmp_path).stamp == coarse
    (tmp_path / "a" / "more.csv").write_text("")
    assert walked_folders.walked(tmp_path).stamp != coarse


def test_links_and_hidden_folders_are_left_out(tmp_path):
    metrics(tmp_path / ".hidden")
    metrics(tmp_path / "__pycache__")
    (tmp_path / "link").symlink_to(tmp_path / ".hidden")
    found = [place.name for place, _ in walked_folders.walked(tmp_path).folders]
    assert found == [tmp_path.name]


def test_a_batch_of_cifar_is_data_though_a_pickle_may_be_a_model(tmp_path):
    said = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 1]}
    (tmp_path / "test_batch").write_bytes(pickle.dumps(said, protocol=2))
    (tmp_path / "network.pkl").write_bytes(pickle.dumps({"fc.weight": 1}, protocol=2))
    assert found_files.kind_of(tmp_path / "test_batch") == "data"
    assert found_files.kind_of(tmp_path / "network.pkl") == "models"


def pictures(folder, number=4):
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(number):
        Image.new("RGB", (6, 6), (40 * i, 0, 0)).save(folder / f"{i}.png")


def table(path, folder=""):
    path.write_text("path,label\n" + "".join(f"{folder}{i}.png,{i % 2}\n" for i in range(4)))


def test_each_table_and_each_folder_of_pictures_is_listed(root):
    pictures(root / "pets" / "cat")
    pictures(root / "pets" / "dog")
    pictures(root / "loose")
    table(root / "missing.csv", "pets/cat/")
    assert names("data") == ["loose", "missing.csv", "pets"]
    (root / "empty").mkdir()
    table(root / "more.csv", "loose/")
    assert names("data") == ["loose", "missing.csv", "more.csv", "pets"]


def test_tables_beside_class_folders_are_listed_too(root):
    pictures(root / "cat")
    pictures(root / "dog")
    assert names("data") == [root.name]
    (root / "notes.csv").write_text("word,meaning\none,two\n")
    table(root / "missing.csv", "cat/")
    np.savez(root / "set.npz", x=np.zeros((4, 8, 8, 3), np.uint8), y=np.arange(4))
    assert names("data") == ["missing.csv", "set.npz", root.name]
    (root / "below").mkdir()
    for part in ("cat", "dog"):
        (root / part).rename(root / "below" / part)
    (root / "missing.csv").rename(root / "below" / "missing.csv")
    assert names("data") == ["below", "below/missing.csv", "set.npz"]


def test_the_one_table_beside_the_pictures_that_it_names_is_part_of_them(root):
    pictures(root)
    table(root / "metadata.csv")
    assert names("data") == [root.name]
    table(root / "other.csv")
    assert names("data") == ["metadata.csv", "other.csv", root.name]


def test_a_named_pipe_is_no_log_and_is_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "events.out.tfevents.1")
    monkeypatch.setenv("NETLENS_LOGS", str(tmp_path))
    assert not found_files._is_log(tmp_path / "events.out.tfevents.1")


def test_captions_beside_pictures_hide_no_table(tmp_path):
    for number in range(100):
        Image.new("L", (4, 4)).save(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text("a caption")
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_text("path,label\nx.png,1\n")
    np.savez(tmp_path / "arrays.npz", x=np.zeros((9, 4, 4), np.uint8), y=np.zeros(9, np.int64))
    names = {path.name for path in data_set_at(tmp_path)}
    assert names == {tmp_path.name, "one.csv", "two.csv", "arrays.npz"}
    (tmp_path / "two.csv").unlink()
    assert {path.name for path in data_set_at(tmp_path)} == {tmp_path.name, "arrays.npz"}


def test_a_file_that_the_system_does_not_show_is_passed_over(root, monkeypatch):
    metrics(root / "runs" / "first")
    (root / "runs" / "first" / "cwd").symlink_to("nowhere")
    stat = os.stat

    def closed(path, *rest, **named):
        if isinstance(path, str | os.PathLike) and os.fspath(path).endswith("cwd"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return stat(path, *rest, **named)

    monkeypatch.setattr(os, "stat", closed)
    assert found_files.kind_of(root / "runs") == "logs"
    assert names("logs") == ["runs"]


def test_a_folder_whose_state_is_not_told_is_said(root, monkeypatch):
    long = root / ("a" * 5000)
    monkeypatch.setattr(found_files, "folders", lambda kind: (long, root))
    metrics(root / "runs" / "first")
    found = found_files.listing("logs")
    assert sorted(found.paths) == ["runs"]
    assert "File name too long" in found.skipped and len(found.skipped) < 300


def test_odd_names_are_refused_by_name(tmp_path):
    for ask in (found_files.kind_of, lambda path: found_files.not_known(path, "model")):
        with pytest.raises(UserError, match=r"^'aaa.{50,60}…' could not be read \(File name too"):
            ask(tmp_path / ("a" * 5000))
    assert found_files.kind_of(tmp_path / "   ") is None
    assert found_files.not_known(tmp_path / "   ", "model").startswith("'   ' does not exist.")
    assert found_files.not_known(tmp_path / "net.pt", "model").startswith("net.pt does not exist.")
