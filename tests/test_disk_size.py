"""The size on disk: one file, shards of weights, and ONNX with its values in files beside it."""

import json
import warnings

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from core.card import Card
from core.errors import UserError
from core.files import file_map
from core.library import model_id
from core.measures.disk_size import files_of, size_on_disk
from core.model_formats import shard_index


@pytest.mark.parametrize("file", ["shapes-cnn.pt2", "shapes-cnn.onnx", "digits-keras.keras",
                                  "shapes-cnn.safetensors"])
def test_one_file_or_archive_is_as_large_as_it_is(samples, file):
    assert size_on_disk(model_id(samples / file)) == ((samples / file).stat().st_size, 1)


@pytest.fixture()
def index(tmp_path):
    """The index of two files of weights, beside a third that it does not name."""
    places = {}
    for number in (1, 2):
        name = f"model-0000{number}-of-00002.safetensors"
        held = {f"w{number}.{k}": torch.randn(number, 50) for k in range(2)}
        places |= dict.fromkeys(held, name)
        save_file(held, tmp_path / name)
    (tmp_path / "unrelated.safetensors").write_bytes(b"0" * 999)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return index


@pytest.mark.parametrize("opened", ["model.safetensors.index.json",
                                    "model-00002-of-00002.safetensors"])
def test_the_index_and_each_part_are_as_large_as_the_whole(index, opened):
    parts = sorted(index.parent.glob("model-*"))
    path = index.with_name(opened)
    assert files_of(path) == [index, *parts]
    assert size_on_disk(model_id(path)) == (sum(f.stat().st_size for f in [index, *parts]), 3)


def test_a_part_without_its_index_is_one_file(index):
    index.unlink()
    part = index.with_name("model-00001-of-00002.safetensors")
    assert files_of(part) == [part]


@pytest.mark.parametrize("places", ["{}", "3", '{"w": ""}', '{"w": "../outside.safetensors"}'])
def test_an_index_that_does_not_open_has_no_size_either(tmp_path, places):
    index = tmp_path / "a.safetensors.index.json"
    index.write_text(f'{{"weight_map": {places}}}')
    (tmp_path.parent / "outside.safetensors").write_bytes(b"0")
    messages = []
    for of in (files_of, lambda path: shard_index.load(path, Card())):
        with pytest.raises(UserError, match=r"a\.safetensors\.index\.json") as refused:
            of(index)
        messages.append(str(refused.value))
    assert messages[0] == messages[1]


def test_values_beside_an_onnx_file_count(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(nn.Linear(64, 64).eval(), (torch.zeros(1, 64),), str(path),
                          dynamo=False)
    import onnx

    onnx.save(onnx.load(path), path, save_as_external_data=True, location="net.values",
              size_threshold=0)
    def copied(file):
        raise AssertionError("a graph of gigabytes would be copied for the names in it")

    monkeypatch.setattr(file_map, "_of_copy", copied)
    size, files = size_on_disk(model_id(path))
    assert files == 2
    assert size == path.stat().st_size + (tmp_path / "net.values").stat().st_size > 4 * 64 * 64
