"""The Overview of data that is not as one would wish: without labels, with unreadable files."""

import os

import numpy as np
import pytest
from PIL import Image

from core import library
from core.inference import log_probabilities
from core.overview import LISTED, least_sure, left_out, predicted_classes, unreadable
from tests.app import faults, opened, words


def pictures(place, number, seed=0):
    """Random 8 × 8 pictures, a file each."""
    place.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for i in range(number):
        pixels = random.integers(0, 255, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{i:03d}.png")
    return place


@pytest.fixture
def model_id(samples):
    return library.model_id(samples / "digits-cnn.safetensors")


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    """Where a data set called flat, and one called set, are listed beside the samples."""
    from core.files import found_files

    places = (tmp_path / "own" / name for name in ("flat", "set"))
    monkeypatch.setenv("NETLENS_DATA", os.pathsep.join(map(str, places)))
    found_files.folders.cache_clear()
    yield tmp_path / "own"
    monkeypatch.undo()
    found_files.folders.cache_clear()


def test_predictions_without_labels_are_counted_and_averaged(model_id, tmp_path):
    dataset_id = library.dataset_id(pictures(tmp_path / "flat", 30))
    table = predicted_classes(model_id, dataset_id)
    likely = np.exp(log_probabilities(model_id, dataset_id))
    answers, best = likely.argmax(1), likely.max(1)
    assert table["examples"].tolist() == sorted(np.bincount(answers)[np.unique(answers)])[::-1]
    for name, examples, share, confidence in table.itertuples(index=False):
        mine = answers == int(name)
        assert examples == mine.sum() and share == pytest.approx(mine.mean())
        assert confidence == pytest.approx(best[mine].mean())
    assert least_sure(model_id, dataset_id, 5)["example"].tolist() == np.argsort(best)[:5].tolist()


def test_without_labels_the_page_shows_predictions_and_no_error(own_data):
    pictures(own_data / "flat", 30)
    app = opened(model="digits-cnn.safetensors", data="flat")
    assert not faults(app)
    said = words(app)
    assert "30 predictions · mean confidence" in said and "has no labels" in said
    assert "Predictions by class" in said and "Not shown" not in said
    assert "Accuracy by class" not in said


def test_unreadable_files_are_all_counted_and_some_listed(own_data):
    for name in ("3", "7"):
        pictures(own_data / "set" / name, 4)
    for i in range(LISTED + 10):
        (own_data / "set" / "3" / f"broken{i}.png").write_bytes(b"no picture")
    app = opened(model="digits-cnn.safetensors", data="set")
    assert not faults(app)
    (folded,) = [e for e in app.expander if "left out" in e.label]
    assert folded.label == f"{LISTED + 10} files left out"
    (table,) = folded.dataframe
    assert len(table.value) == LISTED
    assert table.value.iloc[0, 0].startswith("3/broken")
    assert "cannot be read as a picture" in table.value.iloc[0, 1]


def test_what_could_not_be_opened_is_not_listed_twice(model_id, tmp_path):
    pictures(tmp_path / "set" / "3", 4)
    pictures(tmp_path / "set" / "7", 4)
    (tmp_path / "set" / "3" / "empty.png").write_bytes(b"")
    dataset_id = library.dataset_id(tmp_path / "set")
    assert unreadable(dataset_id)["path"].tolist() == ["3/empty.png"]
    assert left_out(model_id, dataset_id).empty
