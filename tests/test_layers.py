"""Layers by name, capture and leaves: what they give, and that they leave nothing behind."""

import pytest
import torch
from torch import nn

from core.errors import UserError
from core.layers import (
    capture,
    differentiable,
    first_tensor,
    layer,
    layer_names,
    layer_type,
    watched,
)


class Reused(nn.Module):
    """A convolution, a norm overwritten in place, one ReLU used twice, a tuple, a dead end."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.memory = nn.LSTM(4, 3, batch_first=True)
        self.head = nn.Linear(3, 2)
        self.unused = nn.Linear(1, 1)

    def forward(self, x):
        x = self.relu(self.norm(self.conv(x)))
        x = self.relu(x - 0.1)
        states, _ = self.memory(x.flatten(2).transpose(1, 2))
        return self.head(states[:, -1])


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Reused().eval().requires_grad_(False)


@pytest.fixture
def image():
    return torch.randn(1, 2, 4, 5, generator=torch.Generator().manual_seed(1))


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_names_are_in_order_of_definition_and_shared_layers_come_once():
    shared = nn.ReLU()
    model = nn.ModuleDict({"b": nn.Sequential(nn.Linear(1, 1), shared), "a": shared})
    assert layer_names(model) == ["b", "b.0", "b.1"]


def test_a_wrong_name_is_answered_with_right_ones(model):
    for name in ("convolution", ""):
        with pytest.raises(UserError, match="conv"):
            layer(model, name)
    assert layer(model, "norm") is model.norm


def test_the_type_is_the_class_or_what_the_layer_says(model):
    assert layer_type(model.conv) == "Conv2d"
    model.conv.type_name = "Convolution"
    assert layer_type(model.conv) == "Convolution"


def test_capture_gives_what_the_layer_gave_before_it_was_overwritten(model, image):
    with torch.no_grad(), capture(model, ["conv", "norm", "memory"]) as outputs:
        model(image)
    assert torch.equal(outputs["norm"], model.norm(model.conv(image)))
    assert outputs["norm"].min() < 0  # the ReLU that follows writes in place
    assert outputs["memory"].shape == (1, 20, 3)
    assert hooks(model) == 0


def test_capture_keeps_the_last_run_and_leaves_out_what_did_not_run(model, image):
    with torch.no_grad(), capture(model, ["relu", "unused"], keep=lambda x: x.sum()) as outputs:
        model(image)
    first = model.norm(model.conv(image)).clamp(min=0)
    assert outputs.keys() == {"relu"}
    assert torch.allclose(outputs["relu"], (first - 0.1).clamp(min=0).sum())


def test_nothing_is_left_after_a_failure(model, image):
    for names in (["conv", "nothing"], ["conv", "norm"]):
        with pytest.raises((UserError, RuntimeError)), capture(model, names):
            model(image[:, :1])
        assert hooks(model) == 0
    with pytest.raises(RuntimeError), differentiable(model, "norm"):
        model(image[:, :1])
    assert hooks(model) == 0


def test_watchers_are_called_around_each_run_and_may_replace_the_output(model, image):
    seen = []

    def after(name, module, inputs, output):
        seen.append(("after", name))
        return torch.zeros_like(output) if name == "head" else None

    def before(name):
        seen.append(("before", name))

    with torch.no_grad(), watched(model, ["relu", "head"], after, before):
        assert not model(image).any()
    once = [("before", "relu"), ("after", "relu")]
    assert seen == [*once, *once, ("before", "head"), ("after", "head")]


def test_a_leaf_has_the_gradient_of_the_whole_network(model, image):
    pixels = image.clone().requires_grad_()
    with capture(model, ["conv", "memory"], keep=lambda x: x) as outputs:
        score = model(pixels)[0, 1]
    wanted = torch.autograd.grad(score, [outputs["conv"], outputs["memory"]])
    for name, gradient in zip(("conv", "memory"), wanted, strict=True):
        with differentiable(model, name) as leaves:
            score = model(image)[0, 1]
        assert torch.allclose(torch.autograd.grad(score, leaves[0])[0], gradient, atol=1e-7), name
    assert all(p.grad is None for p in model.parameters())


def test_a_leaf_keeps_its_values_when_the_next_layer_writes_in_place(model, image):
    with differentiable(model, "norm") as leaves:
        model(image)
    assert torch.equal(leaves[0].detach(), model.norm(model.conv(image)))


def test_every_run_of_a_layer_gives_a_leaf(model, image):
    with differentiable(model, "relu") as leaves:
        model(image)
    assert len(leaves) == 2


def test_an_output_that_cannot_be_replaced_is_refused():
    class Parts(nn.Module):
        def forward(self, x):
            return {"logits": x}

    model = nn.Sequential(Parts())
    model.forward = lambda x: model[0](x)["logits"]
    with pytest.raises(UserError, match="'0'"), differentiable(model, "0"):
        model(torch.ones(1))
    assert hooks(model) == 0


def test_the_first_tensor_of_nested_outputs():
    tensor = torch.ones(1)
    assert first_tensor({"a": None, "b": [(), (tensor, None)]}) is tensor
    assert first_tensor(("words", 3)) is None
