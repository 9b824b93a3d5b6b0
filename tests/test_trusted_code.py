"""Networks that a card names as module:callable: built only where the server says so."""

import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from core import library, store
from core.card import Card
from core.errors import UserError
from core.trusted_code import (
    VARIABLE,
    code_digest,
    names_code,
    network_of_code,
    not_trusted,
    trusted,
)
from core.weight_files.state_dicts import model_of
from core.weight_files.weights_only import WeightsOnly

SOURCE = """
import os
from os import abort
from pathlib import Path
import torch
from torch import nn

Path(__file__).with_name("was_imported").touch()

class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(3))
        self.register_buffer("shift", torch.zeros(3))

    def forward(self, x):
        return x.mean((2, 3)) * self.scale.sigmoid() + self.shift

def built():
    return Odd()

def broken():
    raise KeyError("weights/of/mine")

def number():
    return 3

def wants_more(width):
    return Odd()

NAME = "text"
"""
NETWORK = "netlens_test_networks:Odd"
WEIGHTS = {"scale": torch.tensor([0.5, -1, 2]), "shift": torch.tensor([1.0, 2, 3])}


@pytest.fixture
def code(tmp_path, monkeypatch):
    """A module on the server's path; the variable is not set."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "netlens_test_networks.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delenv(VARIABLE, raising=False)
    yield folder
    sys.modules.pop("netlens_test_networks", None)


@pytest.fixture
def trusting(code, monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")
    return code


def built(architecture, tensors=WEIGHTS):
    return network_of_code(architecture, [(tensors, ())], "mine.pt")


def opened(tensors, architecture):
    return model_of(tensors, Card(architecture=architecture), "mine.pt", lambda: None)


@pytest.mark.parametrize("callable_name", ["Odd", "built"])
def test_where_code_is_trusted_the_network_is_built_and_loaded(trusting, callable_name):
    module, notes = built(f"netlens_test_networks:{callable_name}")
    x = torch.randn(2, 3, 4, 5)
    expected = x.mean((2, 3)) * WEIGHTS["scale"].sigmoid() + WEIGHTS["shift"]
    assert torch.allclose(module(x), expected)
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())
    assert VARIABLE in notes[0]


@pytest.mark.parametrize("value", [None, "", "0", "true", "yes"])
def test_where_it_is_not_nothing_is_imported(code, monkeypatch, value):
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    assert not trusted()
    with pytest.raises(UserError, match=f"{VARIABLE}=1"):
        built(NETWORK)
    assert code_digest(NETWORK) == ""
    loaded = opened(WEIGHTS, NETWORK)
    assert isinstance(loaded.module, WeightsOnly)
    assert not_trusted(NETWORK) in loaded.notes
    assert not (code / "was_imported").exists()
    assert "netlens_test_networks" not in sys.modules


def test_a_state_dict_opens_with_it_whatever_wrapped_the_names(trusting):
    loaded = opened({f"module.{name}": tensor for name, tensor in WEIGHTS.items()}, NETWORK)
    assert torch.equal(loaded.module.scale, WEIGHTS["scale"])
    assert any("Prefix 'module.'" in note for note in loaded.notes)
    assert any(VARIABLE in note for note in loaded.notes)


def test_half_precision_weights_are_computed_with_as_the_network_does(trusting):
    module, _ = built(NETWORK, {name: tensor.half() for name, tensor in WEIGHTS.items()})
    assert module.scale.dtype == torch.float32


@pytest.mark.parametrize(("tensors", "reason"), [
    ({"scale": torch.zeros(3)}, "the file lacks shift"),
    (WEIGHTS | {"more": torch.zeros(1)}, "the network lacks more"),
    (WEIGHTS | {"scale": torch.zeros(4)}, "scale is 4 in the file and 3 in the network"),
])
def test_weights_are_loaded_strictly(trusting, tensors, reason):
    with pytest.raises(UserError, match=reason) as caught:
        opened(tensors, NETWORK)
    assert "mine.pt" in str(caught.value)


@pytest.mark.parametrize(("architecture", "reason"), [
    ("netlens_test_networks:broken", "KeyError.*weights/of/mine"),
    ("netlens_test_networks:number", "gives int"),
    ("netlens_test_networks:wants_more", "TypeError"),
    ("netlens_test_networks:missing", "no callable of its own named missing"),
    ("netlens_test_networks:NAME", "no callable of its own"),
    ("netlens_test_networks:abort", "no callable of its own"),  # os.abort would end the server
    ("netlens_test_networks:os", "no callable of its own"),
    ("netlens_no_such_module:Odd", "no module netlens_no_such_module"),
    ("netlens_no.such.module:Odd", "no module netlens_no.such.module"),
    ("os:abort", "no module os"),
    ("posix:abort", "no module posix"),
    ("builtins:exit", "no module builtins"),
])
def test_what_cannot_be_built_is_said(trusting, architecture, reason):
    with pytest.raises(UserError, match=reason):
        built(architecture)


def test_a_module_among_the_uploads_is_refused(trusting, monkeypatch):
    folder = store.uploads() / ("0" * 32)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "netlens_uploaded.py").write_text("raise SystemExit('ran')")
    monkeypatch.syspath_prepend(folder)
    with pytest.raises(UserError, match="uploads are kept"):
        built("netlens_uploaded:Odd")
    assert "netlens_uploaded" not in sys.modules


@pytest.mark.parametrize(("architecture", "expected"), [
    ("package.module:callable", True), ("module:Network", True), ("resnet18", False),
    (None, False), ("", False), ("../up:Net", False), ("a/b.py:Net", False), ("a:b.c", False),
    ("a.b", False), ("a:b()", False), ("a:", False), ("a :b", False), ("a:b\n", False),
])
def test_only_plain_names_are_taken_for_code(architecture, expected):
    assert names_code(architecture) is expected


def test_a_file_with_a_card_opens_by_its_variable_and_its_code(code, tmp_path, monkeypatch):
    save_file(WEIGHTS, tmp_path / "mine.safetensors")
    (tmp_path / "mine.card.json").write_text(f'{{"architecture": "{NETWORK}"}}')
    before = library.model_id(tmp_path / "mine.safetensors")
    assert isinstance(library.open_model(before).module, WeightsOnly)
    monkeypatch.setenv(VARIABLE, "1")
    allowed = library.model_id(tmp_path / "mine.safetensors")
    assert allowed != before  # what was kept of the weights alone is not taken for the network's
    opened = library.open_model(allowed).module
    assert isinstance(opened, nn.Module)
    assert not isinstance(opened, WeightsOnly)
    (code / "netlens_test_networks.py").write_text(SOURCE + "\n# changed\n")
    assert library.model_id(tmp_path / "mine.safetensors") != allowed
