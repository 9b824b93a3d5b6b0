"""Receptive fields against the closed form of a chain and against gradients."""

import pytest
import torch
import torchvision
from torch import nn

from core.architecture import receptive_fields
from core.library import model_id
from core.measures.receptive_field import fields_of


def test_a_chain_has_the_closed_form():
    layers = [(7, 2, 3, 1), (3, 2, 1, 1), (3, 1, 2, 2), (5, 1, 0, 1), (2, 2, 0, 1)]
    chain = nn.Sequential(*(nn.Conv2d(3, 3, k, s, p, d) for k, s, p, d in layers[:-1]),
                          nn.AvgPool2d(2)).eval()
    found = fields_of(chain, (1, 3, 96, 80))
    size = step = 1
    start = 0
    for number, (kernel, stride, padding, dilation) in enumerate(layers):
        start -= padding * step
        size += (kernel - 1) * dilation * step
        step *= stride
        field = found[str(number)]
        for extent in (field.height, field.width):
            assert (extent.start, extent.size, extent.step) == (start, size, step)
            assert not extent.whole


def straightened(model):
    """The network with windows and branches as they are, and gradients that no kink or
    cancellation hides: no activations, mean for max, weights above zero."""
    for module in model.modules():
        for name, child in list(module.named_children()):
            if isinstance(child, (nn.ReLU, nn.ReLU6)):
                setattr(module, name, nn.Identity())
            elif isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding,
                                                   child.ceil_mode))
    for parameter in model.parameters():
        parameter.data = parameter.data.abs() + 1e-3
    return model.double()


def probed(model, layer, sides, place):
    """(first, end) of the pixels in each direction that reach one number of a layer."""
    image = torch.rand(1, 3, *sides, dtype=torch.float64, requires_grad=True)
    held = []
    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, o: held.append(o))
    model(image)
    handle.remove()
    (gradient,) = torch.autograd.grad(held[-1][0, :, place[0], place[1]].sum(), image)
    seen = gradient[0].abs().sum(0) > 0
    return [(int(line.nonzero()[0]), int(line.nonzero()[-1]) + 1)
            for line in (seen.any(1), seen.any(0))]


@pytest.mark.parametrize("name, layers", [
    ("resnet18", ["conv1", "maxpool", "layer1.0", "layer1", "layer2.0.downsample", "layer2.1",
                  "layer3"]),
    ("mobilenet_v2", ["features.0", "features.2.conv.1.0", "features.5", "features.9"]),
    ("densenet121", ["features.denseblock1.denselayer3", "features.transition1",
                     "features.denseblock2.denselayer4"]),
    ("shufflenet_v2_x0_5", ["maxpool", "stage2.0", "stage2.2"]),
])
def test_fields_are_what_gradients_reach(name, layers, one_thread):
    torch.manual_seed(0)
    sides, place = (160, 192), (2, 4)
    model = torchvision.models.get_model(name).eval().requires_grad_(False)
    found = fields_of(model, (1, 3, *sides))
    model = straightened(model)
    for layer in layers:
        field = found[layer]
        reached = probed(model, layer, sides, place)
        for extent, at, side, (first, end) in zip((field.height, field.width), place, sides,
                                                  reached, strict=True):
            start = extent.start + at * extent.step
            assert (max(start, 0), min(start + extent.size, side)) == (first, end), layer


class Odd(nn.Module):
    """Squeeze and excitation, channels last, attention, and what comes after each."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)
        self.norm, self.mix = nn.LayerNorm(4), nn.Linear(4, 4)
        self.pool, self.gate = nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1)
        self.after = nn.Conv2d(4, 4, 3)
        self.attend = nn.MultiheadAttention(4, 1, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = self.conv(x)
        x = self.mix(self.norm(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        x = self.after(x * self.gate(self.pool(x)).sigmoid())
        tokens = x.flatten(2).transpose(1, 2)
        return self.head(self.attend(tokens, tokens, tokens)[0].mean(1))


def test_what_sees_everything_and_what_is_not_followed():
    found = fields_of(Odd().eval(), (1, 3, 32, 32))
    assert found["mix"].height == found["conv"].height
    assert (found["mix"].height.size, found["mix"].height.step) == (3, 2)
    assert found["mix"].sides == (1, 2)
    assert found["pool"].height.whole
    assert found["gate"].width.whole
    assert found["after"].height.whole
    assert found["after"].height.step == 2
    assert not {"attend", "head"} & set(found)


class Strided(nn.Module):
    """A shortcut that leaves out every second pixel and pads channels, as ResNets for CIFAR have."""

    def __init__(self):
        super().__init__()
        self.conv, self.pick, self.last = nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.ReLU()

    def forward(self, x):
        shortcut = self.pick(nn.functional.pad(x[:, :, 1::2, ::2], (0, 0, 0, 0, 1, 2)))
        return self.last(self.conv(x) + shortcut)


def test_slices_are_followed():
    found = fields_of(Strided().eval(), (1, 3, 32, 32))
    pick, last = found["pick"], found["last"]
    assert (pick.height.start, pick.height.size, pick.height.step) == (1, 1, 2)
    assert (pick.width.start, pick.width.size, pick.width.step) == (0, 1, 2)
    assert (last.height.start, last.height.size, last.height.step) == (-1, 3, 2)
    assert not last.height.whole


@pytest.mark.parametrize("name", ["resnet50", "convnext_tiny", "efficientnet_b0"])
def test_known_networks(name):
    with torch.device("meta"):
        model = torchvision.models.get_model(name).eval().requires_grad_(False)
    found = fields_of(model, (1, 3, 224, 224))
    if name == "resnet50":
        assert (found["layer4"].height.size, found["layer4"].height.step) == (427, 32)
        assert found["avgpool"].height.whole
        assert found["fc"].height.whole
    if name == "convnext_tiny":
        assert (found["features.0"].height.size, found["features.0"].height.step) == (4, 4)
        assert found["features.1.0"].height.size == 4 + 6 * 4
    if name == "efficientnet_b0":
        assert not found["features.0"].height.whole
        assert found["features.1"].height.whole  # its squeeze and excitation sees everything


@pytest.mark.parametrize("file", ["shapes-cnn.safetensors", "shapes-cnn.pt2", "shapes-cnn.onnx",
                                  "shapes-cnn.torchscript.pt"])
def test_a_frozen_graph_has_the_fields_of_its_network(samples, file):
    table = receptive_fields(model_id(samples / file)).set_index("layer")
    conv = [layer for layer in table.index if layer.endswith("conv")]
    assert [table.field[layer] for layer in conv] == [(3, 3), (8, 8), (18, 18), (38, 38)]
    assert [table.step[layer] for layer in conv] == [(1, 1), (2, 2), (4, 4), (8, 8)]
