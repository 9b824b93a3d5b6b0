"""A layer that runs several times, and what is no layer: each box of the graph shows its own numbers,
in every form in which a network is saved."""

import numpy as np
import pytest
import torch
import torchvision
from streamlit.testing.v1 import AppTest
from torch import nn

from core.data_flow import data_flow, flow_of, operation_output
from core.errors import UserError
from core.flow.drawing import drawing, drawing_of
from core.flow.run import caught
from core.library import dataset_id, model_id
from core.measures.outputs import output_of, output_ranges
from core.saliency.explained import model_input
from core.ui.box_details import operation_row, runs_of
from tests.exported_forms import FROZEN, written

SHAPE = (1, 3, 64, 64)
EXAMPLE = 3


class Shared(nn.Module):
    """A block that runs twice, and a ReLU that writes in place after each run and after the sum."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(4, 8)

    def forward(self, x):
        x = self.stem(x)
        x = self.relu(self.block(x))
        x = self.relu(self.block(x) + x)
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Shared().eval().requires_grad_(False)


@pytest.fixture
def data(samples, one_thread):
    return dataset_id(samples / "shapes-test.json", 8)


def eager(net, image):
    """What each run of each layer gives, and the sum, by plain hooks and by hand."""
    seen, handles = {}, []
    for name, module in net.named_modules():
        handles.append(module.register_forward_hook(
            lambda m, i, o, n=name: seen.setdefault(n, []).append(o.detach().clone())))
    net(image)
    for handle in handles:
        handle.remove()
    return seen, seen["block"][1] + seen["relu"][0]


def assert_boxes_show_their_runs(model, data, seen, added, layers):
    drawn, flow = drawing(model, data), data_flow(model, data)
    for layer in layers:
        boxes = {box.run: box for box in drawn.boxes.values() if box.layer == layer and box.is_layer}
        assert sorted(boxes) == list(range(1, len(seen[layer]) + 1)), layer
        assert runs_of(flow, layer) == len(seen[layer])
        for run, wanted in enumerate(seen[layer], 1):
            found = output_of(model, data, EXAMPLE, layer, run)
            assert (found.run, found.runs) == (run, len(seen[layer]))
            np.testing.assert_allclose(found.values, wanted[0].numpy(), atol=1e-4)
    adds = [box for box in drawn.boxes.values() if box.position is not None and not box.is_layer
            and flow.operations[box.position].operator == "add"]
    found = operation_output(model, data, EXAMPLE, adds[-1].position)
    np.testing.assert_allclose(found.values, added[0].numpy(), atol=1e-4)
    ranges = output_ranges(model, data, EXAMPLE)
    assert list(ranges[ranges["layer"] == "relu"]["run"]) == list(range(1, len(seen["relu"]) + 1))


@pytest.mark.parametrize("form", list(FROZEN))
def test_a_box_of_each_run_shows_that_run(net, data, tmp_path, form):
    path = written(net, form, tmp_path, torch.randn(2, *SHAPE[1:]))
    model = model_id(path)
    seen, added = eager(net, model_input(model, data, EXAMPLE))
    whole = () if form == "onnx before" else ("block",)  # it leaves one operation of the block
    assert_boxes_show_their_runs(model, data, seen, added, (*whole, "relu", "head"))


def test_the_blocks_of_a_known_family_show_their_runs(data, tmp_path):
    torch.manual_seed(0)
    net = torchvision.models.resnet18(num_classes=8).eval().requires_grad_(False)
    torch.save(net.state_dict(), tmp_path / "resnet.pth")
    model = model_id(tmp_path / "resnet.pth")
    seen, _ = eager_of_blocks(net, model_input(model, data, EXAMPLE))
    for run in (1, 2):
        found = output_of(model, data, EXAMPLE, "layer1.0.relu", run)
        np.testing.assert_allclose(found.values, seen[run - 1][0].numpy(), atol=1e-4)
    assert not np.allclose(seen[0][0], seen[1][0])
    assert output_of(model, data, EXAMPLE, "layer1.0.relu").run == 2
    with pytest.raises(UserError, match=r"Run 3 of the layer 'layer1\.0\.relu'"):
        output_of(model, data, EXAMPLE, "layer1.0.relu", 3)


def eager_of_blocks(net, image):
    seen = []
    handle = net.layer1[0].relu.register_forward_hook(lambda m, i, o: seen.append(o.clone()))
    output = net(image)
    handle.remove()
    return seen, output


def test_a_shared_layer_of_keras_shows_its_runs(data, tmp_path):
    from core.keras.package import keras_on_torch

    keras = keras_on_torch()
    keras.utils.set_random_seed(0)
    inputs = keras.Input((*SHAPE[2:], 3))
    conv, relu = keras.layers.Conv2D(4, 3, padding="same", name="conv"), keras.layers.ReLU(name="relu")
    stem = keras.layers.Conv2D(4, 3, padding="same", name="stem")(inputs)
    first = relu(conv(stem))
    added = keras.layers.Add(name="plus")([conv(first), first])
    last = relu(added)
    pooled = keras.layers.GlobalAveragePooling2D()(last)
    net = keras.Model(inputs, keras.layers.Dense(8, name="head")(pooled))
    net.save(tmp_path / "net.keras")
    model = model_id(tmp_path / "net.keras")
    pixels = model_input(model, data, EXAMPLE).permute(0, 2, 3, 1)
    wanted = keras.Model(inputs, [first, last, added])(pixels)
    for run in (1, 2):
        found = output_of(model, data, EXAMPLE, "relu", run)
        maps = wanted[run - 1][0].permute(2, 0, 1).detach().numpy()
        np.testing.assert_allclose(found.values, maps, atol=1e-4)
    boxes = drawing(model, data).boxes.values()
    assert {box.run for box in boxes if box.layer == "relu"} == {1, 2}


def test_every_operation_gives_what_the_next_one_reads(net):
    flow = flow_of(net, SHAPE)
    image = torch.randn(SHAPE)
    seen, added = eager(net, image)
    given = {operation.operator: caught(net, image, operation) for operation in flow.operations}
    assert torch.equal(given["input"], image)
    assert torch.allclose(given["add"], added)  # though a ReLU writes over it
    assert torch.allclose(given["output"], seen["head"][0])
    assert torch.allclose(given["mean"], seen["relu"][1].mean((2, 3)))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_an_operation_that_another_example_does_not_run_is_not_shown():
    class Choosing(nn.Module):
        def forward(self, x):
            return (x.exp() if x.sum() > 0 else x.sigmoid()) + 1

    net = Choosing()
    operation = flow_of(net, (1, 4)).operations[1]
    assert operation.operator == "sigmoid"
    assert caught(net, torch.ones(1, 4), operation) is None
    assert torch.allclose(caught(net, -torch.ones(1, 4), operation), torch.tensor(0.2689), atol=1e-4)


def test_the_row_of_an_operation_says_what_it_reads_and_gives(net):
    flow = flow_of(net, SHAPE)
    boxes = drawing_of(flow).boxes.values()
    add, = [box for box in boxes if box.position is not None
            and flow.operations[box.position].operator == "add"]
    assert (add.is_layer, add.layer, add.run) == (False, "", 1)
    row = operation_row(flow, add.position).iloc[0]
    assert row["Input"] == "1 × 4 × 64 × 64, 1 × 4 × 64 × 64"
    assert row["Output"] == "1 × 4 × 64 × 64"
    assert row["Reads from"] == "relu in relu, batch_norm in block.1"
    assert row["Read by"] == "relu in relu"
    assert (row["Multiply-adds"], row["Written"]) == (0, 4 * 4 * 64 * 64)


@pytest.mark.parametrize("run, said", [
    (1, ["Run 1 of 2", "relu: 4 maps of 64 × 64", "The layer runs 2 times; this is run 1."]),
    (2, ["Run 2 of 2", "this is run 2."]),
    (0, ["It reads 4 tensors of weights: block.1.bias", "batch_norm: 4 maps of 64 × 64"])])
def test_the_page_shows_the_run_or_the_operation_that_was_clicked(net, data, tmp_path, run, said):
    def script(model, data, run):
        import streamlit as st

        from core.data_flow import data_flow
        from core.flow.drawing import Box
        from core.ui.box_details import box_details
        from core.ui.sidebar import Chosen

        operators = [operation.operator for operation in data_flow(model, data).operations]
        position = None if run else operators.index("batch_norm")
        box = Box("relu", run, True, None) if run else Box("block.1", 1, False, position)
        box_details(Chosen(model, data, None, (3,)), box)
        st.text("drawn")

    path = written(net, "pt2", tmp_path, torch.randn(2, *SHAPE[1:]))
    app = AppTest.from_function(script, args=(model_id(path), data, run), default_timeout=60).run()
    assert not app.exception and not app.error
    words = " ".join(caption.value for caption in app.caption).replace("\\", "")
    assert [part for part in said if part not in words] == []
    assert app.text[0].value == "drawn"
