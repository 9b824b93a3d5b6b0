"""The layer table: parameters, shapes and costs against torch's counters and real runs."""

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.regnet import BlockParams

from core import library
from core.architecture import architecture, architecture_of
from core.errors import UserError
from core.layers import capture, layer_names
from core.measures.dry_run import dry_run
from core.weight_files.weights_only import WeightsOnly

NETWORKS = torchvision.models.list_models(module=torchvision.models)  # its classifiers


@pytest.fixture(autouse=True)
def regnets_without_memory(monkeypatch):
    """They work out their widths with tensors, which need numbers."""
    made = BlockParams.from_init_params.__func__

    def with_numbers(cls, *sizes, **more):
        with torch.device("cpu"):
            return made(cls, *sizes, **more)

    monkeypatch.setattr(BlockParams, "from_init_params", classmethod(with_numbers))


def network(name: str, device: str = "meta") -> nn.Module:
    more = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device(device):
        return torchvision.models.get_model(name, **more).eval().requires_grad_(False)


class Tangled(nn.Module):
    """One layer under two names, a tied weight, a list, a layer that never runs, a repeated one."""

    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(6, 6)
        self.alias = self.encode
        self.tied = nn.Linear(6, 6)
        self.tied.weight = self.encode.weight
        self.list = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6)])
        self.unused = nn.Linear(6, 6)
        self.repeated = nn.ReLU()

    def forward(self, x):
        x = self.repeated(self.alias(self.encode(x)))
        for part in self.list:
            x = self.repeated(part(x))
        return self.tied(x)


@pytest.mark.parametrize("name", NETWORKS)
def test_costs_and_parameters_agree_with_torchs_counters(name):
    model = network(name)
    with FlopCounterMode(display=False) as counter:
        found = architecture_of(model, (1, 3, 224, 224))
    assert found.totals["multiply_adds"] == pytest.approx(counter.get_total_flops() / 2, rel=0.01)
    top = found.table[found.table.depth == 1]
    assert top.multiply_adds.sum() == found.totals["multiply_adds"]
    unique = {id(p): p.numel() for p in model.parameters()}
    assert found.totals["parameters"] == found.totals["trainable"] == sum(unique.values())
    loose = sum(p.numel() for p in model.parameters(recurse=False))
    assert found.table.own_parameters.sum() + loose == sum(unique.values())
    assert list(found.table.name) == layer_names(model)


@pytest.mark.parametrize("name", ["resnet18", "swin_t"])
def test_shapes_are_those_of_a_real_run(name):
    model = network(name, "cpu")
    with capture(model, layer_names(model)) as outputs, torch.no_grad():
        model(torch.zeros(1, 3, 64, 96))
    table = architecture_of(model, (1, 3, 64, 96)).table.set_index("name")
    ran = table[table.runs > 0]
    assert set(ran.index) == set(outputs)
    for layer, output in outputs.items():
        assert ran.output_shape[layer] == tuple(output.shape), layer
        assert ran.activation_bytes[layer] == output.numel() * output.element_size(), layer


@pytest.mark.parametrize("largest", [-1, 1 << 30])
def test_the_network_is_left_as_it_was(largest, monkeypatch):
    monkeypatch.setattr("core.measures.dry_run.SMALL_WEIGHTS", largest)
    model = Tangled().eval()
    before = {name: (id(t), t.device, t.clone()) for name, t in
              (*model.named_parameters(remove_duplicate=False), *model.named_buffers())}
    architecture_of(model, (1, 6))
    for name, tensor in model.named_parameters(remove_duplicate=False):
        identity, device, values = before[name]
        assert (id(tensor), tensor.device) == (identity, device), name
        assert torch.equal(tensor, values), name
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_shared_tied_unused_and_repeated_layers():
    found = architecture_of(Tangled().eval(), (1, 6))
    table = found.table.set_index("name")
    assert found.totals["parameters"] == (36 + 6) + 6 + 3 * (36 + 6)
    assert "alias" not in table.index
    assert list(table.index[table.shared]) == ["encode", "tied"]
    assert table.runs["encode"] == 2
    assert table.multiply_adds["encode"] == 2 * 36
    assert "2 times" in table.note["encode"]
    assert table.runs["repeated"] == 3
    assert table.runs["list"] == 0
    assert table.multiply_adds["list"] == 72
    assert table.output_shape["list"] is None
    assert table.runs["unused"] == 0
    assert "Never called" in table.note["unused"]


def test_a_row_counts_what_is_inside_it():
    inner = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
    model = nn.Sequential(inner, nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4 * 6, 5)).eval()
    row = architecture_of(model, (1, 3, 4, 6)).table.set_index("name")
    assert (row.parameters["0"], row.own_parameters["0"]) == (3 * 8 * 9 + 16, 0)
    assert row.buffers["0"] == 8 + 8 + 1
    assert row.weight_bytes["0"] == 4 * (3 * 8 * 9 + 16 + 16) + 8  # the batch count is an int64
    assert row.multiply_adds["0"] == 3 * 8 * 9 * 24
    assert row.multiply_adds["3"] == 8 * 24 * 5
    assert row.input_shape["3"] == (1, 192)
    assert row.depth.tolist() == [1, 2, 2, 1, 1, 1]
    assert "kernel_size=(3, 3)" in row.settings["0.0"]
    assert row["type"]["0.1"] == "BatchNorm2d"
    assert row.share["0"] + row.share["3"] == pytest.approx(1)


def test_peak_memory_of_a_chain_is_its_widest_step():
    model = nn.Sequential(nn.Linear(10, 1000), nn.ReLU(inplace=True), nn.Linear(1000, 500),
                          nn.Linear(500, 1))
    assert dry_run(model, (1, 10)).peak_bytes == 4 * (10 + 1000 + 500)


def test_peak_memory_of_a_residual_keeps_the_shortcut():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(100, 100), nn.Linear(100, 100)

        def forward(self, x):
            return x + self.b(self.a(x))

    assert dry_run(nn.Sequential(nn.Linear(1, 100), Residual()), (1, 1)).peak_bytes == 4 * (1 + 300)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_a_run_on_zeros_and_one_without_numbers_agree(name, monkeypatch):
    model = network(name, "cpu")
    zeros = dry_run(model, (1, 3, 64, 96))
    monkeypatch.setattr("core.measures.dry_run.SMALL_WEIGHTS", -1)
    meta = dry_run(model, (1, 3, 64, 96))
    assert list(meta.layers.items()) == list(zeros.layers.items())
    assert (meta.multiply_adds, meta.notes) == (zeros.multiply_adds, zeros.notes)
    assert meta.peak_bytes == pytest.approx(zeros.peak_bytes, rel=0.01)


def test_recurrent_layers_are_counted():
    assert dry_run(nn.Sequential(nn.LSTM(4, 8)), (5, 4)).multiply_adds == 5 * 4 * 8 * (4 + 8)


def test_a_network_that_needs_numbers_is_run_on_zeros(monkeypatch):
    monkeypatch.setattr("core.measures.dry_run.SMALL_WEIGHTS", -1)

    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.even, self.odd = nn.Linear(4, 2), nn.Linear(4, 2)

        def forward(self, x):
            return self.even(x) if float(x.sum()) == 0 else self.odd(x)

    found = architecture_of(Branches(), (1, 4))
    assert found.table.set_index("name").output_shape["even"] == (1, 2)
    assert any("zeros" in note for note in found.notes)


def test_where_nothing_can_run_the_table_still_has_names_and_parameters():
    weights = WeightsOnly({"layer.weight": torch.ones(2, 4), "layer.bias": torch.ones(2)}, "a.pt")
    for model, shape, reason in ((weights, (1, 4), "a.pt"), (weights, None, "a.pt"),
                                 (nn.Linear(4, 2), (1, 3), "1 × 3"),
                                 (nn.Sequential(nn.Linear(4, 2)), None, "not known")):
        found = architecture_of(model, shape)
        assert any(reason in note for note in found.notes)
        assert found.table.output_shape.isna().all()
        assert found.table.multiply_adds.isna().all()
        assert found.totals["parameters"] == 10
        assert "multiply_adds" not in found.totals
        assert (found.code != "") == (model is weights)
        assert not any("import torch" in note for note in found.notes)


def test_a_failing_run_leaves_no_hooks_and_no_weights_behind():
    model = nn.Sequential(nn.Linear(4, 2), nn.Linear(4, 2))
    with pytest.raises(UserError, match="1 × 4"):
        dry_run(model, (1, 4))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert not any(p.is_meta for p in model.parameters())


def test_a_layer_that_says_what_it_was_is_called_so():
    model = nn.Sequential(nn.Identity())
    model[0].type_name = "Conv2d"
    assert architecture_of(model, (1, 3)).table["type"].tolist() == ["Conv2d"]


@pytest.mark.parametrize("form", ["pt2", "onnx", "torchscript.pt"])
def test_layers_of_frozen_networks_say_their_settings(samples, form):
    ours = architecture(library.model_id(samples / f"shapes-cnn.{form}")).table.set_index("name")
    net = library.open_model(library.model_id(samples / "shapes-cnn.pt")).module
    for name, module in net.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            said = ours.loc[name, "settings"]
            assert f"weight={tuple(module.weight.shape)}" in said
            assert f"stride={module.stride}" in said and f"padding={module.padding}" in said
