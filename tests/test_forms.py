"""Twelve architectures in every form that is written today: each opens as the network it came from.

Networks that the tests of one form have already (test_pt2.py, test_torchscript.py, test_onnx.py,
test_keras.py) are not repeated here.
"""

import os
from dataclasses import dataclass
from functools import cache
from importlib import import_module

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from core.architectures.sample_cnn import SampleCNN
from core.architectures.sample_vit import SampleViT
from core.card import Card
from core.keras.package import keras_on_torch
from core.layers import first_tensor, layer_names, watched
from core.model_formats import LoadedModel, keras
from core.weight_files.weights_only import WeightsOnly
from tests.exported_forms import (
    FORMATS,
    FROZEN,
    SIDES,
    WEIGHTS,
    opened,
    relative,
    used,
    written,
)
from tests.test_keras import functional_model, with_random_weights

torch.backends.mha.set_fastpath_enabled(False)
ALL = os.environ.get("NETLENS_ALL") == "1"
RELATIVES = ["convnext", "densenet", "efficientnet", "maxvit", "mnasnet", "regnet", "resnext",
             "swin_v2"]
# Members of the registry, which a file of bare weights is told by.
MEMBERS = ["convnext_tiny", "densenet121", "efficientnet_b0", "mnasnet0_5", "regnet_y_400mf",
           "resnext50_32x4d", "swin_v2_t"]
ARCHITECTURES = [*RELATIVES, "functional", "sample cnn", "sample vit"]


class Functional(nn.Module):
    """Functional ReLU, in place and not; a layer that runs in two places; x.shape[0] in a view;
    a scale from a size; a branch that adds to its own input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.again = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.GELU())
        self.embed, self.head = nn.Linear(8, 12), nn.Linear(12 * 16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.norm(self.conv(x)), inplace=True)
        x = x + functional.interpolate(self.again(functional.max_pool2d(self.again(x), 2)),
                                       scale_factor=2.0)
        x = functional.relu(functional.avg_pool2d(x, 8)) + 0.1
        tokens = self.embed(x.flatten(2).transpose(1, 2))  # (N, 16, 12)
        scores = tokens @ tokens.transpose(1, 2) * tokens.shape[-1] ** -0.5
        return self.head((scores.softmax(-1) @ tokens).reshape(x.shape[0], -1))


@cache
def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name in RELATIVES:
        return relative(name)
    if name in MEMBERS:
        return used(import_module("torchvision.models").get_model(name, num_classes=10))
    made = {"functional": Functional, "sample cnn": lambda: SampleCNN(3, 6, [8, 12, 16]),
            "sample vit": lambda: SampleViT(3, 6, 32, [12], 4, 48, 2, 64)}
    return used(made[name]())


def pictures(count: int, side: int) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(count))


def side_of(name: str) -> int:
    return 32 if name in ("functional", "sample cnn", "sample vit") else SIDES.get(name, 64)


@dataclass
class Runs:
    """What the layers of a network gave: outputs run by run; idle: layers that give their input;
    before: by layer, the one whose output it takes."""

    outputs: dict[str, list[torch.Tensor]]
    idle: set[str]
    before: dict[str, str | None]


def runs_of(net: nn.Module, x: torch.Tensor) -> Runs:
    runs, made_by, alive = Runs({}, set(), {}), {}, []

    def after(name, module, inputs, output):
        given, tensor = first_tensor(inputs), first_tensor(output)
        if tensor is None:
            return
        runs.outputs.setdefault(name, []).append(tensor.detach().clone())
        runs.before.setdefault(name, made_by.get(id(given)))
        if tensor is given:
            runs.idle.add(name)
        made_by.setdefault(id(tensor), name)
        alive.append(tensor)  # so that no other tensor gets its id

    with watched(net, layer_names(net), after), torch.no_grad():
        net(x)
    return runs


def alike(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    """Whether each run's output is the same up to cosine 0.9999."""
    pairs = [(a.flatten().double(), b.flatten().double()) for a, b in zip(ours, theirs, strict=True)
             if a.numel() == b.numel()]
    return len(pairs) == len(ours) and all(
        functional.cosine_similarity(a, b, 0) >= 0.9999 or a.norm() == b.norm() == 0
        for a, b in pairs)


def assert_the_same(net: nn.Module, loaded: LoadedModel, x: torch.Tensor) -> None:
    """Probabilities, and the gradient of the input."""
    theirs, ours = x.clone().requires_grad_(), x.clone().requires_grad_()
    expected, found = net(theirs), loaded.module(ours)
    assert (found.softmax(1) - expected.softmax(1)).abs().max() <= 1e-4
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
    expected, = torch.autograd.grad(expected.square().sum(), theirs)
    found, = torch.autograd.grad(found.square().sum(), ours)
    assert (found - expected).norm() <= 1e-3 * expected.norm()
    assert not loaded.module.training


def assert_the_same_layers(net: nn.Module, module: nn.Module, x: torch.Tensor, form: str) -> None:
    """Each layer that the file keeps gives what the network's own gives. What it has lost gives its
    input back, or is a convolution or the norm after it, which ONNX files hold as one."""
    expected, found = runs_of(net, x), runs_of(module, x).outputs
    folds = form.startswith("onnx")
    pairs = {before: name for name, before in expected.before.items()
             if folds and before and isinstance(net.get_submodule(name), nn.BatchNorm2d)}
    for name, runs in expected.outputs.items():
        if name not in found:
            leaf = not list(net.get_submodule(name).children())
            assert name in expected.idle or not leaf or name in {*pairs, *pairs.values()}, name
            continue
        # Exporters of ONNX move operators between layers, which then run in parts, the last whole.
        last = -1 if folds else 0
        merged = expected.outputs.get(pairs.get(name), [])
        assert len(found[name]) == len(runs) or folds, name
        assert alike(found[name][last:], runs[last:]) or (
            merged and alike(found[name][last:], merged[last:])), name


@pytest.mark.parametrize(("name", "form"), [
    (name, form) for name in ARCHITECTURES for form in FROZEN
    if (form, name[:6]) != ("scripted", "sample")  # torch.jit.script refuses their Python
    and (form != "onnx" or ALL or name not in RELATIVES)])  # 5 to 15 s each
def test_frozen_forms(name, form, tmp_path):
    net, x = network(name), pictures(3, side_of(name))
    loaded = opened(written(net, form, tmp_path, pictures(2, side_of(name))), x)
    assert_the_same(net, loaded, x)
    # Of the batch that was exported: where the network's code fixes it, larger ones run in parts.
    assert_the_same_layers(net, loaded.module, pictures(2, side_of(name)), form)


@pytest.mark.parametrize("form", WEIGHTS)
@pytest.mark.parametrize("name", [*MEMBERS, "sample cnn", "sample vit"])
def test_bare_weights(name, form, tmp_path):
    if form == "safetensors" and name in MEMBERS[2:]:
        pytest.skip("the same code after the tensors are read")
    net, x = network(name), pictures(2, side_of(name))
    path = written(net, form, tmp_path, x)
    reader, = [reader for reader in FORMATS.values() if reader.matches(path)]
    loaded = reader.load(path, Card())  # the file alone
    assert_the_same(net, loaded, x)
    assert_the_same_layers(net, loaded.module, x, form)


@pytest.mark.parametrize("form", WEIGHTS)
def test_bare_weights_of_an_unknown_architecture_are_shown_as_such(form, tmp_path):
    net = network("functional")
    loaded = opened(written(net, form, tmp_path, pictures(1, 32)), pictures(1, 32))
    assert isinstance(loaded.module, WeightsOnly)
    assert any("architecture" in note for note in loaded.notes)
    own = {name: tensor for name, tensor in net.state_dict().items() if tensor.dim()}
    stored = dict(loaded.module.named_parameters()) | dict(loaded.module.named_buffers())
    assert sum(tensor.numel() for tensor in stored.values()) >= sum(t.numel() for t in own.values())


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_functional_keras_model(ending, tmp_path):
    """Every layer, and the gradient, against Keras itself."""
    package = keras_on_torch()
    package.utils.set_random_seed(0)
    model = with_random_weights(functional_model(package))
    path = tmp_path / f"model.{ending}"
    model.save(path)
    loaded = keras.FORMAT.load(path, Card())
    x = np.random.default_rng(1).random((3, *model.input_shape[1:]), dtype=np.float32) * 255
    inside = [layer for layer in model.layers if type(layer).__name__ != "InputLayer"]
    outputs = package.Model(model.inputs, [layer.output for layer in inside])(x, training=False)
    image = torch.from_numpy(x).permute(0, 3, 1, 2).requires_grad_()
    found = runs_of(loaded.module, image).outputs
    for layer, expected in zip(inside, outputs, strict=True):
        tensor = expected.detach().movedim(-1, 1) if expected.dim() > 2 else expected.detach()
        assert alike(found[layer.name], [tensor]), layer.name
    given = torch.from_numpy(x).requires_grad_()
    wanted, = torch.autograd.grad(model(given, training=False)[:, 1].sum(), given)
    gradient, = torch.autograd.grad(loaded.module(image)[:, 1].sum(), image)
    assert (gradient.permute(0, 2, 3, 1) - wanted).norm() <= 1e-3 * wanted.norm()
