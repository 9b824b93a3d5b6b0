"""The page Architecture: the table in parts, what is saved of it, times, activations, the graph."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from torch import nn

from core.architecture import architecture
from core.architecture_export import markdown_table, summary_text
from core.flow.drawing import drawing
from core.library import dataset_id, model_id
from core.measures.architecture_of import architecture_of
from core.measures.layer_times import layer_times, measured_times
from core.measures.timing import timed
from core.ui.comparison import points
from core.ui.flow import dead_shares
from core.ui.layer_tree import columns_of, tree_rows
from core.ui.layers import found_layers, layer_table
from core.ui.weight_tree import closed_at_first
from tests.app import faults, opened, words
from tests.conftest import ROOT

PAGE = "pages/2_Architecture.py"
MODEL, DATA = "shapes-cnn.safetensors", "shapes-test.json"


def table_of(app):
    """What the tree of layers was given."""
    found = [element for element in app.get("bidi_component")
             if element.proto.component_name == "netlens_tree"]
    return json.loads(found[0].proto.json)


def model_id_of(name):
    return model_id(ROOT / "sample_models" / name)


@pytest.fixture
def shown():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False),
                                        nn.BatchNorm2d(8)), nn.Flatten(), nn.Linear(192, 5)).eval()
    return architecture_of(model, (1, 3, 4, 6))


SUMMARY = """\
==========================================================================================
Layer (type:depth-idx)                   Output Shape              Param #
==========================================================================================
Sequential                               [1, 5]                    --
├─Sequential: 1-1                        [1, 8, 4, 6]              --
│    └─Conv2d: 2-1                       [1, 8, 4, 6]              216
│    └─BatchNorm2d: 2-2                  [1, 8, 4, 6]              16
├─Flatten: 1-2                           [1, 192]                  --
├─Linear: 1-3                            [1, 5]                    965
==========================================================================================
Total params: 1,197
Trainable params: not said by the file
Total mult-adds (M): 0.01
==========================================================================================
Input size (MB): 0.00
Forward/backward pass size (MB): 0.00
Params size (MB): 0.00
Estimated Total Size (MB): 0.01
==========================================================================================
"""


def test_the_summary_reads_as_torchinfo_prints_it(shown):
    said = summary_text(shown.table, shown.totals, "Sequential", (1, 3, 4, 6), (1, 5))
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


RESNET18 = """\
==========================================================================================
Layer (type:depth-idx)                   Output Shape              Param #
==========================================================================================
ResNet                                   [1, 1000]                 --
├─Conv2d: 1-1                            [1, 64, 112, 112]         9,408
├─BatchNorm2d: 1-2                       [1, 64, 112, 112]         128
├─ReLU: 1-3                              [1, 64, 112, 112]         --
├─MaxPool2d: 1-4                         [1, 64, 56, 56]           --
├─Sequential: 1-5                        [1, 64, 56, 56]           --
│    └─BasicBlock: 2-1                   [1, 64, 56, 56]           --
│    │    └─Conv2d: 3-1                  [1, 64, 56, 56]           36,864
""".splitlines()
RESNET18_TOTALS = """\
Total mult-adds (G): 1.81
==========================================================================================
Input size (MB): 0.60
Forward/backward pass size (MB): 39.75
Params size (MB): 46.76
Estimated Total Size (MB): 87.11
==========================================================================================
""".splitlines()


def test_the_summary_of_resnet18_is_what_torchinfo_prints():
    """Begin, totals and sizes as torchinfo 1.8.0 prints them, which lists repeated runs again."""
    with torch.device("meta"):
        found = architecture_of(torchvision.models.resnet18().eval(), (1, 3, 224, 224))
    said = summary_text(found.table, found.totals, "ResNet", (1, 3, 224, 224), found.output_shape)
    lines = said.splitlines()
    assert lines[: len(RESNET18)] == RESNET18
    assert "Total params: 11,689,512" in lines
    assert lines[-len(RESNET18_TOTALS):] == RESNET18_TOTALS


def test_parameters_beside_layers_are_said_in_the_line_of_what_holds_them():
    with torch.device("meta"):
        found = architecture_of(torchvision.models.vit_b_32().eval(), (1, 3, 224, 224))
    said = summary_text(found.table, found.totals, "VisionTransformer", (1, 3, 224, 224),
                        found.output_shape).splitlines()
    assert said[3].split() == ["VisionTransformer", "[1,", "1000]", "768"]  # the class token
    assert said[5].split() == ["├─Encoder:", "1-2", "[1,", "50,", "768]", "38,400"]  # positions
    assert not any("Parameter:" in line for line in said)
    counted = [int(line.split()[-1].replace(",", "")) for line in said[3:]
               if line.split()[-1].replace(",", "").isdigit() and ":" in line[:60]
               and not line.startswith("Total")]
    assert sum(counted) + 768 == found.totals["parameters"]


def test_what_the_file_says_of_training_is_in_the_summary(shown):
    totals = shown.totals | {"trainable": 1000}
    said = summary_text(shown.table, totals, "Sequential", (1, 3, 4, 6))
    assert "Trainable params: 1,000\nNon-trainable params: 197\n" in said


def test_a_part_of_the_tree_is_found(shown):
    names = lambda *given: list(found_layers(shown.table, *given)["name"])  # noqa: E731
    assert names("") == ["0", "0.0", "0.1", "1", "2"]
    assert names("", "0") == ["0.0", "0.1"]
    assert names("batch") == ["0.1"]
    assert names('"linear"') == ["2"]
    assert names("192") == ["1", "2"]
    assert names("8 × 4 × 6") == names("8,4,6") != []
    assert names('"3,4,6"') == ["0", "0.0"] and names('"4,6"') == []


def test_a_name_with_a_space_is_found_in_quotes(shown):
    table = shown.table.assign(name=["a b", "a b.c", "b a", "a", "b"])
    assert list(found_layers(table, '"A b"')["name"]) == ["a b"]
    assert list(found_layers(table, 'b "sequential"')["name"]) == ["a b"]
    assert list(found_layers(table, '"A')["name"]) == list(found_layers(table, "a")["name"])


def test_a_label_says_what_the_rows_above_it_do_not(shown):
    names = pd.Series(["a", "a.0", "a.0.conv", "a.1.conv", "b.c.conv"])
    rows = tree_rows(names, "")
    assert rows.labels == ["a", "0", "conv", "1.conv", "b.c.conv"]
    assert rows.holders == [-1, 0, 1, 0, -1]
    found = found_layers(shown.table, '"conv2d"')["name"]
    assert (tree_rows(found, "").labels, tree_rows(found, "0").labels) == (["0.0"], ["0"])


def test_columns_say_something_and_what_is_missing_is_none(shown):
    columns = {column.title: column for column in columns_of(shown.table)}
    assert "Trainable" not in columns and "Same weights as" not in columns
    assert columns["Output"].values[-1] == "1 × 5"
    assert columns["Parameters"].values == [232, 216, 16, 0, 965]
    later = shown.table.assign(milliseconds=[1.5, float("nan"), 2, 3, 4])
    timed = next(column for column in columns_of(later) if column.title == "Time")
    assert timed.values == [1.5, None, 2, 3, 4]


def test_weights_alone_have_no_columns_of_a_run(tmp_path, monkeypatch):
    weights = {"body.first.weight": torch.zeros(3, 5), "body.second.table": torch.zeros(3, 2, 2)}
    torch.save(weights, tmp_path / "weights.pt")
    monkeypatch.setenv("NETLENS_MODELS", str(tmp_path))
    app = opened(PAGE, model="weights.pt")
    columns = {column["title"] for column in table_of(app)["columns"]}
    assert {"Type", "Parameters", "Share"} <= columns
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
    rows = table_of(app)["rows"]
    assert [label for label, holder in zip(rows["labels"], rows["holders"], strict=True)
            if holder < 0][:4] == ["stage1", "stage2", "stage3", "stage4"]
    closed = [rows["names"][row] for row in table_of(app)["folded"]]
    assert closed == [name for n, name in enumerate(rows["names"]) if n in rows["holders"]]
    app = opened(PAGE, model=MODEL, data=DATA, inside="stage1")
    table = table_of(app)
    columns = {column["title"]: column["values"] for column in table["columns"]}
    assert table["rows"]["labels"] == ["conv", "norm", "activation", "shrink"]
    assert columns["Receptive field"] == ["3 × 3"] * 3 + ["4 × 4"]
    assert columns["Stride"] == ["1 × 1"] * 3 + ["2 × 2"]
    assert "Trainable" not in columns
    assert "not said in the file" in words(app)
    assert "Total mult-adds (M)" in app.code[0].value
    files = {button.label for button in app.main.get("download_button")}
    assert files == {"Download as CSV", "Download as Markdown", "Download the summary"}


def test_a_branch_that_was_closed_is_closed_in_a_link(quick_collection):
    app = opened(PAGE, model=MODEL, data=DATA, closed="0:0.5.99999.x")
    table = table_of(app)
    names = [table["rows"]["names"][row] for row in table["folded"]]
    everything = architecture(model_id_of(MODEL), None).table["name"]
    assert names == [everything[0], everything[5]] == ["stage1", "stage2"]
    app = opened(PAGE, model=MODEL, data=DATA, closed="3:0.5")  # of another number of levels
    assert table_of(app)["folded"] == []


def test_the_peak_of_a_batch_is_in_the_link(quick_collection):
    one, many = (opened(PAGE, model=MODEL, data="none", batch=batch) for batch in ("1", "64"))
    assert faults(many) == []
    said = [next(line for line in words(app).splitlines() if "at the peak" in line)
            for app in (one, many)]
    assert said[0] != said[1]
    assert "what must be in memory at the same time" in words(many)


@pytest.mark.parametrize("moved, said", [
    (0.0, None), (0.1234, "+12.3 points"), (-0.001, "-0.1 points"), (0.0004, "+0.04 points"),
    (-1 / 60_000, "-0.002 points")])
def test_a_difference_of_accuracies_is_never_said_to_be_nothing(moved, said):
    assert points(moved) == said


def test_the_branches_around_a_chosen_tensor_are_open():
    holders = [-1, 0, 1, 2, 1, 0, 5, -1]  # a, a.b, a.b.c, a.b.c.x, a.b.y, a.d, a.d.z, w
    assert closed_at_first(holders, None) == (1, 2, 5)
    assert closed_at_first(holders, 3) == (5,)
    assert closed_at_first(holders, 4) == (2, 5)
    assert closed_at_first(holders, 7) == (1, 2, 5)
    assert closed_at_first([-1, -1], 1) == ()
