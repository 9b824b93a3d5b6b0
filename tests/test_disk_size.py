"""The size on disk: one file, shards of weights, and ONNX with its values in files beside it."""

import json
import warnings

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from core.library import model_id
from core.measures.disk_size import files_of, size_on_disk


@pytest.mark.parametrize("file", ["shapes-cnn.pt2", "shapes-cnn.onnx", "digits-keras.keras",
                                  "shapes-cnn.safetensors"])
def test_one_file_or_archive_is_as_large_as_it_is(samples, file):
    assert size_on_disk(model_id(samples / file)) == ((samples / file).stat().st_size, 1)


def test_shards_are_added_up_each_once(tmp_path):
    for number in (1, 2):
        save_file({f"w{number}.{k}": torch.randn(number, 50) for k in range(2)},
                  tmp_path / f"model-0000{number}-of-00002.safetensors")
    places = {f"w{number}.{k}": f"model-0000{number}-of-00002.safetensors"
              for number in (1, 2) for k in range(2)}
    index = tmp_path / "model.safetensors.index.json"
    outside = {"x": "../secret.safetensors", "y": "gone.safetensors", "z": 3}
    index.write_text(json.dumps({"metadata": {}, "weight_map": places | outside}))
    (tmp_path / "unrelated.safetensors").write_bytes(b"0" * 999)
    found = files_of(index)
    assert [file.name for file in found] == [index.name, *sorted(set(places.values()))]


@pytest.mark.parametrize("said", ["[]", "{}", '{"weight_map": 3}'])
def test_an_index_that_names_nothing_is_one_file(tmp_path, said):
    index = tmp_path / "a.index.json"
    index.write_text(said)
    assert files_of(index) == [index]


def test_values_beside_an_onnx_file_count(tmp_path):
    path = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(nn.Linear(64, 64).eval(), (torch.zeros(1, 64),), str(path),
                          dynamo=False)
    import onnx

    onnx.save(onnx.load(path), path, save_as_external_data=True, location="net.values",
              size_threshold=0)
    size, files = size_on_disk(model_id(path))
    assert files == 2
    assert size == path.stat().st_size + (tmp_path / "net.values").stat().st_size > 4 * 64 * 64
