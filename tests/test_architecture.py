"""The layer table: parameters, shapes and costs against torch's counters and real runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from pandas.testing import assert_frame_equal
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.regnet import BlockParams

from core import architecture as architecture_module
from core import library
from core.architecture import architecture, peak_memory, receptive_fields
from core.card import Card
from core.errors import UserError
from core.files import found_files
from core.graph.accepted_batches import measured
from core.input_shape import input_shape
from core.layers import capture, layer_names
from core.measures.architecture_of import architecture_of
from core.measures.dry_run import dry_run, peak
from core.measures.kept_tables import as_json, table_of
from core.measures.multiply_adds import RECURRENT as RECURRENT_OPERATORS
from core.measures.multiply_adds import MultiplyAdds
from core.measures.parameter_counts import partners, places
from core.measures.receptive_field import fields_of, fields_table
from core.model_formats import pt2
from core.weight_files.weights_only import WeightsOnly
from tests.conftest import ROOT

NETWORKS = torchvision.models.list_models(module=torchvision.models)  # its classifiers
MODELS = [path for path in sorted((ROOT / "sample_models").iterdir())
          if path.suffix in found_files.MODEL_ENDINGS]


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
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(1, 3, 224, 224, device="meta"))
    found = architecture_of(model, (1, 3, 224, 224))
    assert found.totals["multiply_adds"] == pytest.approx(counter.get_total_flops() / 2, rel=0.01)
    top = found.table[found.table.depth == 1]
    assert top.multiply_adds.sum() == found.totals["multiply_adds"]
    unique = {id(p): p.numel() for p in model.parameters()}
    assert found.totals["parameters"] == sum(unique.values())
    assert found.table.own_parameters.sum() == sum(unique.values())
    assert top.share.sum() == pytest.approx(1)
    assert list(found.table.name[~found.table.is_tensor]) == layer_names(model)


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
    assert table.same_as["encode"] == "tied, alias"
    assert table.same_as["tied"] == "encode"
    assert (table.same_as != "").sum() == 2
    assert (table.own_parameters["encode"], table.own_parameters["tied"]) == (42, 6)
    assert table.parameters["tied"] == 42
    assert table.own_parameters.sum() == found.totals["parameters"]
    assert table.share[table.depth == 1].sum() == pytest.approx(1)
    assert table.runs["encode"] == 2
    assert table.multiply_adds["encode"] == 2 * 36
    assert "2 times" in table.note["encode"]
    assert table.runs["repeated"] == 3
    assert table.runs["list"] == 0
    assert table.multiply_adds["list"] == 72
    assert table.output_shape["list"] is None
    assert table.runs["unused"] == 0
    assert "Never called" in table.note["unused"]


def own_names(model):
    """The tensors that no layer without layers inside holds."""
    holders = {name for name, module in model.named_modules()
               if not name or any(True for _ in module.children())}
    return {name for name, _ in model.named_parameters() if name.rpartition(".")[0] in holders}


@pytest.mark.parametrize("name", ["vit_b_32", "swin_t", "swin_v2_t"])
def test_tokens_positions_and_biases_beside_layers_have_rows(name):
    model = network(name)
    found = architecture_of(model, (1, 3, 224, 224)).table.set_index("name")
    apart = found[found.is_tensor]
    assert set(apart.index) == own_names(model) != set()
    parameters = dict(model.named_parameters())
    assert all(row.own_parameters == parameters[key].numel() for key, row in apart.iterrows())
    assert str(tuple(parameters[apart.index[0]].shape)) in apart.settings.iloc[0]
    assert apart.runs.isna().all()
    assert found.own_parameters.sum() == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("file", ["digits-cnn.safetensors", "digits-keras.keras", "shapes-cnn.onnx",
                                  "shapes-cnn.pt2", "shapes-cnn.torchscript.pt", "shapes-cnn.ckpt",
                                  "shapes-vit.safetensors"])
def test_shares_of_every_format_add_up(samples, file):
    found = architecture(library.model_id(samples / file))
    assert found.table.own_parameters.sum() == found.totals["parameters"] > 0
    assert found.table.share[found.table.depth == 1].sum() == pytest.approx(1)


def test_tied_weights_of_a_checkpoint_are_one_storage(tmp_path):
    weight = torch.randn(6, 4)
    torch.save({"embed.weight": weight, "head.weight": weight, "token": torch.ones(3)},
               tmp_path / "tied.pt")
    found = architecture(library.model_id(tmp_path / "tied.pt"))
    table = found.table.set_index("name")
    assert found.totals["parameters"] == 24 + 3
    assert (table.same_as["embed"], table.same_as["head"]) == ("head", "embed")
    assert table.share.tolist() == pytest.approx([3 / 27, 24 / 27, 0])
    assert found.totals["weight_bytes"] == 4 * 27


def test_what_is_trained_is_told_only_where_the_file_says_it():
    model = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 2))
    silent = architecture_of(model, (1, 4))
    assert "trainable" not in silent.totals
    assert silent.table.trainable.isna().all()
    for name, part in model.named_parameters():
        part.said_trainable = name.startswith("1")
    said = architecture_of(model, (1, 4))
    assert said.totals["trainable"] == 6
    assert said.table.trainable.tolist() == [0, 6]


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


@pytest.mark.parametrize("batch", [1, 7, 4096])
def test_peak_memory_of_a_batch_is_its_widest_step(batch):
    model = nn.Sequential(nn.Linear(10, 1000), nn.ReLU(inplace=True), nn.Linear(1000, 500),
                          nn.Linear(500, 1))
    assert peak(model, (1, 10), batch).bytes == 4 * batch * (10 + 1000 + 500)


@pytest.mark.parametrize("batch", [1, 16])
def test_peak_memory_of_resnet18_is_its_first_normalisation(batch):
    """The picture, what the first convolution gives, and that once more after normalisation."""
    found = peak(network("resnet18"), (1, 3, 224, 224), batch)
    expected = 4 * batch * (3 * 224 * 224 + 2 * 64 * 112 * 112)
    assert expected <= found.bytes <= expected + 2 * 4 * 64 * batch  # and the means that it gives
    assert (found.batch, found.notes) == (batch, ())


def test_peak_memory_is_what_torchs_allocator_holds():
    """Freed and taken bytes as the profiler tells them, on a network without inner scratch."""
    model = nn.Sequential(*[nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 64),
                                          nn.Sigmoid()) for _ in range(3)]).eval()
    image = torch.zeros(32, 64)
    with torch.no_grad(), torch.profiler.profile(profile_memory=True) as watched:
        model(image)
    held = highest = 0
    for event in watched.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            highest = max(highest, held)
    assert peak(model, (1, 64), 32).bytes == highest + image.nbytes


def test_a_batch_of_what_needs_numbers_is_multiplied_and_that_is_said(monkeypatch):
    monkeypatch.setattr("core.measures.dry_run.SMALL_WEIGHTS", -1)

    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.even = nn.Linear(4, 2)

        def forward(self, x):
            return self.even(x) if float(x.sum()) == 0 else x

    found = peak(Branches(), (1, 4), 50)
    assert found.bytes == 50 * dry_run(Branches(), (1, 4)).peak_bytes
    assert "times the examples" in found.notes[0]


def test_an_export_for_one_batch_says_for_which_the_peak_is(samples):
    model = library.model_id(samples / "shapes-cnn.torchscript.pt")
    alone = peak_memory(model, None, 1).bytes
    assert peak_memory(model, None, 6).bytes == pytest.approx(6 * alone, rel=0.05)
    network = library.open_model(model).module
    spec = library.open_model(model).card.input
    network.batch, kept = (2, 4), network.batch
    try:
        found = peak(network, (1, spec.channels, spec.height, spec.width), 9)
    finally:
        network.batch = kept
    assert found.batch == 4
    assert "2 to 4" in found.notes[0]


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


RECURRENT = {  # steps of a picture of 28 rows, times the numbers of the matrices
    "lstm": (lambda: nn.LSTM(28, 16, batch_first=True), 28 * 4 * 16 * (28 + 16)),
    "gru": (lambda: nn.GRU(28, 16, batch_first=True), 28 * 3 * 16 * (28 + 16)),
    "rnn": (lambda: nn.RNN(28, 16, batch_first=True), 28 * 16 * (28 + 16)),
    "without biases": (lambda: nn.LSTM(28, 16, bias=False, batch_first=True),
                       28 * 4 * 16 * (28 + 16)),
    "projected": (lambda: nn.LSTM(28, 16, proj_size=5, batch_first=True),
                  28 * (4 * 16 * (28 + 5) + 5 * 16)),
    "two both ways": (lambda: nn.LSTM(28, 16, 2, bidirectional=True, batch_first=True),
                      28 * 2 * 4 * 16 * (28 + 16 + 32 + 16)),
}


class Rows(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x[:, 0])[0][:, -1]


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers_are_counted(name, tmp_path, monkeypatch):
    make, wanted = RECURRENT[name]
    net = Rows(make()).eval()
    torch.export.save(torch.export.export(net, (torch.zeros(2, 1, 28, 28),)), tmp_path / "net.pt2")
    frozen = pt2.FORMAT.load(tmp_path / "net.pt2", Card()).module
    for small in (64 << 20, -1):  # with numbers, and without
        monkeypatch.setattr("core.measures.dry_run.SMALL_WEIGHTS", small)
        for module in (net, frozen):
            run = dry_run(module, (1, 1, 28, 28))
            assert (run.multiply_adds, run.layers["layer"].multiply_adds) == (wanted, wanted)
            assert dry_run(module, (3, 1, 28, 28)).multiply_adds == 3 * wanted
    assert measured(frozen).multiply_adds == 2 * wanted  # of the batch that was exported


def test_recurrent_layers_are_counted_on_other_devices():
    given = [torch.zeros(28, 3, 28, device="meta"), *torch.zeros(2, 1, 3, 16, device="meta")]
    layer = nn.LSTM(28, 16, device="meta")
    weights = list(layer.parameters())
    with MultiplyAdds() as counted:
        torch.ops.aten._cudnn_rnn(given[0], weights, 4, None, *given[1:], 2, 16, 0, 1, False, 0.0,
                                  False, False, [], None)
    assert counted.total == 3 * 28 * 4 * 16 * (28 + 16)
    for operator, place in RECURRENT_OPERATORS.items():
        names = [part.name for part in operator.default._schema.arguments[place]]
        assert names in (["weight"], ["params"], ["weight0", "weight1"])


def test_products_with_vectors_are_counted():
    matrix, vector = torch.zeros(5, 7), torch.zeros(7)
    with MultiplyAdds() as counted:
        (matrix @ vector, vector @ vector, torch.addmv(torch.zeros(5), matrix, vector))
    assert counted.total == 35 + 7 + 35
    assert not counted.uncounted


def test_what_cannot_be_counted_is_said():
    class Deformed(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2, 3, 3, 3))

        def forward(self, x):
            offset = x.new_zeros(len(x), 18, x.shape[2] - 2, x.shape[3] - 2)
            return torchvision.ops.deform_conv2d(x, offset, self.weight)

    found = architecture_of(Deformed(), (1, 3, 8, 8))
    assert any("Not among the multiply-adds" in note and "torchvision.deform_conv2d" in note
               for note in found.notes)
    assert architecture_of(nn.Conv2d(3, 2, 3), (1, 3, 8, 8)).notes == ()


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


def test_who_shares_a_tensor_is_named_however_many_they_are():
    """Against the pairs compared one by one; 400 rows that share one are told as three and more."""
    torch.manual_seed(0)
    model = nn.Module()
    parts = [nn.Parameter(torch.randn(4)) for _ in range(3)]
    for place in range(12):
        row = nn.Module()
        row.a, row.b = parts[place % 3], parts[place % 2]
        model.add_module(f"row{place}", row)
    rows = places(model)
    said = partners(model, rows)
    for row in rows:
        others = {other.name for other in rows if other is not row
                  and any(one is part for one in other.own for part in row.own)}
        named, _, more = said[row.name].partition(" and ")
        assert len(set(named.split(", "))) == 3 and set(named.split(", ")) <= others
        assert more == (f"{len(others) - 3} more" if len(others) > 3 else "")
    many = nn.Module()
    for place in range(400):
        many.add_module(str(place), row := nn.Module())
        row.weight = parts[0]
    assert partners(many, places(many))["0"] == "1, 2, 3 and 396 more"


def test_a_run_for_shapes_does_not_import_the_compiler_of_torch():
    """It takes seconds; answers of our own to convolution, norms and the like stand in for it."""
    code = ("import sys, torch\n"
            "from torch import nn\n"
            "from core.flow.run import recorded\n"
            "from core.measures.dry_run import dry_run\n"
            "with torch.device('meta'):\n"
            "    attention = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)\n"
            "    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True),\n"
            "                        nn.Flatten(2), nn.Linear(36, 8), attention,\n"
            "                        nn.Flatten(), nn.Linear(64, 5)).eval()\n"
            "found = dry_run(net, (1, 3, 8, 8))\n"
            "recorded(net, (1, 3, 8, 8))\n"
            "print(found.output_shape, found.layers['0'].multiply_adds)\n"
            "print('torch._dynamo' in sys.modules)")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                         cwd=Path(__file__).parents[1], check=False)
    assert run.stdout.splitlines() == [f"(1, 5) {27 * 8 * 36}", "False"], run.stdout + run.stderr


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name)
def test_what_is_kept_of_a_network_is_what_was_measured(path, monkeypatch):
    model = library.model_id(path)
    shape = input_shape(model)
    found, fields = architecture(model), receptive_fields(model)
    architecture.clear()
    receptive_fields.clear()
    library.open_outline.clear()
    expected = architecture_of(library.open_outline(model).module, shape)
    monkeypatch.setattr(architecture_module, "_measured", None)  # nor the fields are asked for again
    monkeypatch.setattr(architecture_module, "_fields", None)
    for kept in (found, architecture(model)):
        assert_frame_equal(kept.table, expected.table)
        assert {**vars(kept), "table": 0} == {**vars(expected), "table": 0}
    seen = fields_table(fields_of(library.open_outline(model).module, shape))
    assert len(seen) and shape == expected.input_shape
    for kept in (fields, receptive_fields(model)):
        assert_frame_equal(kept, seen)


def test_what_no_run_tells_is_kept_as_missing(tmp_path):
    table = architecture_of(nn.Sequential(nn.Linear(3, 2), nn.Flatten()), None).table
    assert table["multiply_adds"].isna().all()
    assert_frame_equal(table_of(json.loads(json.dumps(as_json(table)))), table)
    nothing = table.iloc[:0]
    assert_frame_equal(table_of(json.loads(json.dumps(as_json(nothing)))), nothing)


def test_a_failure_that_may_pass_is_not_kept(monkeypatch):
    model = library.model_id(ROOT / "sample_models/shapes-cnn.safetensors", Card(title="its own"))

    def fails(*given):
        raise UserError("can't allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr("core.measures.architecture_of.dry_run", fails)
        assert "can't allocate memory" in architecture(model).notes[0]
        patch.setattr("core.measures.receptive_field.recorded", fails)
        assert receptive_fields(model).empty
    architecture.clear()
    receptive_fields.clear()
    assert architecture(model).totals["multiply_adds"] and len(receptive_fields(model))
