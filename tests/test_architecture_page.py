"""The page Architecture: the table in parts, what is saved of it, times, activations, the graph."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from core.architecture import architecture, architecture_of
from core.architecture_export import markdown_table, summary_text
from core.flow.drawing import drawing
from core.library import dataset_id, model_id
from core.measures.layer_times import layer_times, measured_times, timed
from core.ui.flow import dead_shares
from core.ui.layers import found_layers, layer_table, tree_names
from tests.app import faults, opened, words

PAGE = "pages/2_Architecture.py"
MODEL, DATA = "shapes-cnn.safetensors", "shapes-test.json"


@pytest.fixture
def shown():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False),
                                        nn.BatchNorm2d(8)), nn.Flatten(), nn.Linear(192, 5)).eval()
    return architecture_of(model, (1, 3, 4, 6))


SUMMARY = """\
==================================================================================
Layer (type:depth-idx)                   Output Shape              Param #
==================================================================================
Sequential                               --                        --
├─Sequential: 1-1                        [1, 8, 4, 6]              --
│    └─Conv2d: 2-1                       [1, 8, 4, 6]              216
│    └─BatchNorm2d: 2-2                  [1, 8, 4, 6]              16
├─Flatten: 1-2                           [1, 192]                  --
├─Linear: 1-3                            [1, 5]                    965
==================================================================================
Total params: 1,197
Trainable params: 1,197
Non-trainable params: 0
Total mult-adds (units): 6144.00
==================================================================================
Input size (MB): 0.00
Forward/backward pass size (MB): 0.00
Params size (MB): 0.00
Estimated Total Size (MB): 0.01
==================================================================================
"""


def test_the_summary_reads_as_torchinfo_prints_it(shown):
    said = summary_text(shown.table, shown.totals, "Sequential", (1, 3, 4, 6))
    assert said.splitlines() == SUMMARY.splitlines()


def test_the_summary_of_what_cannot_run_has_the_parameters(shown):
    unknown = architecture_of(nn.Sequential(nn.Linear(3, 2)), None)
    said = summary_text(unknown.table, unknown.totals, "Sequential", None)
    assert "├─Linear: 1-1" in said
    assert "Total params: 8" in said
    assert "mult-adds" not in said


def test_markdown_keeps_text_from_files_as_text():
    table = pd.DataFrame({"name": ["a|b", "<i>*_x_*"], "shape": [(1, 2), None],
                          "share": [0.12345, np.nan]})
    assert markdown_table(table).splitlines() == [
        "| name | shape | share |", "| --- | --- | --- |", "| a\\|b | 1 × 2 | 0.1235 |",
        "| \\<i\\>\\*\\_x\\_\\* |  |  |"]


def test_a_part_of_the_tree_is_found(shown):
    names = lambda *given: list(found_layers(shown.table, *given)["name"])  # noqa: E731
    assert names("") == ["0", "0.0", "0.1", "1", "2"]
    assert names("", "", 1) == ["0", "1", "2"]
    assert names("", "0") == ["0.0", "0.1"]
    assert names("", "0", 1) == ["0.0", "0.1"]
    assert names("batch") == ["0.1"]
    assert names('"linear"') == ["2"]
    assert names("192") == ["1", "2"]
    assert names("batch", "", 1) == ["0.1"]  # however deep
    assert names("8 × 4 × 6") == names("8,4,6") != []
    assert names('"3,4,6"') == ["0", "0.0"] and names('"4,6"') == []


def test_a_name_says_what_the_rows_above_it_do_not(shown):
    names = pd.Series(["a", "a.0", "a.0.conv", "a.1.conv", "b.c.conv"])
    assert tree_names(names, "") == ["a", "\u20030", "\u2003\u2003conv", "\u20031.conv", "b.c.conv"]
    found = found_layers(shown.table, '"conv2d"')["name"]
    assert (tree_names(found, ""), tree_names(found, "0")) == (["0.0"], ["0"])


def test_weights_alone_have_no_columns_of_a_run(tmp_path, monkeypatch):
    weights = {"body.first.weight": torch.zeros(3, 5), "body.first.bias": torch.zeros(3)}
    torch.save(weights, tmp_path / "weights.pt")
    monkeypatch.setenv("NETLENS_MODELS", str(tmp_path))
    app = opened(PAGE, model="weights.pt")
    columns = set(app.dataframe[0].value.columns)
    assert {"Layer", "Parameters", "Full name"} <= columns
    assert not columns & {"Input", "Output", "Multiply-adds", "Activations", "Receptive field"}
    assert "Time each layer" not in [button.label for button in app.button]


def test_keras_averages_are_not_trainable(samples):
    found = architecture(model_id(samples / "digits-keras.keras"))
    row = found.table.set_index("name").loc["norm1"]
    assert (row.parameters, row.trainable) == (2 * row.trainable, row.parameters // 2)
    assert found.totals["trainable"] < found.totals["parameters"]


def test_each_layer_that_runs_is_timed(samples, one_thread):
    model, data = model_id(samples / MODEL), dataset_id(samples / DATA)
    assert measured_times(model, data) is None
    assert "milliseconds" not in layer_table(model, data)
    found = layer_times(model, data)
    table = layer_table(model, data).set_index("name")
    ran = table[table["runs"] > 0]
    assert set(found["layer"]) == set(ran.index)
    assert (ran["milliseconds"] > 0).all()
    assert found.attrs["rate"] > 0
    whole = found.set_index("layer")["seconds"]
    assert whole["stage1"] >= whole["stage1.conv"]


def test_timing_counts_every_run_and_leaves_no_hooks():
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(4, 4), relu, nn.Linear(4, 4), relu).eval()
    told = []
    rows, _ = timed(model, torch.zeros(1, 4), lambda done, total: told.append((done, total)))
    assert sorted(name for name, _ in rows) == ["0", "1", "2"]
    assert told[-1][0] == told[-1][1] == len(told)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_the_graph_gets_the_shares_of_measured_layers_only(samples):
    drawn = drawing(model_id(samples / MODEL))
    assert dead_shares(drawn, None) == {}
    measured = pd.DataFrame([
        {"layer": "stage1.activation", "run": 1, "units": 4, "dead": [0]},
        {"layer": "stage1", "run": 1, "units": 4, "dead": []},
        {"layer": "gone", "run": 1, "units": 4, "dead": [0]}])
    found = dead_shares(drawn, measured)
    assert {drawn.layers[item]: share for item, share in found.items()} == {
        "stage1.activation": 0.25, "stage1": 0.0}


@pytest.mark.parametrize("part, said", [
    ("One example", "12 maps of 64 × 64"), ("Over the data", "dead units of"),
    ("Gradients", "Norm of the gradient")])
def test_the_tab_activations(part, said, quick_collection, one_thread):
    app = opened(PAGE, model=MODEL, data=DATA, view="Activations", activations=part)
    assert faults(app) == []
    assert said in words(app)


@pytest.mark.parametrize("model, layer, said", [
    ("shapes-vit.safetensors", "blocks.0.norm1", "65 tokens with"),
    ("shapes-vit.safetensors", "head", "8 numbers"),
    ("digits-keras.keras", "conv2", "maps of"),
    ("shapes-cnn.onnx", "stage2.conv", "24 maps of 32 × 32")])
def test_tokens_vectors_and_maps_of_any_file(model, layer, said, quick_collection, one_thread):
    app = opened(PAGE, model=model, view="Activations", activation_layer=layer,
                 map_range="whole network")
    assert faults(app) == []
    assert said in words(app)


def test_what_the_activations_need_is_said(quick_collection):
    app = opened(PAGE, model=MODEL, data="none", view="Activations")
    assert faults(app) == []
    assert "Choose a data set" in words(app)


def test_the_table_has_the_columns_and_the_files(quick_collection):
    app = opened(PAGE, model=MODEL, data=DATA, levels="1 level")
    assert faults(app) == []
    frame = app.dataframe[0].value
    assert list(frame["Layer"])[:4] == ["stage1", "stage2", "stage3", "stage4"]
    app = opened(PAGE, model=MODEL, data=DATA, inside="stage1")
    frame = app.dataframe[0].value
    assert list(frame["Layer"]) == ["conv", "norm", "activation", "shrink"]
    assert list(frame["Receptive field"]) == ["3 × 3"] * 3 + ["4 × 4"]
    assert list(frame["Stride"]) == ["1 × 1"] * 3 + ["2 × 2"]
    assert frame["Trainable"].iloc[0] == 324
    assert "Total mult-adds (M)" in app.code[0].value
    files = {button.label for button in app.main.get("download_button")}
    assert files == {"Download as CSV", "Download as Markdown", "Download the summary"}
