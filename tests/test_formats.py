"""Every format, whatever it is: opens its sample, refuses the others', names a damaged file."""

from pathlib import Path

import numpy as np
import pytest
import torch

from core import library
from core.card import Card
from core.errors import UserError
from core.model_formats import LoadedModel
from core.plugins import discover
from tests.conftest import ROOT

SAMPLES = ROOT / "sample_models"
MODELS = discover("core.model_formats", "FORMAT")
DATA = discover("core.dataset_formats", "FORMAT")
LOGS = discover("core.log_formats", "FORMAT")
EXTENSIONS = {".pt", ".ckpt", ".safetensors", ".pt2", ".onnx", ".keras", ".h5"}
MODEL_FILES = sorted(path for path in SAMPLES.iterdir() if path.suffix in EXTENSIONS)
DATA_FILES = sorted(path for path in SAMPLES.glob("*.json") if not path.name.endswith(".card.json"))


def named(value):
    return value.name if isinstance(value, Path) else str(value)


def formats_of(path, formats):
    return [name for name, form in formats.items() if form.matches(path)]


@pytest.mark.parametrize("path", MODEL_FILES, ids=named)
def test_exactly_one_format_knows_each_model_file_whatever_its_name(path, tmp_path):
    assert len(formats_of(path, MODELS)) == 1
    renamed = tmp_path / "file.bin"
    renamed.write_bytes(path.read_bytes())
    assert formats_of(renamed, MODELS) == formats_of(path, MODELS)


@pytest.mark.parametrize(
    "path",
    [*DATA_FILES, *SAMPLES.glob("*.card.json"), ROOT / "README.md", *SAMPLES.glob("logs/*/*/*")],
    ids=named,
)
def test_no_model_format_takes_what_is_no_model(path):
    assert formats_of(path, MODELS) == []


@pytest.mark.parametrize("path", DATA_FILES, ids=named)
def test_exactly_one_format_knows_each_data_set(path):
    (form,) = formats_of(path, DATA)
    data = DATA[form].load(path)
    assert len(data) > 0
    assert len(data.labels) == len(data.metadata) == len(data)
    assert set(data.labels) <= set(range(len(data.class_names)))
    picture = data.image(len(data) - 1)
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] in (1, 3)
    assert DATA[form].content_id(path) == DATA[form].content_id(path)


@pytest.mark.parametrize(
    "path", [*MODEL_FILES, *SAMPLES.glob("*.card.json"), SAMPLES / "logs"], ids=named
)
def test_no_data_format_takes_what_is_no_data(path):
    assert formats_of(path, DATA) == []


@pytest.mark.parametrize("path", MODEL_FILES, ids=named)
def test_each_model_opens_frozen(path):
    (form,) = formats_of(path, MODELS)
    loaded = MODELS[form].load(path, Card())
    assert isinstance(loaded, LoadedModel)
    assert not loaded.module.training
    assert not any(p.requires_grad for p in loaded.module.parameters())
    assert all(isinstance(note, str) and note for note in loaded.notes)


@pytest.mark.parametrize("path", MODEL_FILES, ids=named)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_a_truncated_model_is_named(path, share, tmp_path):
    cut = tmp_path / path.name
    cut.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UserError) as error:
        library.open_model(library.model_id(cut))
    assert path.name in str(error.value)


def test_the_shapes_network_is_the_same_in_every_format():
    inputs = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    outputs = {
        path.name: library.open_model(library.model_id(path)).module(inputs)
        for path in MODEL_FILES
        if path.name.startswith("shapes-cnn")
    }
    assert len(outputs) == 6
    for name, found in outputs.items():
        assert torch.allclose(found, outputs["shapes-cnn.pt"], atol=1e-4), name


def test_the_keras_network_is_the_same_in_both_formats():
    inputs = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    first, second = (
        library.open_model(library.model_id(SAMPLES / f"digits-keras.{ending}")).module(inputs)
        for ending in ("keras", "h5")
    )
    assert torch.allclose(first, second, atol=1e-6)


def test_layers_keep_their_names_in_the_exported_form():
    names = [
        set(dict(library.open_model(library.model_id(SAMPLES / f)).module.named_modules()))
        for f in ("shapes-cnn.safetensors", "shapes-cnn.pt2")
    ]
    assert {"stage1.conv", "stage2.norm", "stage3.activation", "head"} <= names[0] & names[1]


@pytest.mark.parametrize("folder", sorted((SAMPLES / "logs").iterdir()), ids=named)
def test_each_log_folder_reads(folder):
    table = library.open_logs(library.logs_id(folder)).table
    assert list(table.columns) == ["run", "tag", "step", "wall_time", "value"]
    assert {"loss/train", "loss/validation"} <= set(table["tag"])
