"""Outlines of large files: their names and shapes, as the whole has them, and no number read."""

import os
import warnings

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from core import library
from core.architecture import architecture
from core.errors import UserError
from core.files import file_map
from core.files.file_map import FEW, FileMap, outlines
from core.model_facts import model_facts

SIDE = 640  # of matrices above FEW bytes


class Tied(nn.Module):
    """Two layers with one matrix, and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(SIDE, SIDE), nn.LayerNorm(SIDE)
        self.second = nn.Linear(SIDE, SIDE)
        self.second.weight = self.first.weight

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return self.second(self.norm(self.first(picture.flatten(1))))


def saved(form, folder):
    """A network of more than FEW bytes in a file of each form."""
    torch.manual_seed(0)
    model, path = Tied().eval(), folder / f"net.{form}"
    picture = torch.zeros(1, 1, 20, 32)
    if form == "pt2":
        torch.export.save(torch.export.export(model, (picture,)), path)
    elif form == "torchscript":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.save(torch.jit.trace(model, picture), path)
    elif form == "safetensors":
        save_file({name: tensor.clone() for name, tensor in model.state_dict().items()}, path)
    else:
        torch.save(model.state_dict(), path, _use_new_zipfile_serialization=form == "pth")
    return path


@pytest.fixture
def all_are_large(monkeypatch):
    monkeypatch.setattr(library, "LARGE", FEW)
    library._bytes_id.cache_clear()
    yield
    library._bytes_id.cache_clear()


@pytest.mark.parametrize("form", ["pth", "old.pth", "safetensors", "pt2", "torchscript"])
def test_the_table_of_an_outline_is_that_of_the_whole(form, tmp_path, all_are_large, monkeypatch):
    model = library.model_id(saved(form, tmp_path))
    outline = library.open_outline(model)
    large = [tensor for tensor in outline.module.parameters() if tensor.nbytes > FEW]
    assert large and not any(tensor.any() for tensor in large)
    small = dict(outline.module.named_parameters())
    norm = next(tensor for name, tensor in small.items() if name.endswith("norm.weight"))
    assert bool((norm == 1).all())  # is read
    found = architecture(model)
    monkeypatch.setattr(library, "LARGE", 1 << 40)
    whole = library.open_model(model)
    assert all(bool(tensor.any()) for tensor in whole.module.parameters() if tensor.nbytes > FEW)
    architecture.clear()
    library.open_outline.clear()
    expected = architecture(model)
    assert found.totals == expected.totals and found.notes == expected.notes
    assert found.table.equals(expected.table)


def test_facts_of_a_large_file_are_those_of_the_whole_once_it_was_read(tmp_path, all_are_large):
    weights = {"a.weight": torch.ones(SIDE, SIDE), "b.weight": torch.full((SIDE, SIDE), torch.nan)}
    save_file(weights, tmp_path / "net.safetensors")
    model = library.model_id(tmp_path / "net.safetensors")
    assert not any("Not finite" in note for note in library.open_outline(model).notes)
    assert any("Not finite" in note for note in model_facts(model).notes)


def test_what_has_no_outline_is_opened_whole(tmp_path, samples, monkeypatch):
    monkeypatch.setattr(library, "LARGE", 1000)
    library._bytes_id.cache_clear()
    monkeypatch.setattr(file_map, "LONGEST_HEAD", 1000)  # an ONNX file is all head
    monkeypatch.setattr(file_map, "FEW", 100)
    for name in ("digits-keras.keras", "shapes-cnn.onnx"):
        model = library.model_id(samples / name)
        outline = library.open_outline(model)
        assert library.open_model(model) is outline
        assert any(bool(tensor.any()) for tensor in outline.module.parameters())
    library._bytes_id.cache_clear()


def test_a_damaged_large_file_says_what_is_wrong(tmp_path, all_are_large):
    path = saved("safetensors", tmp_path)
    path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(UserError, match="safetensors"):
        library.open_outline(library.model_id(path))


def test_an_id_of_a_large_file_follows_its_time_and_a_sample_of_its_bytes(tmp_path, all_are_large):
    path = tmp_path / "net.bin"
    path.write_bytes(bytes(3 * FEW))
    os.utime(path, ns=(0, 10**18))
    first = library.file_id(path)
    assert library.file_id(path) == first
    os.utime(path, ns=(0, 10**18 + 1))
    second = library.file_id(path)
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"1")
    os.utime(path, ns=(0, 10**18))
    library._bytes_id.cache_clear()
    assert len({first, second, library.file_id(path)}) == 3


def refused(*arguments):
    raise OSError(18, "Invalid cross-device link")


def short(*arguments):
    return 0


@pytest.mark.parametrize("system", [None, refused, short])
def test_a_copy_is_whole_whatever_the_system_can(system, tmp_path, monkeypatch):
    content = os.urandom(3 << 20)
    (tmp_path / "a").write_bytes(content)
    if system:
        monkeypatch.setattr(os, "copy_file_range", system, raising=False)
    mapped = FileMap(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"")  # as a training run overwrites its checkpoint
    assert bytes(mapped.view(0, len(mapped))) == content
    mapped.forget()
    assert bytes(mapped.view(5, 100)) == content[5:105]


def test_an_outline_ends_where_the_file_ends_and_keeps_what_was_read(tmp_path):
    content = os.urandom(3 << 20)
    (tmp_path / "a").write_bytes(content)
    with outlines() as made:
        mapped = FileMap(tmp_path / "a")
    assert made == [mapped] and len(mapped) == len(content)
    assert bytes(mapped.view(len(content) - 5, 100)) == content[-5:]
    assert not any(mapped.view(FEW, FEW + 1))
    mapped.forget()
    assert bytes(mapped.view(0, 100)) == content[:100]
    assert bytes(mapped._bytes[-5:]) == content[-5:]
