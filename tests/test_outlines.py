"""Outlines of large files: their names and shapes, as the whole has them, and no number read."""

import io
import os
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from safetensors.torch import save_file
from torch import nn

from core import library
from core import model_facts as model_facts_module
from core.compare import compared
from core.errors import UserError
from core.files import file_map, model_ids
from core.files.file_map import FEW, FileMap, outlines
from core.files.model_ids import file_id
from core.input_shape import input_shape
from core.jobs import Audience, Working, audience
from core.measures.architecture_of import architecture_of
from core.measures.multiply_adds import LAYER_NORM, layer_norm_without_numbers
from core.model_facts import model_facts
from core.weight_files.weights_only import WeightsOnly
from core.weight_pictures import filters, heat_map
from core.weights import distribution, npy_file, spectral_norm, weight_statistics

SIDE = 760  # of matrices above FEW bytes


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
    picture = torch.zeros(1, 1, 20, 38)
    if form == "pt2":
        torch.export.save(torch.export.export(model, (picture,)), path)
    elif form == "torchscript":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.save(torch.jit.trace(model, picture), path)
    elif form == "onnx":
        torch.onnx.export(model, (picture,), path, dynamo=False, opset_version=17,
                          dynamic_axes={"x": {0: "batch"}}, input_names=["x"])
    elif form == "half.onnx":
        saved("onnx", folder)
        halved = onnx.load(folder / "net.onnx")
        for tensor in halved.graph.initializer:
            array = numpy_helper.to_array(tensor)
            if array.dtype == np.float32:
                tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float16), tensor.name))
        onnx.save(halved, path)
    elif form == "safetensors":
        save_file({name: tensor.clone() for name, tensor in model.state_dict().items()}, path)
    else:
        torch.save(model.state_dict(), path, _use_new_zipfile_serialization=form == "pth")
    return path


@pytest.fixture
def all_are_large(monkeypatch):
    monkeypatch.setattr(model_ids, "LARGE", FEW)
    model_ids._bytes_id.cache_clear()
    yield
    model_ids._bytes_id.cache_clear()


@pytest.mark.parametrize("form", ["pth", "old.pth", "safetensors", "pt2", "torchscript", "onnx",
                                  "half.onnx"])
def test_the_table_of_an_outline_is_that_of_the_whole(form, tmp_path, all_are_large, monkeypatch):
    model = library.model_id(saved(form, tmp_path))
    outline = library.open_outline(model)
    large = [tensor for tensor in outline.module.parameters() if tensor.nbytes > FEW]
    assert large and not any(tensor.any() for tensor in large)
    small = dict(outline.module.named_parameters())
    norm = next(tensor for name, tensor in small.items() if name.endswith("norm.weight"))
    assert bool((norm == 1).all())  # is read
    found = architecture_of(outline.module, input_shape(model))
    monkeypatch.setattr(model_ids, "LARGE", 1 << 40)
    whole = library.open_model(model)
    assert all(bool(tensor.any()) for tensor in whole.module.parameters() if tensor.nbytes > FEW)
    expected = architecture_of(whole.module, input_shape(model))
    assert found.totals == expected.totals and found.notes == expected.notes
    assert found.table.equals(expected.table)


def test_facts_of_a_large_file_are_those_of_the_whole_once_it_was_read(tmp_path, all_are_large):
    weights = {"a.weight": torch.ones(SIDE, SIDE), "b.weight": torch.full((SIDE, SIDE), torch.nan)}
    save_file(weights, tmp_path / "net.safetensors")
    model = library.model_id(tmp_path / "net.safetensors")
    assert not any("Not finite" in note for note in library.open_outline(model).notes)
    assert any("Not finite" in note for note in model_facts(model).notes)


def opened_whole(model):
    outline = library.open_outline(model)
    assert library.open_model(model) is outline
    assert any(bool(tensor.any()) for tensor in outline.module.parameters())
    return outline


def test_what_has_no_outline_is_opened_whole(samples, monkeypatch):
    monkeypatch.setattr(model_ids, "LARGE", 1000)
    model_ids._bytes_id.cache_clear()
    opened_whole(library.model_id(samples / "digits-keras.keras"))
    monkeypatch.setattr(file_map, "LONGEST_HEAD", 100)
    opened_whole(library.model_id(samples / "shapes-cnn.safetensors"))
    model_ids._bytes_id.cache_clear()


def with_a_fixed_batch(folder, rows):
    """The id of a network for two examples, multiplied with a matrix in `rows` rows: (2, SIDE)."""
    width = 2 * SIDE // rows
    weight = np.random.default_rng(0).normal(size=(width, width)).astype(np.float32)
    nodes = [helper.make_node("Reshape", ["x", "flat_sizes"], ["flat"]),
             helper.make_node("MatMul", ["flat", "weight"], ["made"]),
             helper.make_node("Reshape", ["made", "sizes"], ["y"])]
    sizes = {"x": [2, 1, 20, 38], "y": [2, SIDE]}
    given, result = (helper.make_tensor_value_info(name, 1, shape) for name, shape in sizes.items())
    tensors = [numpy_helper.from_array(weight, "weight"),
               numpy_helper.from_array(np.array([rows, width]), "flat_sizes"),
               numpy_helper.from_array(np.array([2, SIDE]), "sizes")]
    graph = helper.make_graph(nodes, "graph", [given], [result], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              folder / "net.onnx")
    return library.model_id(folder / "net.onnx")


def test_a_batch_that_is_freed_by_trying_takes_the_numbers(tmp_path, all_are_large):
    found = opened_whole(with_a_fixed_batch(tmp_path, rows=4))
    assert any("were freed, and a check" in note for note in found.notes)
    assert found.module(torch.ones(5, 1, 20, 38)).shape == (5, SIDE)


def test_a_batch_that_is_first_before_and_after_is_freed_without_numbers(tmp_path, all_are_large):
    model = with_a_fixed_batch(tmp_path, rows=2)
    outline = library.open_outline(model)
    assert not any(bool(tensor.any()) for tensor in outline.module.parameters())
    assert any("were freed." in note for note in outline.notes)
    whole = library.open_model(model)
    assert whole is not outline and whole.notes == outline.notes
    x = torch.randn(5, 1, 20, 38, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    expected = [session.run(None, {"x": part.numpy()})[0] for part in (x[:2], x[2:4], x[3:])]
    np.testing.assert_allclose(whole.module(x), np.vstack([*expected[:2], expected[2][1:]]),
                               rtol=1e-4, atol=1e-4)
    assert whole.module.batch[1] > 5


@pytest.mark.parametrize("held", ["raw", "floats", "beside"])
def test_numbers_are_read_wherever_an_onnx_file_holds_them(held, tmp_path, all_are_large):
    path = saved("onnx", tmp_path)
    model = onnx.load(path)
    expected = {tensor.name: numpy_helper.to_array(tensor).copy()
                for tensor in model.graph.initializer}
    if held == "floats":
        for tensor in model.graph.initializer:
            tensor.float_data.extend(numpy_helper.to_array(tensor).reshape(-1).tolist())
            tensor.ClearField("raw_data")
    onnx.save(model, path, save_as_external_data=held == "beside", location="net.onnx.data")
    name = library.model_id(path)
    outline = dict(library.open_outline(name).module.state_dict())
    whole = library.open_model(name).module.state_dict()
    assert outline.keys() == whole.keys()
    for key, tensor in whole.items():
        assert any(np.array_equal(tensor.numpy(), one) for one in expected.values())
        assert outline[key].shape == tensor.shape
        assert torch.equal(outline[key], tensor if tensor.nbytes <= FEW else 0 * tensor)


def test_a_damaged_large_file_says_what_is_wrong(tmp_path, all_are_large):
    path = saved("safetensors", tmp_path)
    path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(UserError, match="safetensors"):
        library.open_outline(library.model_id(path))


def test_an_id_of_a_large_file_follows_its_time_and_a_sample_of_its_bytes(tmp_path, all_are_large):
    path = tmp_path / "net.bin"
    path.write_bytes(bytes(3 * FEW))
    os.utime(path, ns=(0, 10**18))
    first = file_id(path)
    assert file_id(path) == first
    os.utime(path, ns=(0, 10**18 + 1))
    second = file_id(path)
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"1")
    os.utime(path, ns=(0, 10**18))
    model_ids._bytes_id.cache_clear()
    assert len({first, second, file_id(path)}) == 3


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


@pytest.fixture
def tied(tmp_path, all_are_large):
    """The id of a network whose outline was opened first, and its file."""
    path = saved("pt2", tmp_path)
    model = library.model_id(path)
    assert not any(tensor.any() for tensor in library.open_outline(model).module.parameters()
                   if tensor.nbytes > FEW)
    return model, path


def matrix(model):
    """The name of the large one, and its numbers as they lie in the file."""
    torch.manual_seed(0)
    whole = Tied().first.weight.detach()
    table = weight_statistics(model)
    return table["name"][table["parameters"] == whole.numel()].iloc[0], whole


def test_no_number_of_an_outline_is_shown(tied):
    model, _ = tied
    name, whole = matrix(model)
    row = weight_statistics(model).set_index("name").loc[name]
    assert row["std"] == pytest.approx(float(whole.std(correction=0)), rel=1e-3)
    assert row["zeros"] == float((whole == 0).double().mean())
    inside = weight_statistics(model, name.rpartition(".")[0] if "." in name else name)
    assert row["norm"] == inside.set_index("name").loc[name, "norm"]
    assert distribution(model, name).quantiles[0.5] == pytest.approx(
        float(whole.median()), abs=1e-3)
    assert spectral_norm(model, name) == pytest.approx(
        float(torch.linalg.matrix_norm(whole, 2)), rel=1e-3)
    assert np.allclose(np.load(io.BytesIO(npy_file(model, name))), whole.numpy())
    assert np.abs(heat_map(model, name).cells).max() > 0


def test_pictures_of_filters_are_of_the_whole(tmp_path, all_are_large):
    layers = nn.Conv2d(300, 400, 3)
    torch.save({"0.weight": layers.weight.detach()}, tmp_path / "net.pt")
    model = library.model_id(tmp_path / "net.pt")
    assert not library.open_outline(model).module.get_parameter("0.weight").any()
    seen = filters(model, "0.weight", 5, 2)
    assert np.array_equal(seen, layers.weight.detach()[5:7, : seen.shape[1]].numpy())


def test_a_comparison_is_of_the_whole(tied, tmp_path):
    model, _ = tied
    with torch.no_grad():
        other = Tied().eval()
        other.first.weight.mul_(3)
    (tmp_path / "other").mkdir()
    torch.export.save(torch.export.export(other, (torch.zeros(1, 1, 20, 38),)),
                      tmp_path / "other" / "net.pt2")
    twin = library.model_id(tmp_path / "other" / "net.pt2")
    assert library.open_outline(twin)
    name, whole = matrix(model)
    moved = compared(model, twin).set_index("name").loc[name]
    expected = (other.first.weight.detach() - whole).norm() / whole.norm()
    assert moved["relative_change"] == pytest.approx(float(expected), rel=1e-4)


def test_a_large_file_is_read_in_the_background(tied):
    model, _ = tied
    token = audience.set(Audience("browser", lambda: True))
    try:
        with pytest.raises(Working) as working:
            library.read_model(model)
        assert working.value.job.finished.wait(60)
        assert library.read_model(model) is library.open_model(model)
    finally:
        audience.reset(token)


@pytest.mark.parametrize("harm", ["cut", "replaced", "deleted"])
def test_a_file_that_changes_after_its_outline_was_read_says_so(harm, tied):
    model, path = tied
    if harm == "deleted":
        path.unlink()
    else:
        content = path.read_bytes()
        path.write_bytes(content[:-9000] if harm == "cut" else content[::-1])
    for read in (library.open_model, library.read_model, weight_statistics):
        with pytest.raises(UserError, match=r"net\.pt2 changed while it was being opened"):
            read(model)


def test_a_file_that_changes_under_an_outline_says_so(tmp_path, all_are_large, monkeypatch):
    path = saved("safetensors", tmp_path)
    model = library.model_id(path)
    read = FileMap._read

    def cut_first(self, offset, into):
        os.truncate(path, 4 * FEW // 3)
        read(self, offset, into)

    monkeypatch.setattr(FileMap, "_read", cut_first)
    with pytest.raises(UserError, match="changed while it was being opened"):
        library.open_outline(model)


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(("shape", "sides"), [((1, 5, 8), 1), ((2, 3, 4, 5), 2), ((7,), 1)])
def test_a_layer_norm_without_numbers_gives_what_torch_gives(kind, shape, sides):
    for given in (torch.empty(shape, dtype=kind, device="meta"),
                  torch.empty(shape[::-1], dtype=kind, device="meta").permute(
                      *range(len(shape))[::-1])):
        normalised = list(shape[-sides:])
        expected = LAYER_NORM(given, normalised, None, None, 1e-5)
        made = layer_norm_without_numbers(given, normalised)
        for one, other in zip(made, expected, strict=True):
            assert (one.shape, one.dtype, one.stride()) == (
                other.shape, other.dtype, other.stride())


def test_facts_come_from_the_outline_until_the_whole_was_read(tmp_path, all_are_large):
    weights = {"a.weight": torch.full((SIDE, SIDE), torch.nan)}
    save_file(weights, tmp_path / "net.safetensors")
    model = library.model_id(tmp_path / "net.safetensors")
    model_facts_module._known(model, True)
    token = audience.set(Audience("browser", lambda: True))
    try:
        first = model_facts(model)
        assert first.parameters == SIDE * SIDE
        assert not any("Not finite" in note for note in first.notes)
        with pytest.raises(Working) as working:
            model_facts_module._known(model, False)
        assert working.value.job.finished.wait(60)
        assert any("Not finite" in note for note in model_facts(model).notes)
    finally:
        audience.reset(token)


def test_weights_alone_of_any_names_say_what_is_missing():
    names = [".".join("abcdefgh" * 8), "a/b.c <img>", "half", "training"]
    found = architecture_of(WeightsOnly({name: torch.ones(2) for name in names}, "net.pt"), None)
    assert not found.is_network and found.totals["parameters"] == 8
    assert "net.pt holds weights only" in found.notes[0]
