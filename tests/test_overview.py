"""The Overview of data that is not as one would wish: without labels, with unreadable files."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from core import library
from core.errors import UserError
from core.hard_examples import SCORES, hardest_examples, scores_for
from core.inference import log_probabilities
from core.outcomes import standing
from core.overview import (
    LISTED,
    class_counts,
    findings,
    input_notes,
    least_sure,
    left_out,
    predicted_classes,
    unreadable,
)
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


def test_a_model_that_does_not_open_leaves_the_data_and_the_loss(own_data, monkeypatch):
    from core.files import found_files

    for name, number in (("3", 4), ("7", 2)):
        pictures(own_data / "set" / name, number)
    (own_data / "broken.pt").write_bytes(b"<!DOCTYPE html><html>")
    monkeypatch.setenv("NETLENS_MODELS", str(own_data))
    found_files.folders.cache_clear()
    app = opened(model="broken.pt", data="set", logs="logs/shapes")
    assert len(faults(app)) == 1 and "web page" in faults(app)[0]
    said = words(app)
    assert "Not shown" not in said and "6 examples from all over" in said
    assert app.dataframe[0].value["Examples"].tolist() == [4, 2]
    assert [title.value for title in app.subheader] == [
        "The data", "What was opened", "Loss while training"]


def test_classes_are_counted_by_their_examples(tmp_path):
    for name, number in (("b", 2), ("a", 3), ("c", 1)):
        pictures(tmp_path / "set" / name, number)
    table = class_counts(library.dataset_id(tmp_path / "set"))
    assert table["class"].tolist() == ["a", "b", "c"]
    assert table["share"].tolist() == pytest.approx([3 / 6, 2 / 6, 1 / 6])
    assert class_counts(library.dataset_id(pictures(tmp_path / "flat", 3))).empty


def test_without_labels_hard_examples_are_the_least_sure(model_id, tmp_path):
    dataset_id = library.dataset_id(pictures(tmp_path / "flat", 40))
    p = np.exp(log_probabilities(model_id, dataset_id).astype(np.float64))
    ordered = np.sort(p, axis=1)
    wanted = {
        "Entropy": -(p * np.log(p)).sum(1),
        "Doubt": 1 - p.max(1),
        "Close second": ordered[:, -2] - ordered[:, -1],
    }
    assert scores_for(model_id, dataset_id) == list(wanted)
    for name, values in wanted.items():
        table = hardest_examples(model_id, dataset_id, name, 10)
        assert table["score"].tolist() == pytest.approx(np.sort(values)[::-1][:10], abs=1e-5)
        assert not {"label", "loss", "correct"} & set(table)
    for name in set(SCORES) - set(wanted):
        with pytest.raises(UserError, match="no labels"):
            hardest_examples(model_id, dataset_id, name, 10)


def test_hard_examples_of_data_without_labels_on_the_page(own_data):
    pictures(own_data / "flat", 30)
    app = opened("pages/5_Hard_examples.py", model="digits-cnn.safetensors", data="flat",
                 hardness="Cross-entropy")
    assert not faults(app)
    said = words(app)
    assert "This data has no labels" in said and "The 24 least sure answers, the least sure first" in said
    assert not {"Label", "Loss", "Correct"} & set(app.dataframe[0].value)


def test_how_far_a_model_and_data_get(model_id, tmp_path):
    for name in ("3", "7"):
        pictures(tmp_path / "set" / name, 2)
    (tmp_path / "set.csv").write_text("path,label\nset/3/000.png,40\nset/7/001.png,41\n")
    flat = library.dataset_id(pictures(tmp_path / "flat", 2))
    labelled = library.dataset_id(tmp_path / "set")
    reached = [standing(model_id, data) for data in (labelled, flat, None)]
    assert [(found.opens, found.answers, found.scored) for found in reached] == [
        (True, True, True), (True, True, False), (True, False, False)]
    assert all(found.fault is None for found in reached)
    strange = standing(model_id, library.dataset_id(tmp_path / "set.csv"))
    assert strange.answers and not strange.scored and "No label" in str(strange.fault)
    nothing = standing(None, flat)
    assert not nothing.opens and nothing.fault is None


def test_weights_alone_show_the_data_and_nothing_that_only_a_network_says(own_data, monkeypatch):
    from core.files import found_files

    for name, number in (("3", 4), ("7", 2)):
        pictures(own_data / "set" / name, number)
    torch.save({"some.thing": torch.zeros(7, 5), "other.part": torch.zeros(9)},
               own_data / "weights.pt")
    monkeypatch.setenv("NETLENS_MODELS", str(own_data))
    found_files.folders.cache_clear()
    app = opened(model="weights.pt", data="set")
    said = words(app)
    assert len(faults(app)) == 1 and "holds weights only" in faults(app)[0]
    assert "6 examples from all over" in said
    assert "as the network sees it" not in said and "Not stated anywhere" not in said
    assert "Try other set-ups" not in [button.label for button in app.button]
    assert app.dataframe[0].value["Share"].tolist() == pytest.approx([400 / 6, 200 / 6])


def test_what_nobody_stated_is_said_as_people_write_it(tmp_path, samples):
    file = tmp_path / "net.safetensors"
    file.write_bytes((samples / "digits-cnn.safetensors").read_bytes())
    dataset_id = library.dataset_id(pictures(tmp_path / "flat", 3))
    said, = input_notes(library.model_id(file), dataset_id)
    assert said.endswith("range 0 to 1, mean 0, std 1, resize stretch.")
    assert "(" not in said


@pytest.mark.parametrize(("mislabelled", "said"),
                         [(5, "the label may be wrong."), (30, "30 % of its sure answers"),
                          (100, "may not be those it was trained")])
def test_labels_are_doubted_only_where_few_sure_answers_are_wrong(model_id, samples, tmp_path,
                                                                  mislabelled, said):
    data = library.open_dataset(library.dataset_id(samples / "digits-test.json"))
    for row in range(100):
        label = (int(data.labels[row]) + (row < mislabelled)) % 10
        place = tmp_path / "set" / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(data.image(row)[..., 0]).save(place / f"{row}.png")
    first = findings(model_id, library.dataset_id(tmp_path / "set"))[0]
    assert first.title.startswith("Wrong and sure of it") and said in first.reason
