"""Families of architectures against networks written here by hand, and against real files."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from core.architectures import plain_chain
from core.architectures.near_misses import near_misses
from core.architectures.search import alternatives, networks
from core.card import Card, InputSpec
from core.plugins import discover
from core.weight_files.meta_build import ShapesOnly
from core.weight_files.state_dicts import assigned

pytestmark = pytest.mark.usefixtures("one_thread")

MODELS = Path(__file__).parents[2] / "shared" / "real" / "models"
FAMILIES = discover("core.architectures", "FAMILY")
NO_CARD = Card()


def claims(tensors, card=NO_CARD):
    """What families make of these tensors, by the families' files."""
    names = {family.title: name for name, family in FAMILIES.items()}
    return {names[found.family]: found.built for found in networks(tensors, card)}


def trained(network):
    """In evaluation mode, its norms' statistics unlike a fresh network's."""
    for layer in network.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2)
            nn.init.normal_(layer.bias, 0, 0.1)
    return network.eval()


def same_outputs(built, reference, shape):
    pictures = torch.randn(2, *shape)
    with torch.no_grad():
        ours = assigned(built.module, reference.state_dict())(pictures)
        torch.testing.assert_close(ours, reference(pictures))


def claimed_by(family, reference, shape, card=NO_CARD):
    """What one family, and no other, makes of a network; its outputs are the network's."""
    tensors = reference.state_dict()
    found = claims(tensors, card)
    assert list(found) == [family]
    assert all(tensor.is_meta for tensor in found[family].module.parameters())
    on_meta = {name: tensor.to("meta") for name, tensor in tensors.items()}
    again = FAMILIES[family].build(on_meta, card)
    assert again.module.state_dict().keys() == tensors.keys()
    same_outputs(found[family], reference, shape)
    return found[family]


class CifarBlock(nn.Module):
    def __init__(self, inside, width, stride, option, deep, names):
        super().__init__()
        out = width * 4 if deep else width
        sizes = [(inside, width, 1), (width, width, 3), (width, out, 1)] if deep else \
            [(inside, width, 3), (width, width, 3)]
        self.strides = [1, stride, 1] if deep else [stride, 1]
        for number, (a, b, side) in enumerate(sizes, start=1):
            setattr(self, f"conv{number}", nn.Conv2d(
                a, b, side, self.strides[number - 1], side // 2, bias=False))
            setattr(self, f"bn{number}", nn.BatchNorm2d(b))
        changes = stride != 1 or inside != out
        self.pad = (out - inside) // 2 if changes and option == "A" else None
        self.around = names
        if changes and option == "B":
            setattr(self, names, nn.Sequential(
                nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out)))

    def forward(self, x):
        around = x
        if self.pad is not None:
            around = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        elif hasattr(self, self.around):
            around = getattr(self, self.around)(x)
        for number in range(1, len(self.strides) + 1):
            x = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x))
            x = F.relu(x if number < len(self.strides) else x + around)
        return x


class CifarNet(nn.Module):
    def __init__(self, blocks, widths, option, deep=False, channels=3, classes=10, head="linear",
                 names="shortcut", places=1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        inside, self.stages, self.head, self.places = widths[0], len(blocks), head, places
        for stage, (number, width) in enumerate(zip(blocks, widths, strict=True), start=1):
            made = []
            for block in range(number):
                stride = 2 if stage > 1 and block == 0 else 1
                made.append(CifarBlock(inside, width, stride, option, deep, names))
                inside = width * 4 if deep else width
            setattr(self, f"layer{stage}", nn.Sequential(*made))
        setattr(self, head, nn.Linear(inside * places**2, classes))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        x = x.mean((2, 3)) if self.places == 1 else F.avg_pool2d(x, 4).flatten(1)
        return getattr(self, self.head)(x)


@pytest.mark.parametrize("arguments, title", [
    (([3, 3, 3], [16, 32, 64], "A"), "CIFAR ResNet-20 (option A)"),
    (([9, 9, 9], [16, 32, 64], "A"), "CIFAR ResNet-56 (option A)"),
    (([1, 2, 1], [8, 16, 32], "B"), "CIFAR ResNet-10 (option B, widths 8-16-32)"),
    (([2, 2, 2, 2], [64, 128, 256, 512], "B"), "CIFAR ResNet-18 (option B)"),
    (([1, 1, 1, 1], [8, 16, 32, 64], "B", True),
     "CIFAR ResNet-14 (option B, widths 8-16-32-64)"),
])
@pytest.mark.parametrize("channels, classes", [(3, 10), (1, 7)])
def test_cifar_resnets_of_any_depth_and_width(arguments, title, channels, classes):
    torch.manual_seed(0)
    reference = trained(CifarNet(*arguments, channels=channels, classes=classes))
    built = claimed_by("cifar_resnet", reference, (channels, 32, 32))
    assert built.exact
    card = built.card
    assert (card.architecture, card.output) == (title, "logits")
    assert (card.input.channels, card.input.height, card.input.width) == (channels, 32, 32)
    assert {"architecture", "output", "input.height"} <= card.inferred


def test_cifar_resnets_under_torchvisions_names_and_for_larger_pictures():
    torch.manual_seed(0)
    named = trained(CifarNet([3, 3, 3], [16, 32, 64], "B", head="fc", names="downsample"))
    claimed_by("cifar_resnet", named, (3, 32, 32))
    larger = trained(CifarNet([1, 1, 1, 1], [8, 16, 24, 32], "B", classes=20, places=2))
    built = claimed_by("cifar_resnet", larger, (3, 64, 64))
    assert built.card.input.height == 64


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d", "vgg11", "vgg11_bn",
                                  "alexnet", "squeezenet1_1", "densenet121", "mobilenet_v2"])
def test_torchvisions_networks_are_left_to_torchvision(name):
    with ShapesOnly():
        tensors = torchvision.models.get_model(name, num_classes=12).state_dict()
    assert list(claims(tensors)) == ["torchvision_models"]


def test_a_prefix_does_not_make_a_plain_chain_of_torchvisions_network():
    with ShapesOnly():
        tensors = torchvision.models.vgg11(num_classes=4).state_dict()
    assert list(claims({f"module.{name}": t for name, t in tensors.items()})) == \
        ["torchvision_models"]


def test_a_torchvision_resnet_with_a_start_for_small_pictures_is_left_to_torchvision():
    with ShapesOnly():
        network = torchvision.models.resnet18(num_classes=10)
        network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    assert list(claims(network.state_dict())) == ["torchvision_models"]


def uva_block(inside, out, halves, activation, before):
    stride = 2 if halves else 1
    first, second = (nn.Conv2d(inside, out, 3, stride, 1, bias=False),
                     nn.Conv2d(out, out, 3, 1, 1, bias=False))
    norm, norm_in, norm_out = (nn.BatchNorm2d(n) for n in (out, inside, out))
    block = nn.Module()
    if before:
        block.net = nn.Sequential(norm_in, activation(), first, norm, activation(), second)
        if halves:
            block.downsample = nn.Sequential(nn.BatchNorm2d(inside), activation(),
                                             nn.Conv2d(inside, out, 1, 2, bias=False))
    else:
        block.net = nn.Sequential(first, norm, activation(), second, norm_out)
        if halves:
            block.downsample = nn.Conv2d(inside, out, 1, 2)
    return block


class UvaResNet(nn.Module):
    def __init__(self, blocks, widths, activation, before, channels, classes):
        super().__init__()
        self.before, self.activation = before, activation()
        first = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.input_net = nn.Sequential(first) if before else nn.Sequential(
            first, nn.BatchNorm2d(widths[0]), activation())
        made, inside = [], widths[0]
        for stage, (number, width) in enumerate(zip(blocks, widths, strict=True)):
            for block in range(number):
                made.append(uva_block(inside, width, stage > 0 and block == 0, activation, before))
                inside = width
        self.blocks = nn.ModuleList(made)
        self.output_net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                                        nn.Linear(inside, classes))

    def forward(self, x):
        x = self.input_net(x)
        for block in self.blocks:
            around = block.downsample(x) if hasattr(block, "downsample") else x
            x = block.net(x) + around
            x = x if self.before else self.activation(x)
        return self.output_net(x)


class UvaDenseNet(nn.Module):
    def __init__(self, layers, growth, factor, activation, channels, classes):
        super().__init__()
        width = growth * factor
        self.input_net = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1))
        self.blocks = nn.ModuleList()
        for number, depth in enumerate(layers):
            block = nn.Module()
            block.block = nn.ModuleList()
            for _ in range(depth):
                layer = nn.Module()
                layer.net = nn.Sequential(
                    nn.BatchNorm2d(width), activation(),
                    nn.Conv2d(width, factor * growth, 1, bias=False),
                    nn.BatchNorm2d(factor * growth), activation(),
                    nn.Conv2d(factor * growth, growth, 3, padding=1, bias=False))
                block.block.append(layer)
                width += growth
            self.blocks.append(block)
            if number < len(layers) - 1:
                block = nn.Module()
                block.transition = nn.Sequential(
                    nn.BatchNorm2d(width), activation(),
                    nn.Conv2d(width, width // 2, 1, bias=False), nn.AvgPool2d(2, 2))
                self.blocks.append(block)
                width //= 2
        self.output_net = nn.Sequential(
            nn.BatchNorm2d(width), activation(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(width, classes))

    def forward(self, x):
        x = self.input_net(x)
        for block in self.blocks:
            if hasattr(block, "transition"):
                x = block.transition(x)
                continue
            for layer in block.block:
                x = torch.cat([layer.net(x), x], 1)
        return self.output_net(x)


class UvaGoogleNet(nn.Module):
    def __init__(self, plan, activation, channels, classes):
        super().__init__()
        self.plan, inside = plan, 12

        def unit(a, b, side):
            return [nn.Conv2d(a, b, side, padding=side // 2), nn.BatchNorm2d(b), activation()]

        self.input_net = nn.Sequential(*unit(channels, inside, 3))
        self.inception_blocks = nn.ModuleList()
        for number in plan:
            block = nn.Module()
            if number:
                block.conv_1x1 = nn.Sequential(*unit(inside, number, 1))
                block.conv_3x3 = nn.Sequential(*unit(inside, 8, 1), *unit(8, number, 3))
                block.conv_5x5 = nn.Sequential(*unit(inside, 4, 1), *unit(4, 6, 5))
                block.max_pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), *unit(inside, 5, 1))
                inside = 2 * number + 11
            self.inception_blocks.append(block)
        self.output_net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                                        nn.Linear(inside, classes))

    def forward(self, x):
        x = self.input_net(x)
        for number, block in zip(self.plan, self.inception_blocks, strict=True):
            x = torch.cat([block.conv_1x1(x), block.conv_3x3(x), block.conv_5x5(x),
                           block.max_pool(x)], 1) if number else F.max_pool2d(x, 3, 2, 1)
        return self.output_net(x)


TUTORIAL = {
    "ResNet": ("uva_resnet", lambda *a: UvaResNet([3, 3, 3], [16, 32, 64], a[0], False, *a[1:])),
    "pre-activation ResNet": (
        "uva_resnet", lambda *a: UvaResNet([2, 1], [8, 24], a[0], True, *a[1:])),
    "DenseNet": ("uva_densenet", lambda *a: UvaDenseNet([2, 3, 1], 8, 2, *a)),
    "GoogleNet": ("uva_googlenet", lambda *a: UvaGoogleNet([8, 10, 0, 12, 0, 6], *a)),
}


@pytest.mark.parametrize("kind", TUTORIAL)
@pytest.mark.parametrize("channels, classes", [(3, 10), (1, 4)])
def test_the_networks_of_the_uva_tutorial(kind, channels, classes):
    torch.manual_seed(0)
    family, make = TUTORIAL[kind]
    built = claimed_by(family, trained(make(nn.ReLU, channels, classes)), (channels, 32, 32))
    assert built.card.architecture == f"UvA tutorial {kind} (ReLU)"
    assert built.card.input.channels == channels
    assert not built.exact
    assert "activation" in built.notes[0]


@pytest.mark.parametrize("kind", TUTORIAL)
def test_a_card_names_the_activation_of_a_tutorial_network(kind):
    torch.manual_seed(0)
    family, make = TUTORIAL[kind]
    card = Card(architecture=f"UvA tutorial {kind} (Tanh)")
    built = claimed_by(family, trained(make(nn.Tanh, 3, 10)), (3, 32, 32), card)
    assert built.exact
    assert built.card.architecture == card.architecture


def layers(**named):
    """A network of named layers without a forward of its own."""
    network = nn.Module()
    for name, layer in named.items():
        network.add_module(name, layer)
    return network


class Written(nn.Module):
    """Layers and how they run, as people write it."""

    def __init__(self, forward, **named):
        super().__init__()
        self.way = forward
        for name, layer in named.items():
            self.add_module(name, layer)

    def forward(self, x):
        return self.way(self, x)


def pooled(x):
    return F.max_pool2d(F.relu(x), 2)


def two_linear(n, x):
    return n.fc2(F.relu(n.fc1(x.flatten(1))))


def vgg_block(inside, out):
    return [nn.Conv2d(inside, out, 3, padding=1), nn.ReLU(),
            nn.Conv2d(out, out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]


def norm_block(inside, out, kernel=5):
    return nn.Sequential(nn.Conv2d(inside, out, kernel, padding=kernel // 2), nn.BatchNorm2d(out),
                         nn.ReLU(), nn.MaxPool2d(2))


def mnist_example():
    return Written(lambda n, x: two_linear(n, F.max_pool2d(F.relu(n.conv2(F.relu(n.conv1(x)))), 2)),
                   conv1=nn.Conv2d(1, 32, 3), conv2=nn.Conv2d(32, 64, 3),
                   fc1=nn.Linear(9216, 128), fc2=nn.Linear(128, 10))


def cifar_tutorial():
    return Written(lambda n, x: n.fc3(F.relu(two_linear(n, pooled(n.conv2(pooled(n.conv1(x))))))),
                   conv1=nn.Conv2d(3, 6, 5), conv2=nn.Conv2d(6, 16, 5), fc1=nn.Linear(400, 120),
                   fc2=nn.Linear(120, 84), fc3=nn.Linear(84, 10))


def four_norms():
    def forward(n, x):
        x = F.relu(n.bn2(n.conv2(F.relu(n.bn1(n.conv1(x))))))
        x = F.relu(n.bn5(n.conv5(F.relu(n.bn4(n.conv4(F.max_pool2d(x, 2)))))))
        return n.fc1(x.flatten(1))

    return Written(
        forward, conv1=nn.Conv2d(3, 12, 5, padding=1), bn1=nn.BatchNorm2d(12),
        conv2=nn.Conv2d(12, 12, 5, padding=1), bn2=nn.BatchNorm2d(12),
        conv4=nn.Conv2d(12, 24, 5, padding=1), bn4=nn.BatchNorm2d(24),
        conv5=nn.Conv2d(24, 24, 5, padding=1), bn5=nn.BatchNorm2d(24), fc1=nn.Linear(2400, 10))


def in_lists():
    def forward(n, x):
        for convolution, norm in zip(n.convolutions, n.norms, strict=True):
            x = pooled(norm(convolution(x)))
        return two_linear(n, x)

    return Written(forward, convolutions=nn.ModuleList([nn.Conv2d(1, 16, 3, padding=1),
                                                        nn.Conv2d(16, 32, 3, padding=1)]),
                   norms=nn.ModuleList([nn.BatchNorm2d(16), nn.BatchNorm2d(32)]),
                   fc1=nn.Linear(32 * 49, 100), fc2=nn.Linear(100, 10))


CHAINS = {
    "Linear": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), (1, 28, 28)),
    "MLP": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10)),
            (1, 28, 28)),
    "MLP of a stack": (
        lambda: Written(lambda n, x: n.stack(x.flatten(1)), stack=nn.Sequential(
            nn.Linear(3072, 40), nn.ReLU(), nn.Dropout(), nn.Linear(40, 20), nn.ReLU(),
            nn.Linear(20, 5))), (3, 32, 32)),
    "MLP with norms": (lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(784, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(),
        nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10)), (1, 28, 28)),
    "MLP with PReLU": (lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(64, 30), nn.PReLU(30), nn.Linear(30, 10)), (1, 8, 8)),
    "torch's MNIST example": (mnist_example, (1, 28, 28)),
    "torch's CIFAR tutorial": (cifar_tutorial, (3, 32, 32)),
    "blocks of norms": (lambda: Written(
        lambda n, x: n.fc(n.layer2(n.layer1(x)).flatten(1)), layer1=norm_block(1, 16),
        layer2=norm_block(16, 32), fc=nn.Linear(32 * 49, 10)), (1, 28, 28)),
    "VGG-like": (lambda: nn.Sequential(
        *vgg_block(3, 8), *vgg_block(8, 16), *vgg_block(16, 32), nn.Flatten(), nn.Linear(512, 64),
        nn.ReLU(), nn.Linear(64, 10)), (3, 32, 32)),
    "a number left out": (four_norms, (3, 32, 32)),
    "lists": (in_lists, (1, 28, 28)),
    "strides": (lambda: nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1),
        nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 49, 10)), (1, 28, 28)),
    "norm after activation": (lambda: nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(8), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(8 * 196, 10)), (1, 28, 28)),
    "averaged": (lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2)), (3, 40, 40)),
}


@pytest.mark.parametrize("kind", CHAINS)
def test_chains_as_people_write_them(kind):
    torch.manual_seed(0)
    make, shape = CHAINS[kind]
    built = claimed_by("plain_chain", trained(make()), shape)
    assert not built.exact
    assert "architecture" in built.notes[0]
    assert built.card.input.channels == shape[0]
    if kind != "averaged":
        assert (built.card.input.height, built.card.input.width) == shape[1:]


def test_a_chain_for_pictures_that_are_not_square_takes_its_size_from_the_card():
    torch.manual_seed(0)
    reference = trained(Written(
        lambda n, x: n.fc(pooled(n.conv2(pooled(n.conv1(x)))).flatten(1)),
        conv1=nn.Conv2d(2, 4, 3, padding=1), conv2=nn.Conv2d(4, 6, 3, padding=1),
        fc=nn.Linear(6 * 5 * 10, 3)))
    card = Card(input=InputSpec(height=20, width=40))
    claimed_by("plain_chain", reference, (2, 20, 40), card)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(2 * 9 * 5, 7), nn.ReLU(), nn.Linear(7, 3))
    built = claimed_by("plain_chain", flat, (2, 9, 5), Card(input=InputSpec(height=9, width=5)))
    assert built.card.input.channels == 2


def test_the_order_of_a_file_that_is_sorted_by_name_changes_nothing():
    torch.manual_seed(0)
    for make, shape in (CHAINS["a number left out"], CHAINS["MLP with norms"], CHAINS["lists"]):
        reference = trained(make())
        tensors = dict(sorted(reference.state_dict().items()))
        same_outputs(claims(tensors)["plain_chain"], reference, shape)


@pytest.mark.parametrize(("widths", "said"), [
    ((100, 256, 784), "28 × 28"), ((64, 128, 512, 3072), "3 × 32 × 32"), ((100, 1024, 784), None),
    ((784, 256, 100), None), ((784, 100, 196), None)])
def test_outputs_that_look_like_an_image_are_said_to_do_so(widths, said):
    layers = [nn.Linear(*pair) for pair in pairwise(widths)]
    (built,) = claims(nn.Sequential(*layers).state_dict()).values()
    warnings = [note for note in built.notes if "not a classifier" in note]
    assert len(warnings) == (said is not None) and all(f"= {said}," in note for note in warnings)


def test_means_above_zero_tell_that_a_norm_comes_after_relu():
    torch.manual_seed(0)
    reference = trained(Written(
        lambda n, x: n.fc(F.max_pool2d(n.norm(F.relu(n.conv(x))), 2).flatten(1)),
        conv=nn.Conv2d(1, 12, 3, padding=1), norm=nn.BatchNorm2d(12),
        fc=nn.Linear(12 * 196, 10)))
    reference.norm.running_mean.abs_()
    assert "norm after activation" in claimed_by(
        "plain_chain", reference, (1, 28, 28)).card.architecture


@pytest.mark.parametrize("activation, pooling", [
    (nn.Tanh, nn.MaxPool2d), (nn.Sigmoid, nn.AvgPool2d), (nn.ReLU, nn.AvgPool2d)])
def test_one_proposal_is_the_network_and_its_name_in_a_card_chooses_it(activation, pooling):
    torch.manual_seed(0)
    reference = trained(nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), activation(), pooling(2), nn.Conv2d(6, 16, 5), activation(),
        pooling(2), nn.Flatten(), nn.Linear(400, 120), activation(), nn.Linear(120, 10)))
    tensors, card = reference.state_dict(), Card(input=InputSpec(height=28, width=28))
    pictures = torch.randn(3, 1, 28, 28)
    proposed = list(plain_chain.proposals(tensors, card))
    names = [built.card.architecture for built in proposed]
    assert len(set(names)) == len(names)
    with torch.no_grad():
        right = [built for built in proposed if torch.allclose(
            assigned(built.module, tensors)(pictures), reference(pictures), atol=1e-5)]
    assert len(right) == 1
    chosen = Card(architecture=right[0].card.architecture, input=card.input)
    claimed_by("plain_chain", reference, (1, 28, 28), chosen)


@pytest.mark.parametrize("network", [
    layers(conv=nn.Conv2d(3, 8, 3), fc=nn.Linear(100, 10)),  # 100 is no multiple of 8
    layers(encoder=nn.Linear(784, 32), decoder=nn.Linear(32, 784)),
    layers(first=nn.Linear(784, 32), second=nn.Linear(32, 784)),
    layers(a=nn.Linear(10, 20), b=nn.Linear(30, 40)),
    layers(conv1=nn.Conv2d(3, 8, 3), conv2=nn.Conv2d(8, 3, 3)),
    layers(conv=nn.Conv1d(3, 8, 3), fc=nn.Linear(8, 2)),
    layers(rnn=nn.LSTM(8, 8), fc=nn.Linear(8, 2)),
    layers(conv1=nn.Conv2d(3, 8, 3), res1=nn.Conv2d(8, 8, 3), fc=nn.Linear(8, 2)),
    layers(norm=nn.BatchNorm1d(8)),
    layers(**{f"layer{'9' * 5000}": nn.Linear(8, 4), "last": nn.Linear(4, 2)}),  # no int of it
    layers(table=nn.Embedding(100, 8), fc=nn.Linear(8, 2), attention=nn.Linear(8, 24)),
    CifarNet([3, 3, 3], [16, 32, 64], "A", head="classifier"),
], ids=range(12))
def test_what_is_no_chain_is_claimed_by_no_family(network):
    assert claims(network.state_dict()) == {}


@pytest.mark.parametrize("name, change", [
    ("linear.weight", lambda t: t[:, :-1]), ("layer2.0.conv1.weight", lambda t: t[:-1]),
    ("layer3.2.bn2.bias", lambda t: t[None]), ("conv1.weight", lambda t: t[..., :0])])
def test_a_near_miss_is_claimed_by_no_family(name, change):
    tensors = CifarNet([3, 3, 3], [16, 32, 64], "A").state_dict()
    assert claims(tensors | {name: change(tensors[name])}) == {}
    assert claims(tensors | {"extra": torch.zeros(3)}) == {}
    assert claims({key: value for key, value in tensors.items() if key != name}) == {}


@pytest.mark.parametrize("make", [
    lambda: CifarNet([3, 3, 3], [16, 32, 64], "A"),
    lambda: CifarNet([2, 2, 2, 2], [8, 16, 32, 64], "B"),
    *(lambda kind=kind: TUTORIAL[kind][1](nn.ReLU, 3, 10) for kind in TUTORIAL)])
def test_near_misses_of_these_families_say_what_differs(make):
    tensors = make().state_dict()
    built, = claims(tensors).values()
    title = built.card.architecture.removesuffix(" (ReLU)")
    norms = [name for name in tensors if name.endswith("running_mean")]
    layer = norms[-2].rpartition(".")[0]
    less = {name: t for name, t in tensors.items() if not name.startswith(f"{layer}.")}
    miss, = near_misses({name: t.shape for name, t in less.items()}, NO_CARD)
    assert miss.name == title and not miss.opens and not miss.extra and not miss.other
    assert set(miss.missing) == tensors.keys() - less.keys()
    assert miss.agreement == pytest.approx(len(less) / len(tensors))
    assert f"'{layer}.*' is missing" in miss.differences()
    more = {name: t.shape for name, t in tensors.items()} | {"extra": torch.Size([3])}
    miss, = near_misses(more, NO_CARD)
    assert miss.opens and miss.extra == ("extra",)


def test_families_propose_every_activation_and_each_runs_differently():
    torch.manual_seed(0)
    _, make = TUTORIAL["ResNet"]
    reference = trained(make(nn.Tanh, 3, 10))
    tensors, pictures = reference.state_dict(), torch.randn(2, 3, 32, 32)
    proposed = {built.card.architecture: built for built in alternatives(tensors, NO_CARD)}
    assert next(iter(proposed)) == "UvA tutorial ResNet (ReLU)" and len(proposed) == 8
    with torch.no_grad():
        right = [name for name, built in proposed.items() if torch.allclose(
            assigned(built.module, tensors)(pictures), reference(pictures), atol=1e-5)]
    assert right == ["UvA tutorial ResNet (Tanh)"]


def test_any_choices_together_can_be_named_and_are_the_centre_of_what_is_proposed():
    tensors = mnist_example().state_dict()
    first = [built.card.architecture for built in alternatives(tensors, NO_CARD)]
    far = first[1].replace("max-pooling", "average-pooling").replace("ReLU", "Tanh")
    assert far not in first
    built = claims(tensors, Card(architecture=far))["plain_chain"]
    assert "as the card says" in built.notes[0]
    around = [built.card.architecture for built in alternatives(tensors, Card(architecture=far))]
    assert around[0] == far and sum("Tanh" not in name for name in around) == 14


def test_torchvision_declines_small_resnets_without_building_any(monkeypatch):
    from core.architectures import torchvision_models

    monkeypatch.setattr(torchvision_models, "network", None)
    for options in ({}, {"head": "fc", "names": "downsample"}):
        for blocks, widths in (([3, 3, 3], [16, 32, 64]), ([2, 2, 2, 2], [16, 32, 64, 128])):
            tensors = CifarNet(blocks, widths, "B", **options).state_dict()
            assert list(claims(tensors)) == ["cifar_resnet"]


def test_a_padding_that_tensors_do_not_tell_is_proposed_for_timms_networks():
    timm = pytest.importorskip("timm")
    reference = timm.create_model("tf_mobilenetv3_small_100", num_classes=3).eval()
    names = [built.card.architecture
             for built in alternatives(reference.state_dict(), NO_CARD)]
    assert names == ["mobilenetv3_small_100", "tf_mobilenetv3_small_100"]
    built = claims(reference.state_dict(), Card(architecture=names[1]))["timm_models"]
    same_outputs(built, reference, (3, 64, 64))


@pytest.mark.parametrize("name, options", [
    ("vit_tiny_patch16_224", {"num_classes": 5, "img_size": 96}), ("resnet26d", {"in_chans": 1}),
    ("swin_tiny_patch4_window7_224", {"num_classes": 3})])
def test_timms_networks_by_name_and_by_shapes(name, options):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    reference = timm.create_model(name, **options).eval()
    side = options.get("img_size", 224)
    shape = (options.get("in_chans", 3), side, side)
    named = claimed_by("timm_models", reference, shape, Card(architecture=f"timm/{name}.some_in1k"))
    assert named.exact
    found = claimed_by("timm_models", reference, shape)
    assert not found.exact
    assert found.card.architecture == name
    assert (found.card.input.channels, found.card.input.height) == shape[:2]
    assert (found.card.input.mean is None) == ("num_classes" in options)


REAL = {
    "resnet20_cifar10_akamaster/resnet20-12fca82f.th": "CIFAR ResNet-20 (option A)",
    "resnet56_cifar10_akamaster/resnet56-4bfd9763.th": "CIFAR ResNet-56 (option A)",
    "phlippe_cifar10_resnet/ResNet.ckpt": "UvA tutorial ResNet (ReLU)",
    "phlippe_cifar10_googlenet/GoogleNet.ckpt": "UvA tutorial GoogleNet (ReLU)",
    "phlippe_fashionmnist_mlp_SGD_tutorial4/FashionMNIST_SGD.tar":
        "MLP 784-512-256-256-128-10 (ReLU)",
    "burn_mnist_pt_and_safetensors/mnist.pt":
        "CNN 1-8-16-24-32-10 (28 × 28, padding 0, no pooling, ReLU, norm after activation)",
    "winml_cifar10_pth_and_onnx/myFirstModel.pth":
        "CNN 3-12-12-24-24-10 (32 × 32, padding 1, max-pooling 2 after 2, ReLU)",
}


@pytest.mark.parametrize("file", REAL)
def test_real_files(file):
    if not (MODELS / file).exists():
        pytest.skip("the real files are not here")
    from core.model_formats.torch_file import FORMAT

    loaded = FORMAT.load(MODELS / file, NO_CARD)
    assert loaded.card.architecture == REAL[file]
    assert not any("Other architectures" in note for note in loaded.notes)
