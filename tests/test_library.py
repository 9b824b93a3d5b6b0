"""What is found under folders, how it is named, and that ids follow content."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from core import library, places
from core.card import Card
from core.errors import UserError
from core.files import found_files


@pytest.fixture(autouse=True)
def fresh():
    found_files.folders.cache_clear()
    yield
    found_files.folders.cache_clear()


def picture_folder(place, classes=("cat", "dog"), each=2):
    for name in classes:
        (place / name).mkdir(parents=True)
        for i in range(each):
            Image.fromarray(np.full((6, 6, 3), 40 * i, np.uint8)).save(place / name / f"{i}.png")
    return place


def test_an_example_of_a_part_has_the_number_that_it_has_in_the_whole(samples):
    path = samples / "digits-all.json"  # its pictures are called 0000 to 1796
    whole = library.open_dataset(library.dataset_id(path))
    assert whole.whole == len(whole) == 1797
    assert whole.numbers([5, 0]) == [5, 0]
    assert [whole.example(number) for number in (0, 1796, 1797, -1)] == [0, 1796, None, None]
    for first in (False, True):
        part = library.open_dataset(library.dataset_id(path, 100, first))
        said = [int(name[-8:-4]) for name in part.metadata["path"]]
        assert part.whole == 1797 and part.numbers(range(100)) == said
        for number in range(-3, 1800):
            assert part.example(number) == (said.index(number) if number in said else None)
        np.testing.assert_array_equal(part.image(60), whole.image(said[60]))


def test_the_samples_are_found():
    assert "shapes-cnn.safetensors" in found_files.listing("models").paths
    assert "digits-keras.keras" in found_files.listing("models").paths
    assert list(found_files.listing("data").paths) == sorted(found_files.listing("data").paths)
    assert {"shapes-test.json", "digits-test.json"} <= found_files.listing("data").paths.keys()
    assert list(found_files.listing("logs").paths) == ["logs/digits", "logs/shapes"]


def test_cards_and_data_are_no_models():
    assert not [name for name in found_files.listing("models").paths if name.endswith(".json")]


def test_folders_from_the_command_line_and_the_environment(tmp_path, samples, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    for place in (first, second):
        (place / "sub").mkdir(parents=True)
        (place / "sub" / "net.safetensors").write_bytes(
            (samples / "digits-cnn.safetensors").read_bytes()
        )
    monkeypatch.setattr(sys, "argv", ["Home.py", "--models", str(first)])
    monkeypatch.setenv("NETLENS_MODELS", f"{second}")
    paths = found_files.listing("models").paths
    assert list(paths)[:2] == ["sub/net.safetensors", "second/sub/net.safetensors"]
    assert "shapes-cnn.safetensors" in paths


def test_a_folder_that_is_missing_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("NETLENS_DATA", str(tmp_path / "gone"))
    assert "gone does not exist" in found_files.listing("data").skipped


def test_data_sets_are_found_and_not_looked_into(tmp_path, monkeypatch):
    picture_folder(tmp_path / "pets" / "train")
    picture_folder(tmp_path / "pets" / "test")
    monkeypatch.setenv("NETLENS_DATA", str(tmp_path))
    names = [name for name in found_files.listing("data").paths if "json" not in name]
    assert names == ["pets/test", "pets/train"]
    monkeypatch.setenv("NETLENS_DATA", str(tmp_path / "pets" / "test"))
    found_files.folders.cache_clear()
    assert next(iter(found_files.listing("data").paths)) == "test"


def test_ids_follow_the_bytes_the_card_and_the_correction(tmp_path, samples):
    model = tmp_path / "net.safetensors"
    model.write_bytes((samples / "digits-cnn.safetensors").read_bytes())
    first = library.model_id(model)
    assert library.model_id(model) == first
    assert library.model_id(model, Card(output="probabilities")) != first
    (tmp_path / "net.card.json").write_text(json.dumps({"output": "logits"}))
    second = library.model_id(model)
    assert second != first
    model.write_bytes((samples / "shapes-cnn.safetensors").read_bytes())
    assert library.model_id(model) not in (first, second)


@pytest.mark.parametrize(("chosen", "part", "other"), [
    ("net.onnx", "net.onnx.data", "other.onnx.data"),
    ("model.safetensors.index.json", "model-00002-of-00002.safetensors", "a-00001-of-00002.safetensors"),
    ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors"),
    ("pytorch_model.bin.index.json", "pytorch_model-00001-of-00001.bin", "pytorch_model.bin"),
])
def test_a_model_id_follows_the_files_that_its_weights_lie_in(tmp_path, chosen, part, other):
    for name in (chosen, part, other):
        (tmp_path / name).write_bytes(b"one")
    before = library.model_id(tmp_path / chosen)
    (tmp_path / other).write_bytes(b"another")
    assert library.model_id(tmp_path / chosen) == before
    (tmp_path / part).write_bytes(b"another")
    after = library.model_id(tmp_path / chosen)
    assert after != before and places.content_of(after) != places.content_of(before)


def test_a_data_id_follows_the_folder(tmp_path):
    folder = picture_folder(tmp_path / "pets")
    first = library.dataset_id(folder)
    assert library.dataset_id(folder) == first
    assert library.dataset_id(folder, 2) != first
    (folder / "cat" / "0.png").unlink()
    assert library.dataset_id(folder) != first


def test_what_is_nothing_is_named(tmp_path):
    (tmp_path / "page.pt").write_text("<!DOCTYPE html><html><body>404</body></html>")
    with pytest.raises(UserError, match=r"page\.pt"):
        library.open_model(library.model_id(tmp_path / "page.pt"))
    with pytest.raises(UserError, match="gone"):
        library.model_id(tmp_path / "gone.pt")
    with pytest.raises(UserError, match="gone"):
        library.dataset_id(tmp_path / "gone")
    with pytest.raises(UserError, match="no longer open"):
        library.open_dataset("unknown")


def test_kinds(samples, tmp_path):
    assert found_files.kind_of(samples / "shapes-cnn.pt2") == "models"
    assert found_files.kind_of(samples / "shapes-test.json") == "data"
    assert found_files.kind_of(picture_folder(tmp_path / "pets")) == "data"
    assert found_files.kind_of(samples / "logs") == "logs"
    assert found_files.kind_of(samples / "make.py") is None
    assert found_files.kind_of(tmp_path / "gone") is None


def test_a_model_that_is_replaced_while_open_keeps_its_results_apart(tmp_path, samples):
    """Training writes a new epoch: the old network's numbers are not the new one's."""
    import numpy as np
    from safetensors.torch import load_file, save_file

    from core.inference import predictions

    model, data = tmp_path / "last.safetensors", library.dataset_id(samples / "digits-test.json")
    model.write_bytes((samples / "digits-cnn.safetensors").read_bytes())
    (tmp_path / "last.card.json").write_bytes((samples / "digits-cnn.card.json").read_bytes())
    first = library.model_id(model)
    library.open_model(first)
    save_file({k: t * 0 for k, t in load_file(model).items()}, tmp_path / "new.safetensors")
    (tmp_path / "new.safetensors").replace(model)
    good = predictions(first, data)
    second = library.model_id(model)
    assert second != first
    assert good.max(1).mean() > 0.9
    assert np.allclose(predictions(second, data), 0.1, atol=1e-6)


def test_a_file_that_is_overwritten_while_open_does_not_take_the_process_with_it(tmp_path, samples):
    model = tmp_path / "last.safetensors"
    model.write_bytes((samples / "digits-cnn.safetensors").read_bytes())
    module = library.open_model(library.model_id(model)).module
    with model.open("r+b") as file:
        file.truncate(10)  # a mapped page beyond the end would be a bus error
    assert all(bool(p.isfinite().all()) for p in module.parameters())


def test_without_words_there_are_the_samples(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["Home.py"])
    assert found_files.folders("models") == (found_files.SAMPLES,)


def test_a_folder_given_with_an_equals_sign(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["Home.py", f"--models={tmp_path}"])
    assert found_files.folders("models")[0] == tmp_path


def test_a_moved_data_set_is_another_place_with_the_same_content(tmp_path):
    first = library.dataset_id(picture_folder(tmp_path / "pets"))
    (tmp_path / "pets").rename(tmp_path / "animals")
    second = library.dataset_id(tmp_path / "animals")
    assert first != second
    assert places.content_of(first) == places.content_of(second)
    assert library.open_dataset(second).title == "animals"
