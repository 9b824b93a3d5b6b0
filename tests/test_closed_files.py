"""Files and folders that are there, but that this account may not read."""

import builtins
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core import library, reports
from core.dataset_files import file_sources
from core.errors import UserError
from core.files import found_files
from core.logs import read_logs


@pytest.fixture
def close(monkeypatch):
    """Closes a path as file permissions do, which hold for no administrator."""
    shut: set[str] = set()

    def guarded(real):
        def call(path, *rest, **named):
            if isinstance(path, str | os.PathLike) and os.fspath(path) in shut:
                raise PermissionError(13, "Permission denied", os.fspath(path))
            return real(path, *rest, **named)

        return call

    monkeypatch.setattr(io, "open", guarded(io.open))
    monkeypatch.setattr(builtins, "open", guarded(builtins.open))
    monkeypatch.setattr(os, "scandir", guarded(os.scandir))
    monkeypatch.setattr(os, "listdir", guarded(os.listdir))
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: os.fspath(path) not in shut and access(path, mode))
    return lambda path: shut.add(os.fspath(path))


def pictures(folder: Path, *names: str) -> Path:
    for name in names:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), len(name), np.uint8)).save(place)
    return folder


@pytest.mark.parametrize("name", ["net.safetensors", "net.pt", "net.onnx", "net.keras", "net"])
def test_a_closed_model_is_said_to_be_closed(tmp_path, close, samples, name):
    path = tmp_path / name
    path.write_bytes((samples / "digits-cnn.safetensors").read_bytes())
    close(path)
    with pytest.raises(UserError, match=rf"{name} could not be read \(Permission denied\)"):
        library.read_model(library.model_id(path))


@pytest.mark.parametrize("name", ["set.npz", "set.npy", "set.csv", "set.zip", "set.parquet", "a.png"])
def test_a_closed_data_set_is_said_to_be_closed(tmp_path, close, name):
    path = tmp_path / name
    path.write_bytes(b"anything")
    close(path)
    with pytest.raises(UserError, match=rf"{name} could not be read \(Permission denied\)"):
        library.open_dataset(library.dataset_id(path))


def test_closed_files_beside_others_hide_none_of_them(tmp_path, close, samples, monkeypatch):
    content = (samples / "digits-cnn.safetensors").read_bytes()
    for name in ("a.safetensors", "b.safetensors", "c"):
        (tmp_path / name).write_bytes(content)
    for name in ("a.safetensors", "c"):
        close(tmp_path / name)
    monkeypatch.setattr(found_files, "folders", lambda kind: (tmp_path,))
    assert sorted(found_files.listing("models").paths) == ["a.safetensors", "b.safetensors"]


def test_closed_pictures_and_folders_are_skipped_and_told(tmp_path, close):
    folder = pictures(tmp_path / "set", "cat/1.png", "cat/2.png", "dog/1.png", "fox/1.png")
    close(folder / "cat/1.png")
    close(folder / "fox")
    file_sources._scanned.clear()
    report = reports.data_report(folder, None)
    assert report["examples"] == 2
    assert [path for path, _ in report["unreadable"]] == ["cat/1.png"]
    said = " ".join(report["notes"])
    assert "cat/1.png, which could not be read (Permission denied)" in said
    assert "1 folder was left out, first fox: this account may not read it." in said


def test_a_picture_whose_size_cannot_be_had_is_not_called_empty(tmp_path, close, monkeypatch):
    folder = pictures(tmp_path / "set", "cat/1.png", "dog/1.png", "dog/2.png")
    close(folder / "dog/2.png")
    real = os.stat

    def stat(path, *rest, **named):
        if os.fspath(path) == os.fspath(folder / "dog/2.png") and not named.get("dir_fd"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *rest, **named)

    monkeypatch.setattr(file_sources.os, "stat", stat)
    (_, why), = reports.data_report(folder, None)["unreadable"]
    assert why.startswith("could not be read (Permission denied)")


def test_a_closed_folder_is_said_to_be_closed(tmp_path, close):
    folder = pictures(tmp_path / "set", "cat/1.png", "dog/1.png")
    close(folder)
    with pytest.raises(UserError, match=r"could not be read \(Permission denied\)"):
        library.dataset_id(folder)


def test_closed_logs_are_named_where_nothing_else_is_there(tmp_path, close):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("step,loss\n1,2\n2,1\n")
    close(tmp_path / "a.csv")
    assert any("could not be read (1): a.csv" in note for note in read_logs(tmp_path).notes)
    close(tmp_path / "b.csv")
    with pytest.raises(UserError, match=r"could not be read \(2\): a.csv, b.csv"):
        read_logs(tmp_path)


def test_a_closed_file_of_no_ending_keeps_no_folder_from_being_listed(tmp_path, close, monkeypatch):
    pictures(tmp_path / "set", "cat/1.png", "dog/2.png")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_bytes(b"anything")
    close(tmp_path / "other" / "file")
    monkeypatch.setattr(found_files, "folders", lambda kind: (tmp_path,))
    monkeypatch.setattr(found_files, "REMEMBERED", 0)
    assert list(found_files.listing("data").paths) == ["set"]
    assert found_files.kind_of(tmp_path / "other") is None
