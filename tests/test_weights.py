"""Statistics, pictures and comparisons of weights, against NumPy and by hand."""

import io
import json
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from core import jobs, library, weights
from core.compare import compared, comparison
from core.errors import UserError
from core.files import found_files
from core.measures import tensor_statistics
from core.measures.tensor_statistics import (
    LEVELS,
    blocks,
    distribution_of,
    spectral_norm_of,
    statistics,
)
from core.ui.comparison import verdict
from core.ui.weight_tree import tensor_rows
from core.weight_files.weights_only import WeightsOnly
from core.weight_pictures import filters, heat_map, heat_map_of
from core.weights import (
    as_filters,
    npy_file,
    outputs_first,
    parts_of,
    spectral_norm,
    tensors_of,
    weight_statistics,
)
from tests.app import faults, finished, opened, words

PAGE = "pages/2_Architecture.py"
SAMPLE = {"model": "shapes-cnn.safetensors", "data": "none", "logs": "none"}


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(tensor_statistics, "BLOCK", 64)


def kinds():
    torch.manual_seed(0)
    odd = torch.randn(7, 30)
    odd[0, :3] = torch.tensor([float("nan"), float("inf"), -float("inf")])
    return {
        "plain": torch.randn(6, 5, 3, 3),
        "odd": odd,
        "sparse": torch.relu(torch.randn(40, 10)),
        "half": torch.randn(300).half(),
        "bfloat16": torch.randn(20, 20).bfloat16(),
        "whole": torch.randint(-50, 50, (9, 9)),
        "truth": torch.randint(0, 2, (90,)).bool(),
        "complex": torch.randn(11, 7, dtype=torch.complex64),
        "turned": torch.randn(13, 17).T,
        "far off": 1e6 + torch.randn(5000, dtype=torch.float64),
        "one": torch.tensor(3.5),
        "wide": torch.randn(1, 1, 500),
    }


def numbers_of(tensor):
    array = tensor.to(torch.complex128).abs() if tensor.is_complex() else tensor.double()
    return array.numpy().ravel()


@pytest.mark.parametrize("kind", kinds())
def test_statistics_are_numpys(kind, small_blocks):
    tensor = kinds()[kind]
    every = numbers_of(tensor)
    finite = every[np.isfinite(every)]
    found = statistics(tensor)
    assert found["nan"] == np.isnan(every).sum()
    assert found["infinite"] == np.isinf(every).sum()
    assert found["zeros"] == pytest.approx((finite == 0).mean())
    for name in ("min", "max", "mean", "std"):
        assert found[name] == pytest.approx(getattr(finite, name)(), rel=1e-9, abs=1e-12), name
    assert found["norm"] == pytest.approx(np.linalg.norm(finite), rel=1e-9)


@pytest.mark.parametrize("tensor", [torch.zeros(0), torch.zeros(0, 3), torch.full((4,), torch.nan)])
def test_without_a_finite_number_there_are_no_statistics(tensor):
    found = statistics(tensor)
    assert found["mean"] is found["norm"] is None
    assert found["nan"] == tensor.numel()
    assert distribution_of(tensor).counts.size == 0
    assert distribution_of(tensor).notes


@pytest.mark.parametrize("kind", kinds())
def test_blocks_are_small_and_hold_every_number_in_order(kind, small_blocks):
    tensor = kinds()[kind]
    parts = list(blocks(tensor))
    assert max(len(part) for part in parts) <= 64
    assert np.array_equal(torch.cat(parts).double().numpy(), numbers_of(tensor), equal_nan=True)


@pytest.mark.parametrize("kind", kinds())
def test_histogram_and_quantiles_are_numpys(kind, small_blocks):
    every = numbers_of(kinds()[kind])
    finite = every[np.isfinite(every)]
    found = distribution_of(kinds()[kind])
    assert found.counts.sum() == len(finite)
    assert np.array_equal(found.counts, np.histogram(finite, found.edges)[0])
    assert list(found.quantiles.values()) == pytest.approx(np.quantile(finite, LEVELS), rel=1e-6)
    assert not found.notes


def test_quantiles_of_a_large_tensor_are_a_samples_and_that_is_said(monkeypatch):
    monkeypatch.setattr(tensor_statistics, "MOST_SORTED", 20_000)
    tensor = torch.linspace(0, 1, 200_000)
    found = distribution_of(tensor)
    assert found.counts.sum() == 200_000
    assert "20,000 of the 200,000" in found.notes[0]
    assert list(found.quantiles.values()) == pytest.approx(LEVELS, abs=0.02)


@pytest.mark.parametrize("largest", [512, 4])  # all singular values, or only the largest
@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (12, 3, 3, 3)])
def test_spectral_norm_is_numpys(shape, largest, monkeypatch):
    monkeypatch.setattr(tensor_statistics, "SMALL_SIDE", largest)
    tensor = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    expected = np.linalg.norm(tensor.flatten(1).numpy(), 2)
    assert spectral_norm_of(tensor) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("tensor", [torch.ones(3), torch.full((2, 2), torch.nan), torch.zeros(0, 3)])
def test_what_has_no_spectral_norm_is_said(tensor):
    with pytest.raises(UserError, match="spectral norm"):
        spectral_norm_of(tensor)


def test_the_table_of_a_file_is_the_file(samples):
    model_id = library.model_id(samples / SAMPLE["model"])
    table = weight_statistics(model_id).set_index("name")
    stored = load_file(samples / SAMPLE["model"])
    assert set(table.index) == set(stored)
    for name, tensor in stored.items():
        assert table["shape"][name] == tuple(tensor.shape)
        assert table["parameters"][name] == tensor.numel()
        assert table["mean"][name] == pytest.approx(tensor.double().mean().item(), abs=1e-9)
    layer = next(name for name in stored if "." in name).rpartition(".")[0]
    below = weight_statistics(model_id, layer)
    assert set(below["name"]) == {name for name in stored if name.startswith(f"{layer}.")}


def test_large_models_are_read_in_the_background_with_the_same_result(samples, monkeypatch):
    at_once = weight_statistics(library.model_id(samples / SAMPLE["model"]))
    weight_statistics.clear()
    monkeypatch.setattr(weights, "AT_ONCE", 0)
    kept = weight_statistics(library.model_id(samples / SAMPLE["model"]))
    # where the sums run over other addresses, the last bits differ on some processors
    pd.testing.assert_frame_equal(kept, at_once, rtol=1e-6)


def test_a_tied_tensor_is_there_under_both_names_and_marked():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    rows = {row["name"]: row["same_as"] for row in weights._rows(tensors_of(model))}
    assert rows == {"0.weight": "", "0.bias": "", "2.weight": "0.weight", "2.bias": ""}


def test_a_layers_name_is_no_prefix_of_anothers():
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "ab": nn.Linear(2, 2)})
    assert list(tensors_of(model, "a")) == ["a.weight", "a.bias"]


@pytest.mark.parametrize(("name", "shape", "expected"), [
    ("conv.weight", (64, 3, 7, 7), (64, 3, 7, 7)),
    ("conv.weight", (8, 1, 3, 3), (8, 1, 3, 3)),
    ("conv.weight", (3, 3, 3, 3), (3, 3, 3, 3)),
    ("conv.weight", (128, 128, 1, 7), (128, 128, 1, 7)),
    ("conv2d.kernel", (3, 3, 1, 8), (8, 1, 3, 3)),
    ("conv2d.kernel", (5, 5, 64, 64), (64, 64, 5, 5)),
    ("layers.conv2d.vars.0", (3, 3, 1, 32), (32, 1, 3, 3)),
    ("conv.weight", (64, 32, 1, 1), None),
    ("conv2d.kernel", (1, 1, 8, 16), None),
    ("positions", (1, 64, 64, 32), None),
    ("fc.weight", (10, 20), None),
])
def test_kernels_are_known_in_both_layouts(name, shape, expected):
    assert as_filters(name, shape) == expected


def test_filters_come_outputs_first_and_in_red_green_blue(tmp_path):
    kernel = torch.arange(3 * 5 * 3 * 20, dtype=torch.float32).reshape(3, 5, 3, 20)
    save_file({"c.kernel": kernel, "c.weight": torch.arange(81.0).reshape(3, 3, 3, 3)},
              tmp_path / "m.safetensors")
    (tmp_path / "m.card.json").write_text('{"input": {"channel_order": "BGR"}}')
    model_id = library.model_id(tmp_path / "m.safetensors")
    found = filters(model_id, "c.kernel", 2, 4)
    assert found.shape == (4, 3, 3, 5)
    assert found[1, 0, 2, 4] == kernel[2, 4, 2, 3]  # blue is stored first
    assert outputs_first("c.weight", torch.zeros(3, 3, 3, 3)).shape == (3, 3, 3, 3)
    assert spectral_norm(model_id, "c.kernel") == pytest.approx(
        np.linalg.norm(kernel.numpy().reshape(-1, 20), 2), rel=1e-5)


def test_a_heat_map_holds_means_of_blocks():
    matrix = torch.randn(1000, 700)
    found = heat_map_of(matrix)
    assert (found.cells.shape, found.shape) == ((256, 256), (1000, 700))
    rows = [part.numpy() for part in matrix.tensor_split(256)]
    starts = np.linspace(0, 700, 256, endpoint=False).astype(int)
    assert found.cells[10, 20] == pytest.approx(rows[10][:, starts[20]:starts[21]].mean(), abs=1e-6)
    small = torch.randn(3, 2, 2)
    assert np.array_equal(heat_map_of(small).cells, small.flatten(1).numpy())
    assert heat_map_of(torch.zeros(0, 4)).cells.size == 0


def test_sides_of_one_make_no_matrix():
    positions = torch.randn(1, 19, 30)
    assert np.array_equal(heat_map_of(positions).cells, positions[0].numpy())
    assert spectral_norm_of(positions) == pytest.approx(np.linalg.norm(positions[0].numpy(), 2))
    assert spectral_norm_of(torch.ones(1, 4)) == pytest.approx(2)


def test_query_key_and_value_are_named_in_the_table(tmp_path):
    save_file({"self_attention.in_proj_weight": torch.randn(12, 4),
               "mlp.weight": torch.randn(12, 4)}, tmp_path / "m.safetensors")
    model_id = library.model_id(tmp_path / "m.safetensors")
    table = weight_statistics(model_id).set_index("name")
    assert table["attention"].to_dict() == {
        "self_attention.in_proj_weight": "query, key, value", "mlp.weight": ""}
    parts = parts_of(model_id, "self_attention.in_proj_weight")
    assert [(part.name, part.start, part.stop) for part in parts] == [
        ("query", 0, 4), ("key", 4, 8), ("value", 8, 12)]
    assert parts_of(model_id, "mlp.weight") == ()


def test_a_tensor_beside_layers_is_found_by_its_own_name():
    model = nn.ModuleDict({"a": nn.Linear(2, 2)})
    model.register_parameter("token", nn.Parameter(torch.ones(3)))
    assert list(tensors_of(model, "token")) == ["token"]


def test_a_tensor_can_be_taken_away_as_npy(tmp_path):
    stored = {"a.half": torch.randn(3, 4).bfloat16(), "a.whole": torch.arange(5)}
    save_file(stored, tmp_path / "m.safetensors")
    model_id = library.model_id(tmp_path / "m.safetensors")
    half = np.load(io.BytesIO(npy_file(model_id, "a.half")), allow_pickle=False)
    assert half.dtype == np.float32
    assert np.array_equal(half, stored["a.half"].float().numpy())
    whole = np.load(io.BytesIO(npy_file(model_id, "a.whole")), allow_pickle=False)
    assert whole.dtype == np.int64
    with pytest.raises(UserError, match="no tensor 'b'"):
        npy_file(model_id, "b")
    with pytest.raises(UserError, match="no tensor"):
        heat_map(model_id, "a")


def test_comparing_finds_what_was_done():
    torch.manual_seed(0)
    mine = {"stem.weight": torch.randn(4, 3), "stem.bias": torch.randn(4), "old": torch.ones(2),
            "head.weight": torch.randn(2, 4), "zero": torch.zeros(3)}
    others = {"stem.weight": mine["stem.weight"] + 0.1, "stem.bias": mine["stem.bias"].clone(),
              "head.weight": torch.randn(5, 4), "new": torch.ones(7), "zero": torch.ones(3)}
    found = {row["name"]: row for row in comparison(mine, others)}
    assert {name: row["change"] for name, row in found.items()} == {
        "stem.weight": "changed", "stem.bias": "equal", "old": "removed",
        "head.weight": "reshaped", "zero": "changed", "new": "added"}
    a, b = (side["stem.weight"].double().numpy().ravel() for side in (mine, others))
    row = found["stem.weight"]
    assert row["relative_change"] == pytest.approx(np.linalg.norm(b - a) / np.linalg.norm(a))
    assert row["cosine"] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert (found["stem.bias"]["relative_change"], found["stem.bias"]["cosine"]) == (
        0, pytest.approx(1))
    assert found["zero"]["relative_change"] is found["zero"]["cosine"] is None
    assert found["head.weight"]["other_shape"] == [5, 4]


def test_complex_numbers_are_compared_as_such_and_nan_is_equal_to_nan():
    a = torch.tensor([3 + 4j, 1j, 2.0])
    odd = torch.tensor([1.0, torch.nan, torch.inf])
    mine = {"a": a, "b": a, "odd": odd, "half": torch.ones(2, 2)}
    others = {"a": a.conj(), "b": a.clone(), "odd": odd.clone(), "half": torch.ones(2, 2).half()}
    rows = {row["name"]: row for row in comparison(mine, others)}
    x, y = a.numpy(), a.numpy().conj()
    assert rows["a"]["relative_change"] == pytest.approx(
        np.linalg.norm(y - x) / np.linalg.norm(x))
    assert rows["a"]["cosine"] == pytest.approx(
        np.vdot(x, y).real / np.linalg.norm(x) / np.linalg.norm(y))
    assert [rows[name]["change"] for name in ("a", "b", "odd", "half")] == [
        "changed", "equal", "equal", "equal"]
    assert rows["odd"]["relative_change"] is None
    assert (rows["half"]["dtype"], rows["half"]["other_dtype"]) == ("float32", "float16")


@pytest.mark.parametrize("others, said", [
    ({"a": 1.0, "b": 2.0}, "The weights of both are the same."),
    ({"m.a": 1.0, "m.b": 2.0}, "The weights of both are the same, under other names."),
    ({"a": 1.0, "b": 3.0}, "2 tensors of one have a match in the other; in 1 of these all"),
    ({"a": 4.0}, "1 tensor of one has a match in the other; in none of these all"),
    ({}, "Nothing in common"),
])
def test_how_much_is_the_same_is_said_in_a_sentence(others, said):
    mine = {"a": torch.full((2, 2), 1.0), "b": torch.full((3, 3), 2.0)}
    sides = {"a": (2, 2), "b": (3, 3)}
    theirs = {name: torch.full(sides[name[-1]], number) for name, number in others.items()}
    table = pd.DataFrame(list(comparison(mine, theirs)))
    assert verdict(table).startswith(said)


def test_renamed_modules_are_recognised_by_their_place():
    mine = {"a.weight": torch.ones(2, 3), "a.bias": torch.ones(2), "b.weight": torch.ones(2, 2)}
    others = {f"module.{name}": 2 * tensor for name, tensor in mine.items()}
    found = list(comparison(mine, others))
    assert [row["change"] for row in found] == ["renamed"] * 3
    assert [row["other_name"] for row in found] == list(others)
    assert [row["relative_change"] for row in found] == pytest.approx([1, 1, 1])
    others["module.c"] = torch.ones(1)
    rows = list(comparison(mine, others))
    assert [row["change"] for row in rows] == ["renamed"] * 3 + ["added"]


def test_comparing_two_files(tmp_path, samples):
    stored = load_file(samples / SAMPLE["model"])
    save_file({name: tensor * 1.5 if tensor.is_floating_point() else tensor
               for name, tensor in stored.items()}, tmp_path / "later.safetensors")
    table = compared(library.model_id(samples / SAMPLE["model"]),
                     library.model_id(tmp_path / "later.safetensors"))
    moved = table[table["change"] == "changed"]
    assert len(table) == len(stored)
    assert moved["relative_change"].to_numpy() == pytest.approx(0.5)
    assert moved["cosine"].to_numpy() == pytest.approx(1)
    assert all(isinstance(shape, tuple) for shape in table["shape"])


def drawn(app, column):
    return next(frame.value for frame in app.dataframe if column in frame.value)


def tree_of(app):
    """The names in the tree of tensors, and its columns by title."""
    (told,) = [json.loads(element.proto.json) for element in app.get("bidi_component")
               if element.proto.component_name == "netlens_tree"]
    return (told["rows"]["names"],
            {column["title"]: column["values"] for column in told["columns"]})


def test_tensors_stand_with_those_of_their_module_and_sums_count_each_once():
    table = pd.DataFrame({
        "name": ["net.a.weight", "net.b.weight", "net.a.bias", "net.a", "net.head.weight"],
        "parameters": [6, 10, 3, 1, 6], "nan": [0, 2, 1, 0, 0], "infinite": 0,
        "same_as": ["", "", "", "", "net.a.weight"]})
    rows, holders = tensor_rows(table, "net")
    assert [(row["name"], row["is_tensor"], holder)
            for row, holder in zip(rows, holders, strict=True)] == [
        ("net.a", False, -1), ("net.a.weight", True, 0), ("net.a.bias", True, 0),
        ("net.b", False, -1), ("net.b.weight", True, 3), ("net.a", True, -1),
        ("net.head", False, -1), ("net.head.weight", True, 6)]
    modules = [row for row in rows if not row["is_tensor"]]
    assert [(row["parameters"], row["nan"]) for row in modules] == [(9, 1), (10, 2), (0, 0)]
    deep = pd.DataFrame({"name": [".".join(["x"] * 2000)], "parameters": 4, "nan": 0,
                         "infinite": 0, "same_as": ""})
    rows, holders = tensor_rows(deep, "")
    assert (len(rows), rows[0]["parameters"]) == (2000, 4)


def test_the_page_shows_the_tree_of_tensors_and_looks_into_one(samples):
    app = opened(PAGE, view="Weights", **SAMPLE)
    stored = load_file(samples / SAMPLE["model"])
    names, columns = tree_of(app)
    assert set(stored) < set(names)  # and the modules that hold them
    shapes = dict(zip(names, columns["Shape"], strict=True))
    filters = next(name for name, tensor in stored.items() if tensor.ndim == 4)
    assert shapes[filters] == " × ".join(map(str, stored[filters].shape))
    app = opened(PAGE, view="Weights", **SAMPLE, **{"weights-tensor": filters})
    assert faults(app) == []
    assert "Quantiles" in words(app)
    assert "Filters 0 to" in words(app)
    app.toggle(key="weights-spectral").set_value(True).run()
    assert "Spectral norm" in words(app)


def test_a_closed_tab_computes_nothing(monkeypatch):
    def computed(*ids):
        raise AssertionError("computed for a closed tab")

    monkeypatch.setattr("core.ui.weights.weight_statistics", computed)
    monkeypatch.setattr("core.ui.comparison.compared", computed)
    assert faults(opened(PAGE, view="Layers", **SAMPLE)) == []


def test_the_page_compares_with_another_file():
    app = opened(PAGE, view="Compare", other="shapes-cnn.ckpt", **SAMPLE)
    assert faults(app) == []
    assert "equal" in words(app)
    assert len(drawn(app, "Change")) > 5


@pytest.mark.parametrize("other, fits", [
    ("shapes-cnn.ckpt", True), ("shapes-vit.safetensors", True), ("digits-cnn.safetensors", False)])
def test_accuracies_stand_side_by_side_and_say_where_classes_differ(other, fits, one_thread):
    """A network of digits has no class of the shapes: its figure is no difference of models."""
    app = opened(PAGE, view="Compare", other=other, model=SAMPLE["model"],
                 data="shapes-test.json", logs="none", sample="500")
    app.toggle(key="both").set_value(True).run()
    app = finished(finished(app))
    assert faults(app) == []
    mine, theirs = app.metric
    assert mine.label.startswith("This model")
    moved = float(theirs.value.split()[0]) - float(mine.value.split()[0])
    said = f"{moved:+.1f} points" if fits and moved else ""
    assert (theirs.delta, len(app.warning)) == (said, 0 if fits else 1)
    assert (moved == 0) == (other == "shapes-cnn.ckpt")


@pytest.fixture
def weights_alone(tmp_path, monkeypatch):
    """The name of a model file whose network nobody knows."""
    save_file({"stem.conv.weight": torch.randn(5, 3, 3, 3), "stem.scale": torch.ones(5, 7),
               "loose": torch.ones(2)}, tmp_path / "mine.safetensors")
    monkeypatch.setenv("NETLENS_MODELS", str(tmp_path))
    found_files.folders.cache_clear()
    yield "mine.safetensors"
    found_files.folders.cache_clear()


@pytest.mark.parametrize("page", ["4_Embeddings", "5_Hard_examples", "6_Saliency", "1_Overview"])
def test_pages_that_predict_say_how_to_give_a_network(weights_alone, page, monkeypatch):
    monkeypatch.setattr(jobs, "RETRY", float("inf"))  # on a slow machine it would be tried again
    app = opened(f"pages/{page}.py", model=weights_alone, data="shapes-test.json", logs="none")
    for _ in range(5):  # each piece of work begins when the one before has ended
        app = finished(app)
    said = [fault.replace("\\", "") for fault in faults(app)]
    assert len(said) == 1
    assert "holds weights only" in said[0]
    assert any("mine.pt2" in text for text in [said[0], *(code.value for code in app.code)])


def test_weights_alone_are_shown_and_lines_to_copy_given(weights_alone):
    app = opened(PAGE, model=weights_alone, view="Weights", data="none", logs="none")
    assert faults(app) == []
    assert tree_of(app)[0] == ["loose", "stem", "stem.scale", "stem.conv", "stem.conv.weight"]
    assert "holds weights only" in words(app)
    assert any('"mine.pt2"' in code.value for code in app.code)


def test_the_lines_to_copy_name_the_input_and_export_the_network(tmp_path, monkeypatch):
    with pytest.raises(UserError) as caught:
        WeightsOnly({"a.weight": torch.ones(2, 2)}, 'odd " name.pt')(torch.zeros(4, 3, 8, 6))
    code = caught.value.code
    assert str(caught.value).endswith(code)
    assert "torch.zeros(1, 3, 8, 6)" in code
    monkeypatch.chdir(tmp_path)
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.LazyLinear(4))
    model(torch.zeros(1, 3, 8, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(code, {"model": model})  # lines of ours, that people are told to run
    model_id = library.model_id(tmp_path / "odd___name.pt2")
    assert library.open_model(model_id).module(torch.zeros(1, 3, 8, 6)).shape == (1, 4)


def test_the_patches_of_a_vision_transformer_are_filters():
    assert as_filters("conv_proj.weight", (768, 3, 16, 16)) == (768, 3, 16, 16)
    assert as_filters("conv_proj.weight", (1024, 3, 32, 32)) == (1024, 3, 32, 32)
    assert as_filters("deep.weight", (64, 64, 32, 32)) is None
