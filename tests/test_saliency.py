"""Contracts that every method keeps, and each method against its independent reference."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from core import library
from core.card import Card
from core.deletion import blurred, deletion_score, most_first, random_deletion_score, removed
from core.errors import UserError
from core.explain import explanation
from core.explain import methods as descriptions
from core.saliency import explained as explained_module
from core.saliency import grad_cam, gradient
from core.saliency.explained import (
    class_log_probabilities,
    default_layer,
    explained,
    methods,
)
from core.saliency.maps import as_maps, map_layers
from tests.conftest import ROOT

METHODS = methods()
HEIGHT, WIDTH = 12, 20


class Small(nn.Module):
    """Convolutions with an in-place ReLU used twice, a shortcut and a linear head."""

    def __init__(self, channels, classes=4):
        super().__init__()
        self.first = nn.Conv2d(channels, 6, 3, padding=1, stride=2)
        self.norm = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(6, 6, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d((2, 2))
        self.head = nn.Linear(24, classes)

    def forward(self, x):
        x = self.relu(self.norm(self.first(x)))
        x = self.relu(x + self.second(x))
        return self.head(self.pool(x).flatten(1))


class Tokens(nn.Module):
    """Patches, a class token, one attention, a norm; the class token alone reaches the head."""

    def __init__(self, class_token=True):
        super().__init__()
        self.class_token = class_token
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.before = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.after = nn.LayerNorm(8)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)  # (N, T, 8)
        if self.class_token:
            x = torch.cat([torch.ones_like(x[:, :1]), x], dim=1)
        known = self.before(x)
        x = self.after(x + self.attention(known, known, known)[0])
        return self.head(x[:, 0] if self.class_token else x.mean(dim=1))


def built(network, seed=0):
    torch.manual_seed(seed)
    model = network().eval().requires_grad_(False)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return model


def picture(channels=3, height=HEIGHT, width=WIDTH):
    return torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(2))


def traces(model):
    """What a method must not leave behind: hooks and gradients."""
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks)
                for m in model.modules())
    return hooks + sum(p.grad is not None or p.requires_grad for p in model.parameters())


def run(method, model, image, target=1):
    layer = default_layer(model, image, target) if method.needs_layer else None
    options = {name: option.default for name, option in method.options.items()}
    assert method.applies_to(model, layer, image) is None
    return method.explain(model, image, target, layer, options)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_map_is_float32_of_the_images_size_and_leaves_nothing(name, channels):
    model, image = built(lambda: Small(channels)), picture(channels)
    before = image.clone()
    found = run(METHODS[name], model, image)
    assert (found.dtype, tuple(found.shape)) == (torch.float32, (HEIGHT, WIDTH))
    assert torch.isfinite(found).all()
    assert any(run(METHODS[name], model, image, target).any() for target in range(4))
    assert METHODS[name].signed or found.min() >= 0
    assert not found.requires_grad
    assert torch.equal(image, before)
    assert not image.requires_grad
    assert traces(model) == 0
    assert torch.equal(run(METHODS[name], model, image), found)


@pytest.mark.parametrize("name", METHODS)
def test_a_map_moves_with_the_image_the_right_way_round(name):
    """What is left of the middle counts only: a transposed or flipped map would show elsewhere."""
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), nn.Flatten(),
                          nn.Linear(HEIGHT * WIDTH, 2))
    weight = torch.zeros(2, HEIGHT, WIDTH)
    weight[1, 2:5, 14:18] = 1
    with torch.no_grad():
        model[0].weight.fill_(1)
        model[3].weight.copy_(weight.flatten(1))
    model = model.eval().requires_grad_(False)
    image = torch.ones(1, 1, HEIGHT, WIDTH)
    image[0, 0, 2:5, 14:18] = 5
    found = run(METHODS[name], model, image)
    assert found[2:5, 14:18].min() > found[:, :13].max()


@pytest.mark.parametrize("name", METHODS)
def test_a_wrong_class_and_a_failing_layer_leave_nothing(name):
    model, image, method = built(lambda: Small(3)), picture(), METHODS[name]
    for target in (4, -1):
        with pytest.raises(UserError, match="class"):
            method.explain(model, image, target, "second", {})
    assert traces(model) == 0
    fails = nn.Module()
    fails.forward = lambda x: (_ for _ in ()).throw(RuntimeError("broken layer"))
    model.pool = fails
    with pytest.raises(RuntimeError, match="broken layer"):
        method.explain(model, image, 1, "second", {})
    assert traces(model) == 0


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("layer", ["first", "relu", "pool", "head", "nothing", None])
def test_applies_to_is_honest(name, layer):
    model, image, method = built(lambda: Small(3)), picture(), METHODS[name]
    if (reason := method.applies_to(model, layer, image)) is None:
        assert method.explain(model, image, 0, layer, {}).shape == (HEIGHT, WIDTH)
    else:
        assert reason.endswith(".")
        with pytest.raises(UserError):
            method.explain(model, image, 0, layer, {})


@pytest.mark.parametrize("name", METHODS)
def test_a_network_without_gradients_is_refused(name):
    class Rounds(Small):
        def forward(self, x):
            return super().forward(x).round().detach()

    model = built(lambda: Rounds(3))
    with pytest.raises(UserError, match="does not depend"):
        METHODS[name].explain(model, picture(), 1, "second", {})
    assert traces(model) == 0


@pytest.mark.parametrize("name", METHODS)
def test_the_rest_of_a_method_says_what_it_is(name):
    method = METHODS[name]
    assert method.source.startswith("https://")
    assert method.caution.endswith(".")
    assert all(option.low <= option.default <= option.high for option in method.options.values())


@pytest.mark.parametrize("channels", [1, 3])
def test_gradient_equals_captums(channels):
    from captum.attr import Saliency

    model, image = built(lambda: Small(channels)), picture(channels)
    wanted = Saliency(model).attribute(image.clone().requires_grad_(), target=2, abs=True)
    found = gradient.METHOD.explain(model, image, 2, None, {})
    assert torch.allclose(found, wanted[0].amax(dim=0), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("layer", ["first", "norm", "second", "relu"])
def test_grad_cam_equals_captums(layer):
    from captum.attr import LayerGradCam

    model, image = built(lambda: Small(3)), picture()
    model.relu = nn.ReLU()  # Captum reads outputs after an in-place layer has overwritten them
    coarse = LayerGradCam(model, getattr(model, layer)).attribute(
        image.clone().requires_grad_(), target=2, relu_attributions=True)
    wanted = interpolate(coarse, size=(HEIGHT, WIDTH), mode="bilinear", align_corners=False)[0, 0]
    for in_place in (False, True):
        model.relu = nn.ReLU(inplace=in_place)
        found = grad_cam.METHOD.explain(model, image, 2, layer, {})
        assert torch.allclose(found, wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("class_token", [True, False])
def test_tokens_are_laid_on_their_patches(class_token):
    model, image = built(lambda: Tokens(class_token)), picture(3, 16, 24)
    found = grad_cam.METHOD.explain(model, image, 1, "before", {})
    patches = model.patches(image).flatten(2).transpose(1, 2)
    known = torch.cat([torch.ones(1, 1, 8), patches], 1) if class_token else patches
    leaf = model.before(known).requires_grad_()
    states = model.after(known + model.attention(leaf, leaf, leaf)[0])
    score = model.head(states[:, 0] if class_token else states.mean(1))[0, 1]
    slope = torch.autograd.grad(score, leaf)[0]
    skip = int(class_token)
    cam = (leaf[0, skip:] * slope[0, skip:].mean(0)).sum(1).relu().detach().reshape(4, 6)
    wanted = interpolate(cam[None, None], size=(16, 24), mode="bilinear", align_corners=False)
    assert torch.allclose(found, wanted[0, 0], atol=1e-6)


def test_maps_are_told_by_their_sides():
    shapes = {
        (1, 7, 6, 9): (7, 6, 9), (1, 6, 9, 7): (7, 6, 9), (1, 8, 5, 5): (8, 5, 5),
        (1, 54, 7): (7, 6, 9), (1, 55, 7): (7, 6, 9), (1, 53, 7): None, (1, 7): None,
        (1, 1, 7): None,
    }
    for shape, wanted in shapes.items():
        maps = as_maps(torch.zeros(shape), 12, 18)
        assert (None if maps is None else tuple(maps.shape[1:])) == wanted, shape
    tokens = torch.arange(7.0).view(1, 7, 1)  # the class token, then two rows of three
    assert as_maps(tokens, 20, 30)[0, 0].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_the_default_layer_is_the_last_that_shows_places():
    model, image = built(lambda: Small(3)), picture()
    assert default_layer(model, image, 0) == "pool"
    model.pool = nn.AdaptiveAvgPool2d((1, 1))
    model.head = nn.Linear(6, 4).requires_grad_(False)
    assert default_layer(model, image, 0) == "relu"
    assert traces(model) == 0


class Branches(torch.nn.Module):
    """So many layers in branches side by side that the last ones that are looked at begin in the
    middle of the branches."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = torch.nn.ModuleList(
            torch.nn.Sequential(*(torch.nn.Conv2d(3, 3, 1) for _ in range(30))) for _ in range(3))
        self.joined = torch.nn.Conv2d(9, 4, 1)
        self.last = torch.nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([branch(x) for branch in self.branches], 1)
        return self.last(self.joined(x).mean((2, 3)))


def test_the_default_layer_where_branches_lie_side_by_side():
    model = Branches().eval().requires_grad_(False)
    assert default_layer(model, torch.rand(1, 3, 8, 8), 0) == "joined"


def test_the_default_layer_of_a_transformer_is_one_whose_patches_reach_the_score():
    image = picture(3, 16, 24)
    assert default_layer(built(Tokens), image, 0) == "before"
    assert default_layer(built(lambda: Tokens(class_token=False)), image, 0) == "after"


def test_the_default_layer_is_not_a_projection_of_the_tokens():
    """A value or a key of each token is part of what the norm before it says."""
    model, image = built(Tokens), picture(3, 16, 24)
    model.attention.register_module("value", nn.Linear(8, 8).requires_grad_(False))
    attend = model.attention.forward
    model.attention.forward = lambda q, k, v: attend(q, k, model.attention.value(v))
    assert default_layer(model, image, 0) == "before"


def test_a_network_without_maps_has_no_default_layer():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * HEIGHT * WIDTH, 3)).requires_grad_(False)
    assert map_layers(model, (1, 3, HEIGHT, WIDTH)) == {}
    with pytest.raises(UserError, match="needs no layer"):
        default_layer(model, picture(), 0)


def test_deletion_of_a_linear_score_has_a_closed_form():
    """With weights that sum to 1 on an image of ones and a black filler, the curve is the sum of
    what remains: removing the largest first gives the area 1 - sum of what has gone."""
    height, width = 5, 8
    weights = torch.linspace(1, 40, height * width).view(height, width)
    weights = weights / weights.sum()
    image = torch.ones(1, 1, height, width)

    def probability(images):
        return (images[:, 0] * weights).sum(dim=(1, 2)).numpy()

    falling = weights.flatten().sort(descending=True).values.view(10, 4).sum(dim=1).numpy()
    curve = 1 - np.concatenate([[0], np.cumsum(falling)])
    wanted = (curve[0] / 2 + curve[1:-1].sum() + curve[-1] / 2) / 10
    found = deletion_score(probability, image, torch.zeros_like(image), most_first(weights))
    assert found == pytest.approx(wanted, abs=1e-6)
    worst = deletion_score(probability, image, torch.zeros_like(image), most_first(-weights))
    assert found + worst == pytest.approx(1, abs=1e-6)  # the two curves mirror each other
    chance = random_deletion_score(probability, image, torch.zeros_like(image))
    assert found < chance < worst
    assert chance == random_deletion_score(probability, image, torch.zeros_like(image))


def test_removal_takes_the_marked_pixels_of_all_channels_first():
    image, filler = torch.ones(1, 3, 2, 5), torch.zeros(1, 3, 2, 5)
    saliency = torch.tensor([[0, 9, 0, 0, 0], [0, 0, 0, 8, 0.0]])
    steps = removed(image, filler, most_first(saliency))
    assert steps.shape == (11, 3, 2, 5)
    assert torch.equal(steps[0], image[0])
    assert not steps[10].any()
    assert (steps[1] == 0).nonzero().tolist() == [[c, 0, 1] for c in range(3)]
    assert (steps[2, 0] == 0).nonzero().tolist() == [[0, 1], [1, 3]]


def test_a_blurred_image_keeps_size_and_mean():
    for shape in ((1, 3, 32, 48), (1, 1, 8, 8), (1, 1, 5, 3)):
        image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        assert blurred(image).shape == image.shape
        assert blurred(image).std() < image.std() / 2
        assert abs(blurred(image).mean() - image.mean()) < 0.05


@pytest.mark.parametrize("output", ["logits", "probabilities", "log_probabilities"])
def test_class_probabilities_follow_the_card(output):
    last = {"logits": nn.Identity(), "probabilities": nn.Softmax(1),
            "log_probabilities": nn.LogSoftmax(1)}
    model, images = built(lambda: Small(3)), picture().repeat(20, 1, 1, 1)
    wanted = model(images).softmax(dim=1).numpy()
    found = class_log_probabilities(nn.Sequential(model, last[output]), Card(output=output), images)
    assert np.allclose(np.exp(found), wanted, atol=1e-5)


def assert_near(found: object, wanted: object) -> None:
    """Equal, but for numbers, however deep in tuples, which agree to 1e-4."""
    if isinstance(wanted, tuple):
        assert isinstance(found, tuple) and len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_near(one, other)
    else:
        assert found == (pytest.approx(wanted, rel=1e-4) if type(wanted) is float else wanted)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_what_is_kept_of_an_explanation_is_what_was_computed(method, monkeypatch):
    model = library.model_id(ROOT / "sample_models/shapes-cnn.safetensors")
    data = library.dataset_id(ROOT / "sample_models/shapes-test.json")
    first = explanation(model, data, 3, method)
    expected = explained(model, data, 3, method, None, None, {})
    explanation.clear()
    with monkeypatch.context() as patch:
        patch.setattr(explained_module, "explained", None)  # it is not asked again
        again = explanation(model, data, 3, method)
    assert again.map.dtype == np.float32 and np.array_equal(again.map, first.map)
    assert {**vars(again), "map": 0} == {**vars(first), "map": 0}
    # Two computations may differ in the last bit, by how threads share the work.
    np.testing.assert_allclose(first.map, expected.map, rtol=1e-4, atol=1e-6)
    for name, value in {**vars(expected), "map": 0}.items():
        assert_near({**vars(first), "map": 0}[name], value)
    assert not np.array_equal(explanation(model, data, 4, method).map, first.map)


def test_methods_are_described_as_they_are():
    assert descriptions().keys() == METHODS.keys()
    for name, said in descriptions().items():
        assert all(getattr(METHODS[name], key) == value for key, value in vars(said).items())
