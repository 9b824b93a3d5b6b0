"""TorchScript files, made here and read without torch.jit, against the networks they came from."""

import io
import json
import warnings
import zipfile
from enum import Enum

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from core.card import Card, InputSpec
from core.errors import UserError
from core.files.limits import UPLOADED, limited_to
from core.model_formats import safetensors
from core.model_formats.torchscript import FORMAT
from tests.conftest import SHARED
from tests.test_pt2 import LOST, assert_same, assert_same_layers, network, sizes

NETWORKS = ["functional", "resnet18", "mobilenet", "squeezenet1_1", "shufflenet", "vit", "swin",
            "recurrent"]


def save(net, path, form, shape=None):
    """The network's file; what torch.jit warns of is what these tests are about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if form == "traced":
            program = torch.jit.trace(net, torch.randn(shape), check_trace=False)
        else:
            program = torch.jit.script(net)
        torch.jit.save(torch.jit.freeze(program.eval()) if form == "frozen" else program, str(path))
    return path


def test_a_trace_on_bytes_is_given_bytes(tmp_path):
    class Bytes(torch.nn.Module):
        def forward(self, x):
            return (x + 200).float().mean((2, 3))  # which does not fit in bytes

    x = torch.arange(2 * 3 * 8 * 8).remainder(256).reshape(2, 3, 8, 8).to(torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(Bytes(), x), tmp_path / "net.pt")
    loaded = FORMAT.load(tmp_path / "net.pt", Card())
    assert loaded.card.input.range == (0, 255)
    assert torch.equal(loaded.module(x.float()), Bytes()(x))


def card_of(shape):
    return Card(input=InputSpec(*shape[-3:]))


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """(name, form, batch) -> (network, what its file opens as); each made once."""
    made = {}

    def get(name, form, batch=3):
        if (name, form, batch) not in made:
            net = network(name)
            path = tmp_path_factory.mktemp("torchscript") / f"{name}.pt"
            save(net, path, form, (batch, *sizes(name)))
            made[name, form, batch] = net, FORMAT.load(path, card_of(sizes(name)))
        return made[name, form, batch]

    return get


def inputs(name, batch=4):
    return torch.randn(batch, *sizes(name), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("form", ["traced", "scripted"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_program_is_the_network(opened, name, form):
    net, loaded = opened(name, form)
    if (name, form) == ("functional", "traced"):  # a trace does not record no_grad
        torch.testing.assert_close(loaded.module(inputs(name)), net(inputs(name)))
    else:
        assert_same(net, loaded.module, inputs(name))
    assert_same_layers(net, loaded.module, inputs(name), LOST.get(name, ()))
    assert not loaded.module.training


@pytest.mark.parametrize("name", ["vit", "swin", "shufflenet", "recurrent"])
def test_a_trace_of_one_example_takes_any_batch_whole(opened, name):
    net, loaded = opened(name, "traced", batch=1)
    assert_same(net, loaded.module, inputs(name, 5))


@pytest.mark.parametrize("name", ["functional", "resnet18", "mobilenet", "squeezenet1_1"])
def test_a_frozen_program_gives_the_same_and_says_that_names_are_lost(opened, name):
    net, loaded = opened(name, "frozen")
    expected = net(inputs(name))
    difference = (loaded.module(inputs(name)) - expected).abs().max()
    assert difference <= 1e-5 * expected.abs().max()  # batch norms are folded into convolutions
    assert any("frozen" in note for note in loaded.notes)
    assert sum(p.numel() for p in loaded.module.parameters()) > 0


@pytest.mark.parametrize("form", ["traced", "scripted"])
@pytest.mark.parametrize("name", ["functional", "resnet18", "vit"])
def test_layers_parameters_and_classes_have_their_own_names(opened, name, form):
    net, loaded = opened(name, form)
    ours, theirs = dict(loaded.module.named_parameters()), dict(net.named_parameters())
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert not any(parameter.requires_grad for parameter in ours.values())
    types = {path: type(layer).__name__ for path, layer in net.named_modules()}
    for path, layer in loaded.module.named_modules():
        assert layer.type_name in (types[path], None), path


def test_the_sample_is_the_same_network_as_its_safetensors(samples):
    card = card_of((3, 64, 64))
    traced = FORMAT.load(samples / "shapes-cnn.torchscript.pt", card).module
    plain = safetensors.FORMAT.load(samples / "shapes-cnn.safetensors", card).module
    x = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert_same(plain, traced, x)
    assert_same_layers(plain, traced, x, ["stage4.shrink"])


# --- the input size


class Branching(nn.Module):
    """Small pictures skip a layer: what a trace fixes and a script decides anew."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = self.first(x)
        if x.shape[2] > 20:
            x = self.second(x)
        return self.head(x.mean((2, 3)))


def test_a_script_is_read_anew_for_each_size_in_the_card(tmp_path):
    net = Branching().eval()
    path = save(net, tmp_path / "net.pt", "scripted")
    for side in (16, 32):
        module = FORMAT.load(path, card_of((1, side, side))).module
        assert_same(net, module, torch.randn(3, 1, side, side))
        with pytest.raises(UserError, match=f"1 × {side} × {side}"):
            module(torch.randn(3, 1, 48, 48))


def test_a_trace_is_refused_at_another_size_than_its_own(tmp_path):
    net = Branching().eval()
    path = save(net, tmp_path / "net.pt", "traced", (2, 1, 16, 16))
    loaded = FORMAT.load(path, Card())
    assert loaded.card.input == InputSpec(1, 16, 16)
    assert "input.height" in loaded.card.inferred
    with pytest.raises(UserError, match="1 × 16 × 16"):
        loaded.module(torch.randn(3, 1, 32, 32))
    with pytest.raises(UserError, match="traced with inputs of 1 × 16 × 16"):
        FORMAT.load(path, card_of((1, 32, 32)))


@pytest.mark.parametrize(("layers", "expected"), [
    ([nn.Flatten(), nn.Linear(784, 10)], (1, 28, 28)),
    ([nn.Flatten(), nn.Linear(3072, 10)], (3, 32, 32)),
    ([nn.Conv2d(1, 2, 5), nn.Flatten(), nn.Linear(2 * 24 * 24, 10)], (1, 28, 28)),
    ([nn.Conv2d(3, 2, 5), nn.Flatten(), nn.Linear(2 * 60 * 60, 10)], (3, 64, 64)),
    ([nn.Conv2d(3, 4, 7, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 9)],
     (3, 224, 224)),
    ([nn.Conv2d(5, 4, 3), nn.AdaptiveAvgPool2d(1)], (5, 32, 32)),
])
def test_the_input_of_a_script_is_tried_out_and_marked_as_inferred(tmp_path, layers, expected):
    net = nn.Sequential(*layers).eval()
    loaded = FORMAT.load(save(net, tmp_path / "net.pt", "scripted"), Card())
    spec = loaded.card.input
    assert (spec.channels, spec.height, spec.width) == expected
    assert {"input.channels", "input.height", "input.width"} <= loaded.card.inferred
    assert any("inferred" in note for note in loaded.notes)
    assert_same(net, loaded.module, torch.randn(3, *expected))


@pytest.mark.parametrize(("form", "said"), [("scripted", False), ("traced", True)])
def test_only_a_size_that_the_file_says_is_called_exported(form, said, tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1)).eval()
    path = save(net, tmp_path / "net.pt", form, (1, 3, 32, 32))
    module = FORMAT.load(path, Card()).module
    with pytest.raises(UserError, match="inputs of N × 3 × 32 × 32, not 2 × 3 × 20 × 20") as error:
        module(torch.rand(2, 3, 20, 20))
    assert ("was exported for" in str(error.value)) == said
    assert ("the file does not say its size" in str(error.value)) != said


class OfText(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.head = nn.Embedding(50, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.words(x).mean(1))


def test_a_script_that_reads_words_is_refused_in_one_sentence(tmp_path):
    path = save(OfText().eval(), tmp_path / "text.pt", "scripted")
    with pytest.raises(UserError, match="reads whole numbers, such as those of the words") as error:
        FORMAT.load(path, Card())
    assert "sizes tried" not in str(error.value)


def test_a_script_that_no_usual_size_fits_asks_for_the_card(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2 * 15 * 19, 4)).eval()
    path = save(net, tmp_path / "net.pt", "scripted")
    with pytest.raises(UserError, match="model card"):
        FORMAT.load(path, Card())
    assert_same(net, FORMAT.load(path, card_of((3, 17, 21))).module, torch.randn(2, 3, 17, 21))


# --- what programs contain


class Language(nn.Module):
    """Lists, tables, loops, early returns, optional values, numbers from sizes, no_grad."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))
        self.named = nn.ModuleDict({"a": nn.Linear(8, 4), "b": nn.ReLU()})
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.widths = [1, 2, 3]
        self.option = None
        self.register_buffer("steps", torch.tensor(0))

    def pooled(self, x, size: int = 2):
        return functional.adaptive_avg_pool2d(x, [size, size])

    def forward(self, x):
        if self.option is not None:
            return x
        kept = [self.pooled(x), self.pooled(x, size=2) * 2.0]
        kept.append(kept[0] + kept[-1])
        x = torch.stack(kept, 0).sum(0).flatten(1)
        with torch.no_grad():
            still = x * 3
        total = 0
        for width in self.widths:
            total += width
        count = 0
        while count < 2:
            x = x + count
            count += 1
        for index, layer in enumerate(self.layers):
            x = layer(x) * self.scale + index
        table = {"x": x, "still": still}
        if x.size(0) < 1 or x.dim() != 2:
            raise ValueError("no examples")
        x = table["x"].view(x.size(0), -1, 2).transpose(1, 2).reshape(x.shape[0], x.numel() // x.shape[0])
        x[:, :2] = 0.5
        return self.named["b"](self.named["a"](x + table["still"])) / total


def test_a_script_may_use_the_language(tmp_path):
    torch.manual_seed(0)
    net = Language().eval()
    path = save(net, tmp_path / "net.pt", "scripted")
    loaded = FORMAT.load(path, card_of((2, 8, 8)))
    assert_same(net, loaded.module, torch.randn(5, 2, 8, 8))
    assert "scale" in dict(loaded.module.named_parameters())


class Layout(Enum):
    FIRST = "first"
    LAST = "last"


class Arranged(nn.Module):
    """Which way it goes, a member of an enumeration says: as an attribute, and by its value."""

    def __init__(self, layout):
        super().__init__()
        self.layout, self.head = layout, nn.Linear(3, 2)

    def forward(self, x):
        if self.layout == Layout.LAST:
            x = x.permute(0, 2, 3, 1).flatten(1)[:, :3]
        elif self.layout != Layout.LAST and self.layout.value == "first":
            x = x.flatten(1)[:, -3:]
        return self.head(x)


@pytest.mark.parametrize("layout", Layout)
def test_members_of_enumerations_are_told_apart(tmp_path, layout):
    net = Arranged(layout).eval()
    loaded = FORMAT.load(save(net, tmp_path / "net.pt", "scripted"), card_of((2, 4, 4)))
    assert_same(net, loaded.module, torch.randn(3, 2, 4, 4))


class Either(nn.Module):
    """Takes one tensor or several, as timm's DenseNet does."""

    def __init__(self):
        super().__init__()
        self.inner, self.head = Joined(), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.inner(x) + self.inner([x, x])[:, :4].repeat(1, 2)[:, :8])


class Joined(nn.Module):
    def forward(self, x: Tensor | list[Tensor]) -> Tensor:
        if isinstance(x, Tensor):
            return x.flatten(1)
        return torch.cat(x, 1).flatten(1).mul(3)


def test_what_is_a_tensor_and_what_a_list_is_told_apart(tmp_path):
    net = Either().eval()
    loaded = FORMAT.load(save(net, tmp_path / "net.pt", "scripted"), card_of((2, 2, 2)))
    assert_same(net, loaded.module, torch.randn(3, 2, 2, 2))


def test_a_program_that_decides_by_the_batch_runs_at_one_batch(tmp_path):
    class Batched(nn.Module):
        def forward(self, x):
            parts = []
            for i in range(x.shape[0]):
                parts.append(x[i].flatten() * (i + 1))
            return torch.stack(parts)

    net = Batched().eval()
    loaded = FORMAT.load(save(net, tmp_path / "net.pt", "scripted"), card_of((1, 4, 4)))
    assert loaded.module.batch == (2, 2)
    assert any("another batch" in note for note in loaded.notes)
    x = torch.randn(2, 1, 4, 4)
    assert torch.equal(loaded.module(x), net(x))


def test_classes_may_have_names_in_lower_case(tmp_path):
    class small_net(nn.Module):  # noqa: N801
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x):
            return torch.softmax(self.fc(x.flatten(1)), 1)

    net = small_net().eval()
    loaded = FORMAT.load(save(net, tmp_path / "net.pt", "scripted"), card_of((1, 2, 2)))
    assert_same(net, loaded.module, torch.randn(3, 1, 2, 2))
    assert loaded.card.output == "probabilities"
    assert loaded.module.type_name == "small_net"


@pytest.mark.parametrize("form", ["traced", "scripted"])
def test_a_program_saved_in_training_mode_runs_in_evaluation_mode(tmp_path, form):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(),
                        nn.Linear(144, 2))
    net[1].running_mean.normal_()
    path = save(net.train(), tmp_path / "net.pt", form, (4, 1, 8, 8))
    net.eval()
    loaded = FORMAT.load(path, card_of((1, 8, 8)))
    assert any("training mode" in note for note in loaded.notes)
    x = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(loaded.module(x), net(x))


def test_tied_weights_stay_one_tensor(tmp_path):
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Linear(4, 4)).eval()
    net[2].weight = net[1].weight
    loaded = FORMAT.load(save(net, tmp_path / "net.pt", "scripted"), card_of((1, 2, 2)))
    assert_same(net, loaded.module, torch.randn(3, 1, 2, 2))
    assert sum(p.numel() for p in loaded.module.parameters()) == 16 + 8


def test_channels_last_inputs_run(tmp_path):
    class Viewing(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)

        def forward(self, x):
            x = self.conv(x)
            return x.view(x.size(0), -1)

    net = Viewing().eval()
    module = FORMAT.load(save(net, tmp_path / "net.pt", "scripted"), card_of((3, 8, 8))).module
    x = torch.randn(4, 3, 8, 8)
    expected = net(x)
    module.to(memory_format=torch.channels_last)
    torch.testing.assert_close(module(x.to(memory_format=torch.channels_last)), expected)


# --- files that must be refused, and the limits


def rewritten(path, change):
    """The archive with `change` (member name, bytes) -> bytes applied to every member."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name, change(name, data))
    return path


def with_code(tmp_path, body):
    """A program of one module whose `forward` has this body."""

    class Plain(nn.Module):
        def forward(self, x):
            return x

    path = save(Plain().eval(), tmp_path / "net.pt", "scripted")
    text = "class Plain(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n" \
           "  def forward(self, x: Tensor) -> Tensor:\n"
    text += "".join(f"    {line}\n" for line in body.splitlines())

    def change(name, data):
        if not name.endswith(".py"):
            return data
        start = data.decode().split("(Module)")[0].replace("class ", "").strip()
        return text.replace("Plain", start).encode()

    return rewritten(path, change)


@pytest.mark.parametrize(("body", "reason"), [
    ("while True:\n  pass\nreturn x", "too long"),
    ("y = x\nwhile True:\n  y = torch.relu(y)\nreturn y", "never end"),
    ("return torch.zeros([1099511627776])", "large"),
    ("y = torch.zeros([1])\nreturn torch.expand(y, [1099511627776])", "large"),
    ("a = [x, x]\nfor i in range(60):\n  a = [a, a]\nreturn torch.cat(a)", "too long|could not"),
    ("a = [1]\nfor i in range(60):\n  torch.extend(a, a)\nreturn x", "too large"),
    ("a = \"text\"\nfor i in range(60):\n  a = torch.add(a, a)\nreturn x", "too large"),
    ("for i in range(1000000000000):\n  pass\nreturn x", "too large"),
    ("return torch.mul(x, torch.pow(9, torch.pow(9, 9)))", "too large"),
    ("return ops.evil.run(x)", "operator"),
    ("return torch.from_file(\"/etc/hostname\", True, 1)", "operator"),
    ("torch.save(x, \"file\")\nreturn x", "operator"),
    ("return torch.relu(x).__class__", "does not read"),
    ("return x.meta", "does not read"),
    ("if torch.gt(torch.sum(x), 0):\n  return x\nreturn torch.neg(x)", "operator|computes"),
    ("return __torch__.os.system(\"true\")", "lacks"),
    ("return open(\"/etc/hostname\")", "operator"),
    ("import os\nreturn x", "Import"),
    ("return (lambda y: y)(x)", "Lambda"),
    ("return [y for y in [x]]", "ListComp"),
    ("return x" + ".b" * 100_000, "too deep|damaged"),
    ("return self.forward(x)", "deeper|never end"),
])
def test_programs_that_no_network_needs_are_answered(tmp_path, body, reason):
    path = with_code(tmp_path, body)
    with pytest.raises(UserError, match=reason) as error:
        FORMAT.load(path, card_of((1, 4, 4)))
    assert str(error.value).startswith("net.pt")


def test_a_honest_body_opens_in_that_frame(tmp_path):
    loaded = FORMAT.load(with_code(tmp_path, "return torch.relu(x)"), card_of((1, 4, 4)))
    x = torch.randn(2, 1, 4, 4)
    assert torch.equal(loaded.module(x), x.relu())


def test_a_pickle_that_calls_something_is_refused(tmp_path):
    path = save(nn.Linear(2, 2).eval(), tmp_path / "net.pt", "scripted")
    payload = b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R."
    rewritten(path, lambda name, data: payload if name.endswith("/data.pkl") else data)
    with pytest.raises(UserError, match="nothing was executed"):
        FORMAT.load(path, Card())


def test_a_tensor_that_reaches_outside_its_storage_is_refused(tmp_path):
    path = save(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval(), tmp_path / "net.pt", "scripted")
    rewritten(path, lambda name, data: data[:4] if "/data/" in name else data)
    with pytest.raises(UserError, match=r"net\.pt"):
        FORMAT.load(path, card_of((1, 2, 2)))


def test_other_programs_and_damaged_ones_are_named(tmp_path):
    path = save(nn.Linear(2, 2).eval(), tmp_path / "net.pt", "scripted")
    whole = path.read_bytes()
    for share in (0.3, 0.9):
        path.write_bytes(whole[:int(len(whole) * share)])
        assert FORMAT.matches(path)
        with pytest.raises(UserError, match=r"net\.pt"):
            FORMAT.load(path, Card())
    stream = io.BytesIO()
    torch.save(nn.Linear(2, 2).state_dict(), stream)
    path.write_bytes(stream.getvalue())
    assert not FORMAT.matches(path)


def hostile():
    manifest = SHARED / "hostile" / "manifest.json"
    entries = json.loads(manifest.read_text())["entries"] if manifest.is_file() else []
    return [entry for entry in entries if entry["kind"] == "torchscript"]


@pytest.mark.parametrize("entry", hostile(), ids=lambda entry: entry["file"])
def test_hostile_files_get_what_their_manifest_says(entry):
    path = SHARED / "hostile" / entry["file"]
    with limited_to(UPLOADED):
        if entry["action"] == "accept":
            assert FORMAT.load(path, Card()).notes
            return
        with pytest.raises(UserError) as error:
            FORMAT.load(path, Card())
    assert any(word in str(error.value).lower() for word in entry["must_say"])
