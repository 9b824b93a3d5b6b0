"""Exported networks against the networks they came from, and files that must be refused."""

import io
import json
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from core.card import Card, InputSpec
from core.data_flow import flow_of
from core.errors import UserError
from core.layers import first_tensor, layer_names, watched
from core.model_formats.pt2 import FORMAT

SHARED = Path(__file__).parents[2] / "shared"
SWIN_BLOCKS = [2, 2, 2]
torch.backends.mha.set_fastpath_enabled(False)


class Functional(nn.Module):
    """What exports trip over: functional ReLU in place, a layer used three times, x.shape[0], a
    constant, no_grad, a layer with two names, one that does nothing and one that never runs."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.act = nn.ReLU(inplace=True)
        self.same = nn.Identity()
        self.shared = nn.Linear(8, 8)
        self.features = nn.Sequential(self.shared, nn.ReLU(inplace=True), nn.Linear(8, 8))
        self.unused = nn.Linear(2, 2)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = functional.relu(self.bn(self.conv(x)), inplace=True)
        x = self.same(x).mean((2, 3)) + torch.tensor([0.1, 0.2] * 4)
        with torch.no_grad():
            extra = x * 2
        x = self.act(self.shared(x))
        x = self.act(self.features(x)) + extra
        x = x.view(x.shape[0], 2, 4).transpose(1, 2).flatten(1)
        x += 1
        return self.head(x)


class Softmax(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(12, 4)

    def forward(self, x):
        return self.fc(x.flatten(1)).softmax(1)


class Recurrent(nn.Module):
    """Rows of a picture, read one after the other."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(48, 8, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        rows = x.permute(0, 2, 1, 3).flatten(2)
        return self.head(self.lstm(rows)[0][:, -1])


def torchvision_net(name):
    """torchvision's layers in few blocks: exporting takes its time for each."""
    models = pytest.importorskip("torchvision").models
    if name == "vit":
        net = models.VisionTransformer(64, 16, 2, 4, 32, 64, num_classes=10)
        nn.init.normal_(net.heads.head.weight)
        nn.init.normal_(net.class_token)
        return net
    if name == "swin":
        return models.SwinTransformer([4, 4], 24, SWIN_BLOCKS, [3, 6, 12], [7, 7], num_classes=10)
    if name == "shufflenet":
        return models.ShuffleNetV2([2, 3, 2], [24, 48, 96, 192, 256], num_classes=10)
    if name == "mobilenet":
        blocks, _ = models.mobilenetv3._mobilenet_v3_conf("mobilenet_v3_small")
        return models.MobileNetV3(blocks[:5], 128, num_classes=10)
    return models.get_model(name, weights=None, num_classes=10)


def network(name):
    """A network in eval mode with random weights and statistics that are not a fresh one's."""
    torch.manual_seed(0)
    own = {"functional": Functional, "softmax": Softmax, "recurrent": Recurrent}
    net = own[name]() if name in own else torchvision_net(name)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return net.eval()


def sizes(name):
    side = {"softmax": 2, "functional": 16, "recurrent": 16}.get(name, 64)
    return (3, side, side)


def export(net, path, shape, dynamic=True, decomposed=False):
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    program = torch.export.export(net, (torch.randn(shape),), dynamic_shapes=shapes)
    torch.export.save(program.run_decompositions() if decomposed else program, path)
    return path


@pytest.fixture(scope="module")
def export_of(tmp_path_factory):
    """(name, dynamic) -> (network, its file); each exported once."""

    @cache
    def get(name, dynamic=True, batch=3, decomposed=False):
        net = network(name)
        path = tmp_path_factory.mktemp("pt2") / f"{name}.pt2"
        return net, export(net, path, (batch, *sizes(name)), dynamic, decomposed)

    return get


@pytest.fixture(scope="module")
def exported(export_of):
    """(name, dynamic) -> (network, what its file opens as); each opened once."""

    @cache
    def get(name, dynamic=True, batch=3, decomposed=False):
        net, path = export_of(name, dynamic, batch, decomposed)
        return net, FORMAT.load(path, Card())

    return get


def seen_by_hooks(net, x):
    seen = {}

    def after(name, module, inputs, output):
        tensor = first_tensor(output)
        if tensor is not None:
            seen.setdefault(name, []).append(tensor.detach().clone())

    with watched(net, layer_names(net), after), torch.no_grad():
        net(x)
    return seen


def assert_same(net, module, x):
    """The same outputs, input gradients and outputs of every layer."""
    theirs, ours = x.clone().requires_grad_(), x.clone().requires_grad_()
    expected, given = net(theirs), module(ours)
    torch.testing.assert_close(given, expected, rtol=0, atol=1e-6 * expected.abs().max().item())
    expected_grad, = torch.autograd.grad(expected.square().sum(), theirs)
    grad, = torch.autograd.grad(given.square().sum(), ours)
    assert (grad - expected_grad).norm() <= 1e-3 * expected_grad.norm()


def assert_same_layers(net, module, x, lost=()):
    expected, seen = seen_by_hooks(net, x), seen_by_hooks(module, x)
    assert set(expected) - set(seen) == set(lost)
    for name, runs in seen.items():
        assert len(runs) == len(expected[name]), name
        for ours, theirs in zip(runs, expected[name], strict=True):
            assert ours.shape == theirs.shape, name
            pair = ours.flatten().double(), theirs.flatten().double()
            cosine = functional.cosine_similarity(*pair, 0)
            assert cosine >= 0.9999 or theirs.norm() == 0, name


DEPTHS = [f"features.{2 * stage + 1}.{block}.stochastic_depth"
          for stage, blocks in enumerate(SWIN_BLOCKS) for block in range(blocks)]
LOST = {"functional": ["same"], "swin": DEPTHS}
NETWORKS = ["functional", "resnet18", "mobilenet", "shufflenet", "vit", "swin", "recurrent"]


@pytest.mark.parametrize("dynamic", [True, False], ids=["dynamic", "fixed"])
@pytest.mark.parametrize("name", NETWORKS)
def test_an_export_is_the_network(exported, name, dynamic):
    net, loaded = exported(name, dynamic)
    x = torch.randn(4, *sizes(name), generator=torch.Generator().manual_seed(1))
    assert_same(net, loaded.module, x)
    assert_same_layers(net, loaded.module, x, LOST.get(name, ()))
    assert not loaded.module.training


@pytest.mark.parametrize("name", ["vit", "swin", "shufflenet", "recurrent", "functional"])
def test_an_export_of_one_example_takes_any_batch_whole(exported, name):
    net, loaded = exported(name, dynamic=False, batch=1)
    x = torch.randn(5, *sizes(name), generator=torch.Generator().manual_seed(1))
    assert_same(net, loaded.module, x)
    seen = seen_by_hooks(loaded.module, x)
    assert all(len(runs[0]) == 5 for layer, runs in seen.items() if "head" in layer)


@pytest.mark.parametrize("name", ["functional", "resnet18", "vit"])
def test_a_decomposed_export_is_the_network(exported, name):
    net, loaded = exported(name, decomposed=True)
    x = torch.randn(2, *sizes(name), generator=torch.Generator().manual_seed(1))
    if name == "functional":  # decomposing drops no_grad, so its gradient is another
        torch.testing.assert_close(loaded.module(x), net(x))
    else:
        assert_same(net, loaded.module, x)


@pytest.mark.parametrize("name", ["functional", "resnet18", "vit"])
def test_layers_and_parameters_have_their_own_names(exported, name):
    net, loaded = exported(name)
    ours, theirs = dict(loaded.module.named_parameters()), dict(net.named_parameters())
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert not any(parameter.requires_grad for parameter in ours.values())
    second_names = {"features.0.weight", "features.0.bias"}  # of `shared`
    tensors = ours.keys() | dict(loaded.module.named_buffers()).keys()
    assert tensors >= net.state_dict().keys() - second_names
    types = {path: type(layer).__name__ for path, layer in net.named_modules()}
    for path, layer in loaded.module.named_modules():
        assert layer.type_name in (types[path], None), path
    kept = [path for path, _ in net.named_modules() if path not in LOST.get(name, ())]
    assert [path for path, _ in loaded.module.named_modules()] == kept


def test_the_batch_norm_before_an_in_place_relu_keeps_its_negative_values(exported):
    _, loaded = exported("functional")
    seen = seen_by_hooks(loaded.module, torch.randn(2, 3, 16, 16))
    assert (seen["bn"][0] < 0).any()


def test_the_card_says_what_the_export_fixes(exported):
    _, loaded = exported("softmax")
    assert loaded.card.values() == {"input.channels": 3, "input.height": 2, "input.width": 2,
                                    "output": "probabilities"}
    assert loaded.card.inferred == loaded.card.values().keys()
    _, plain = exported("functional")
    assert plain.card.output == "logits"


def test_the_report_says_what_the_file_has_lost(exported):
    _, loaded = exported("functional")
    report = " ".join(loaded.notes)
    assert "torch" in loaded.notes[0]
    assert "same" in report
    assert "features.0" in report
    assert "dynamic" in report


def test_dynamic_height_and_width_stay_open_within_their_range(tmp_path):
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    net.eval()
    height, width = torch.export.Dim("h", min=8, max=64), torch.export.Dim("w", min=8)
    dims = {0: torch.export.Dim("n"), 2: height, 3: width}
    program = torch.export.export(net, (torch.randn(2, 1, 16, 20),), dynamic_shapes=(dims,))
    torch.export.save(program, tmp_path / "net.pt2")
    loaded = FORMAT.load(tmp_path / "net.pt2", Card())
    assert loaded.card.input.height is None
    assert loaded.card.input.channels == 1
    assert_same(net, loaded.module, torch.randn(3, 1, 33, 47))
    with pytest.raises(UserError, match="8 to 64"):
        loaded.module(torch.randn(1, 1, 65, 20))


def test_other_sizes_than_a_fixed_export_are_refused(exported):
    _, loaded = exported("resnet18")
    with pytest.raises(UserError, match="3 × 64 × 64"):
        loaded.module(torch.randn(1, 3, 32, 32))


def test_an_export_in_training_mode_runs_in_evaluation_mode(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(),
                        nn.Linear(144, 2))
    net[1].running_mean.normal_()
    program = torch.export.export(net.train(), (torch.randn(4, 1, 8, 8),))
    torch.export.save(program, tmp_path / "net.pt2")
    net.eval()
    loaded = FORMAT.load(tmp_path / "net.pt2", Card())
    assert any("training mode" in note for note in loaded.notes)
    x = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(loaded.module(x), net(x))
    decomposed = torch.export.export(net.train(), (torch.randn(4, 1, 8, 8),)).run_decompositions()
    torch.export.save(decomposed, tmp_path / "decomposed.pt2")
    net.eval()
    torch.testing.assert_close(FORMAT.load(tmp_path / "decomposed.pt2", Card()).module(x), net(x))


class Bytes(nn.Module):
    """What it adds does not fit in bytes, so it gives something else for floating numbers."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.layer((x + 200).float() / 255).mean((2, 3))


@pytest.mark.parametrize(("dtype", "ends"), [(torch.uint8, (0, 255)), (torch.int8, (-128, 127)),
                                             (torch.int64, (0, 255))])
def test_an_input_of_whole_numbers_is_given_them(tmp_path, dtype, ends):
    net, low = Bytes().eval(), ends[0]
    x = torch.arange(2 * 3 * 8 * 8).remainder(256).add(low).reshape(2, 3, 8, 8).to(dtype)
    torch.export.save(torch.export.export(net, (x,)), tmp_path / "net.pt2")
    loaded = FORMAT.load(tmp_path / "net.pt2", Card())
    assert loaded.card.input.range == ends
    assert "input.range" in loaded.card.inferred
    stated = FORMAT.load(tmp_path / "net.pt2", Card(input=InputSpec(range=(0.0, 1.0))))
    assert stated.card.input.range == (0, 1)
    with torch.no_grad():
        wanted = net(x)
        assert torch.equal(loaded.module(x), wanted)
        assert torch.equal(loaded.module(x.float() + 0.2), wanted)  # the nearest whole numbers
    assert [step.operator for step in flow_of(loaded.module, (1, 3, 8, 8)).operations][1] == "add"


def test_a_gradient_passes_through_an_input_of_bytes(tmp_path):
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x.float() / 255)

    x = torch.zeros(2, 3, 2, 2, dtype=torch.uint8)
    torch.export.save(torch.export.export(Scaled(), (x,)), tmp_path / "net.pt2")
    given = x.float().requires_grad_()
    score = FORMAT.load(tmp_path / "net.pt2", Card()).module(given)[:, 1].sum()
    found, = torch.autograd.grad(score, given)
    assert torch.allclose(found.flatten(1), net[1].weight[1].expand(2, 12) / 255)


def test_half_precision_and_channels_last_are_exact(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
                        nn.Conv2d(8, 4, 3)).eval()
    net = net.to(torch.bfloat16).to(memory_format=torch.channels_last)
    x = torch.randn(3, 3, 16, 16).to(torch.bfloat16).to(memory_format=torch.channels_last)
    torch.export.save(torch.export.export(net, (x,)), tmp_path / "net.pt2")
    loaded = FORMAT.load(tmp_path / "net.pt2", Card())
    assert torch.equal(loaded.module(x), net(x))
    assert loaded.module.get_submodule("0").weight.stride() == net[0].weight.stride()


class Patches(nn.Module):
    """Patches by unfold, a plain recurrent layer over them, a product over one axis."""

    def __init__(self):
        super().__init__()
        self.rows = nn.RNN(48, 6, batch_first=True)
        self.columns = nn.RNN(6, 5, nonlinearity="relu", batch_first=True)
        self.mixing = nn.Parameter(torch.rand(5, 3))

    def forward(self, x):
        parts = x.unfold(2, 4, 4).unfold(3, 4, 4)  # (N, C, 4, 4, 4, 4)
        parts = parts.permute(0, 2, 3, 1, 4, 5).flatten(1, 2).flatten(2)
        steps = self.columns(self.rows((3 * parts).frac())[0])[0]
        return torch.tensordot(steps, self.mixing, 1).mean(1)


@pytest.mark.parametrize("decomposed", [False, True])
def test_patches_and_plain_recurrent_layers(decomposed, tmp_path):
    net, x = Patches().eval(), torch.rand(3, 3, 16, 16, requires_grad=True)
    free = ({0: torch.export.Dim.AUTO},)
    program = torch.export.export(net, (torch.rand(2, 3, 16, 16),), dynamic_shapes=free)
    torch.export.save(program.run_decompositions() if decomposed else program,
                      tmp_path / "net.pt2")
    module = FORMAT.load(tmp_path / "net.pt2", Card()).module
    assert torch.allclose(module(x), net(x), atol=1e-6)
    mine, theirs = (torch.autograd.grad(f(x)[:, 1].sum(), x)[0] for f in (module, net))
    assert torch.allclose(mine, theirs, atol=1e-6)


def test_tied_weights_stay_one_tensor(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.outer = nn.Linear(4, 4), nn.Conv2d(4, 4, 1)
            self.outer.bias = self.inner.bias

        def forward(self, x):
            return self.inner(self.outer(x).mean((2, 3)))

    net = Tied().eval()
    loaded = FORMAT.load(export(net, tmp_path / "net.pt2", (2, 4, 5, 5)), Card())
    assert loaded.module.inner.bias is loaded.module.outer.bias
    assert_same(net, loaded.module, torch.randn(3, 4, 5, 5))


# --- older layouts, written here as those versions of torch laid them out


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}


def written(path, files, top="model/"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(f"{top}{name}", data)
    return path


def saved(tensors):
    stream = io.BytesIO()
    torch.save(tensors, stream)
    return stream.getvalue()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """(network, members of its file) of a network without constants."""
    net = network("softmax")
    return net, members(export(net, tmp_path_factory.mktemp("plain") / "model.pt2", (3, 3, 2, 2)))


def document_of(files):
    return json.loads(files["models/model.json"])


def with_document(path, files, document):
    return written(path, files | {"models/model.json": json.dumps(document)})


def without_weights(files):
    return {name: data for name, data in files.items() if not name.startswith("data/")}


def test_weights_in_a_torch_save_archive_are_read(plain, tmp_path):
    net, files = plain
    older = without_weights(files) | {"data/weights/model.pt": saved(dict(net.state_dict())),
                                      "data/constants/model.pt": saved({})}
    loaded = FORMAT.load(written(tmp_path / "older.pt2", older), Card())
    assert_same(net, loaded.module, torch.randn(2, 3, 2, 2))


@pytest.mark.parametrize("end", ["pt", "json"])
def test_the_oldest_flat_layout_and_schema_are_read(plain, tmp_path, end):
    net, files = plain
    document = document_of(files) | {"schema_version": 2}
    document.pop("torch_version", None)
    for node in document["graph_module"]["graph"]["nodes"]:
        for entry in node["inputs"]:
            entry.pop("kind", None)
            every = dict.fromkeys(["as_none", "as_tensor", "as_int", "as_ints"])
            entry["arg"] = every | entry["arg"]
    flat = {"serialized_exported_program.json": json.dumps(document), "version": "2",
            f"serialized_state_dict.{end}": saved(dict(net.state_dict())),
            f"serialized_constants.{end}": saved({})}
    path = written(tmp_path / "oldest.pt2", flat, top="")
    assert FORMAT.matches(path)
    loaded = FORMAT.load(path, Card())
    assert_same(net, loaded.module, torch.randn(2, 3, 2, 2))
    assert "schema 2" in loaded.notes[0]


# --- files that must be refused


def refused(path):
    with pytest.raises(UserError) as caught:
        FORMAT.load(path, Card())
    message = str(caught.value)
    assert message.startswith(path.name)
    assert len(message) < 700
    return message


def changed_nodes(files, change):
    document = document_of(files)
    graph = document["graph_module"]["graph"]
    change(graph["nodes"], graph)
    return document


@pytest.mark.parametrize("target", [
    "torch.os.system", "torch.ops.aten.from_file.default", "builtins.eval", "torch.system",
    "torch.ops.aten.softmax.int_out", "torch.ops.mine.op.default", "torch.ops.higher_order.cond",
    "_operator.methodcaller", "torch.ops.aten.softmax.__init__",
])
def test_a_target_off_the_list_is_refused_by_name(plain, tmp_path, target):
    document = changed_nodes(plain[1], lambda nodes, graph: nodes[-1].update(target=target))
    message = refused(with_document(tmp_path / "net.pt2", plain[1], document))
    assert "operator" in message
    assert target.rpartition(".")[2] in message
    assert "state dict" in message


def test_a_missing_operator_is_named_with_its_layer_and_the_way_forward(plain, tmp_path):
    def change(nodes, graph):
        nodes[1]["target"] = "torch.ops.aten.fft_fft.default"

    document = changed_nodes(plain[1], change)
    message = refused(with_document(tmp_path / "net.pt2", plain[1], document))
    words = ("aten.fft_fft", "'linear'", "'fc'", "run_decompositions")
    assert all(word in message for word in words)


def json_node(operator, out, **inputs):
    """A node of the JSON graph; its inputs by the names that torch gives them."""
    return {"target": f"torch.ops.aten.{operator}", "name": out, "metadata": {},
            "inputs": [{"name": name, "arg": arg, "kind": 1} for name, arg in inputs.items()],
            "outputs": [{"as_tensor": {"name": out}}]}


def test_an_expand_bomb_is_refused_before_it_runs(plain, tmp_path):
    def bomb(nodes, graph):
        one = json_node("slice.Tensor", "one", self={"as_tensor": {"name": "x"}}, dim={"as_int": 0},
                        start={"as_int": 0}, end={"as_int": 1})
        big = json_node("expand.default", "big", self={"as_tensor": {"name": "one"}},
                        size={"as_ints": [10**9, 3, 2, 2]})
        nodes[0]["inputs"][0]["arg"]["as_tensor"]["name"] = "big"
        nodes[:0] = [one, big]

    path = with_document(tmp_path / "net.pt2", plain[1], changed_nodes(plain[1], bomb))
    message = refused(path)
    assert "too large" in message
    assert "'big'" in message


@pytest.mark.parametrize("sizes", [[10**6, 10**7], [1 << 62, 8]])
def test_memory_bombs_without_a_device_are_refused(plain, tmp_path, sizes):
    def bomb(nodes, graph):
        nodes.insert(0, json_node("zeros.default", "zeros", size={"as_ints": sizes}))

    message = refused(with_document(tmp_path / "net.pt2", plain[1], changed_nodes(plain[1], bomb)))
    assert "zeros" in message


def weights_config(files):
    return json.loads(files["data/weights/model_weights_config.json"])


@pytest.mark.parametrize(("change", "word"), [
    ({"use_pickle": True}, "pickle"), ({"path_name": "missing"}, "missing"),
    ({"path_name": "../model.json"}, "member"),
])
def test_weights_that_are_no_raw_tensors_are_refused(plain, tmp_path, change, word):
    config = weights_config(plain[1])
    config["config"]["fc.weight"] |= change
    files = plain[1] | {"data/weights/model_weights_config.json": json.dumps(config)}
    assert word in refused(written(tmp_path / "net.pt2", files))


@pytest.mark.parametrize("meta", [
    {"sizes": [{"as_int": 4}, {"as_int": 10**12}]}, {"storage_offset": {"as_int": 10}},
    {"strides": [{"as_int": 10**9}, {"as_int": 1}]}, {"strides": [{"as_int": -1}, {"as_int": 1}]},
    {"sizes": [{"as_int": 4}]}, {"dtype": 77}, {"dtype": 8}, {"layout": 3},
    {"sizes": [{"as_int": 4}, {"as_int": 1 << 50}], "strides": [{"as_int": 0}, {"as_int": 0}]},
])
def test_tensors_that_reach_outside_their_bytes_are_refused(plain, tmp_path, meta):
    config = weights_config(plain[1])
    config["config"]["fc.weight"]["tensor_meta"] |= meta
    files = plain[1] | {"data/weights/model_weights_config.json": json.dumps(config)}
    refused(written(tmp_path / "net.pt2", files))


class Fires:
    """A pickle that would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("member", ["data/weights/model.pt", "data/constants/model.pt"])
def test_a_pickle_with_code_does_not_run(plain, tmp_path, member):
    marker = tmp_path / "fired"
    net, files = plain
    older = without_weights(files) | {"data/weights/model.pt": saved(dict(net.state_dict())),
                                      member: saved({"w": Fires(marker)})}
    assert "code" in refused(written(tmp_path / "net.pt2", older))
    assert not marker.exists()


def test_sample_inputs_are_never_read(plain, tmp_path):
    marker = tmp_path / "fired"
    files = plain[1] | {"data/sample_inputs/model.pt": saved(Fires(marker))}
    FORMAT.load(written(tmp_path / "net.pt2", files), Card())
    assert not marker.exists()


def test_an_expression_for_a_size_is_never_evaluated(plain, tmp_path):
    marker = tmp_path / "fired"
    document = document_of(plain[1])
    size = document["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0]
    size["as_expr"]["expr_str"] = f"open({str(marker)!r}, 'w')"
    loaded = FORMAT.load(with_document(tmp_path / "net.pt2", plain[1], document), Card())
    assert loaded.module(torch.randn(2, 3, 2, 2)).shape == (2, 4)
    assert not marker.exists()


@pytest.mark.parametrize("text", [
    "[" * 100_000, "{", "[1, 2]", "null", "{}", '{"schema_version": 99}'], ids=range(6))
def test_json_that_is_no_graph_is_refused(plain, tmp_path, text):
    refused(written(tmp_path / "net.pt2", plain[1] | {"models/model.json": text}))


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_a_truncated_file_is_named(plain, tmp_path, keep):
    whole = written(tmp_path / "whole.pt2", plain[1]).read_bytes()
    path = tmp_path / "cut.pt2"
    path.write_bytes(whole[:int(len(whole) * keep)])
    assert "incomplete" in refused(path)


def test_every_damaged_key_of_the_graph_gives_one_message(plain, tmp_path):
    """Each value in the JSON replaced in turn by others: refused, or opened; no other error."""
    document = document_of(plain[1])
    places = list(_places(document["graph_module"]))
    for place in places[:: max(1, len(places) // 60)]:
        for wrong in (None, -1, "x", [], {}):
            damaged = json.loads(json.dumps(document))
            _set(damaged["graph_module"], place, wrong)
            path = with_document(tmp_path / "net.pt2", plain[1], damaged)
            try:
                FORMAT.load(path, Card())
            except UserError as error:
                assert str(error).startswith("net.pt2")


def _places(value, place=()):
    listed = enumerate(value) if isinstance(value, list) else ()
    items = value.items() if isinstance(value, dict) else listed
    for key, part in items:
        yield (*place, key)
        yield from _places(part, (*place, key))


def _set(value, place, new):
    for key in place[:-1]:
        value = value[key]
    value[place[-1]] = new


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"not a zip at all", b"\x80\x02}."])
def test_other_files_are_not_taken_for_exports(tmp_path, data):
    path = tmp_path / "file.pt2"
    path.write_bytes(data)
    assert not FORMAT.matches(path)


def test_opening_does_not_import_the_compiler_of_torch(export_of):
    names = ["resnet18", "shufflenet", "vit"]
    code = ("import sys; from pathlib import Path; from core.card import Card\n"
            "from core.model_formats.pt2 import FORMAT\n"
            "for path in map(Path, sys.argv[1:]):\n"
            "    FORMAT.load(path, Card())\n"
            "    print(path.stem, {'triton', 'torch._dynamo'} & sys.modules.keys())")
    paths = [str(export_of(name, False)[1]) for name in names]
    run = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True,
                         cwd=Path(__file__).parents[1], check=False)
    expected = [f"{name} set()" for name in names]
    assert run.stdout.splitlines() == expected, run.stdout + run.stderr


def test_a_torch_save_archive_is_not_an_export(tmp_path):
    torch.save({"w": torch.zeros(2)}, tmp_path / "weights.pt2")
    assert not FORMAT.matches(tmp_path / "weights.pt2")


def hostile():
    manifest = SHARED / "hostile" / "manifest.json"
    if not manifest.exists():
        return []
    entries = json.loads(manifest.read_text())["entries"]
    return [entry for entry in entries if entry["kind"] == "pt2"]


@pytest.mark.skipif(not hostile(), reason="the hostile files are not beside the repository")
@pytest.mark.parametrize("entry", hostile(), ids=lambda entry: entry["file"])
def test_hostile_files_get_what_their_manifest_says(entry, tmp_path, monkeypatch):
    monkeypatch.setenv("HOSTILE_MARKER", str(tmp_path / "fired"))
    path = SHARED / "hostile" / entry["file"]
    assert FORMAT.matches(path)
    if entry["action"] == "reject":
        message = refused(path).lower()
        assert any(word.lower() in message for word in entry["must_say"])
    else:
        loaded = FORMAT.load(path, Card())
        low = [size if isinstance(size, int) else 2 for size in loaded.module.inputs[0].example]
        assert loaded.module(torch.zeros(low)).isfinite().all()
    assert not list(tmp_path.iterdir())
