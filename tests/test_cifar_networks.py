"""Networks for small pictures under pytorch-cifar's names, against networks written here by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from core.architectures.search import alternatives, networks
from core.card import Card
from core.weight_files.state_dicts import model_of
from tests.test_families import trained

pytestmark = pytest.mark.usefixtures("one_thread")


def opened_like(reference, title, card=None, side=32):
    """Opens the network's tensors; the same outputs under the title expected."""
    torch.manual_seed(1)
    channels = reference.conv1.in_channels
    loaded = model_of(reference.state_dict(), card or Card(), "file.pt", lambda: None)
    assert loaded.card.architecture == title
    assert (loaded.card.input.height, loaded.card.input.channels) == (side, channels)
    pictures = torch.randn(3, channels, side, side)
    with torch.no_grad():
        torch.testing.assert_close(loaded.module(pictures), reference(pictures))
    return loaded


class PreActBlock(nn.Module):
    def __init__(self, inside, width, stride, deep, wide):
        super().__init__()
        out = width * 4 if deep else width
        sizes = [(inside, width, 1), (width, width, 3), (width, out, 1)] if deep else \
            [(inside, width, 3), (width, width, 3)]
        self.wide, self.depth = wide, len(sizes)
        halving = 1 if deep or wide else 0
        for number, (a, b, kernel) in enumerate(sizes):
            setattr(self, f"bn{number + 1}", nn.BatchNorm2d(a))
            setattr(self, f"conv{number + 1}", nn.Conv2d(
                a, b, kernel, stride if number == halving else 1, kernel // 2, bias=wide))
        if stride != 1 or inside != out:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, out, 1, stride, bias=wide))

    def forward(self, x):
        inner = F.relu(self.bn1(x))
        around = self.shortcut(x if self.wide else inner) if hasattr(self, "shortcut") else x
        inner = self.conv1(inner)
        for number in range(2, self.depth + 1):
            inner = getattr(self, f"conv{number}")(F.relu(getattr(self, f"bn{number}")(inner)))
        return inner + around


class PreActNet(nn.Module):
    def __init__(self, blocks, widths, deep=False, wide=False, channels=3, places=1):
        super().__init__()
        inside = widths[0] if not wide else 16
        self.wide, self.stages, self.places = wide, len(blocks), places
        self.conv1 = nn.Conv2d(channels, inside, 3, padding=1, bias=wide)
        for stage, (number, width) in enumerate(zip(blocks, widths, strict=True), start=1):
            made = []
            for block in range(number):
                made.append(PreActBlock(inside, width, 1 + (stage > 1 and block == 0), deep, wide))
                inside = width * 4 if deep else width
            setattr(self, f"layer{stage}", nn.Sequential(*made))
        if wide:
            self.bn1 = nn.BatchNorm2d(inside)
        self.linear = nn.Linear(inside * places**2, 10)

    def forward(self, x):
        x = self.conv1(x)
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        x = F.relu(self.bn1(x)) if self.wide else x
        return self.linear(F.avg_pool2d(x, 8 if self.wide else 4).flatten(1))


@pytest.mark.parametrize("blocks, widths, options, title", [
    ([2, 2, 2, 2], [64, 128, 256, 512], {}, "CIFAR pre-activation ResNet-18"),
    ([1, 2, 1, 1], [8, 16, 24, 32], {"deep": True, "channels": 1},
     "CIFAR pre-activation ResNet-17"),
    ([1, 1, 1], [32, 64, 128], {"wide": True}, "CIFAR pre-activation ResNet-8 "
     "(shortcuts before the norm, second convolution halves)"),
])
def test_preactivation_resnets(blocks, widths, options, title):
    torch.manual_seed(0)
    loaded = opened_like(trained(PreActNet(blocks, widths, **options)), title)
    assert any("the tensors do not say" in note for note in loaded.notes)


def test_a_preactivation_resnet_for_larger_pictures():
    torch.manual_seed(0)
    reference = trained(PreActNet([1, 1, 1, 1], [8, 16, 24, 32], places=2))
    opened_like(reference, "CIFAR pre-activation ResNet-10", side=64)


def test_a_card_chooses_how_a_preactivation_resnet_runs():
    torch.manual_seed(0)
    reference = trained(PreActNet([1, 1, 1], [32, 64, 128], wide=True))
    names = [b.card.architecture for b in alternatives(reference.state_dict(), Card())]
    assert len(set(names)) == 3
    loaded = model_of(reference.state_dict(), Card(architecture=names[1]), "f", lambda: None)
    assert not any("the tensors do not say" in note for note in loaded.notes)
    pictures = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert not torch.allclose(loaded.module(pictures), reference(pictures))
    opened_like(reference, names[0], Card(architecture=names[0]))


class DenseLayer(nn.Module):
    def __init__(self, inside, growth):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inside), nn.Conv2d(inside, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x):
        return torch.cat([self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x)))))), x], 1)


class Transition(nn.Module):
    def __init__(self, inside, out):
        super().__init__()
        self.bn, self.conv = nn.BatchNorm2d(inside), nn.Conv2d(inside, out, 1, bias=False)

    def forward(self, x):
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)


class DenseNet(nn.Module):
    def __init__(self, blocks, growth):
        super().__init__()
        planes = 2 * growth
        self.conv1 = nn.Conv2d(3, planes, 3, padding=1, bias=False)
        self.depth = len(blocks)
        for number, layers in enumerate(blocks, start=1):
            made = [DenseLayer(planes + n * growth, growth) for n in range(layers)]
            setattr(self, f"dense{number}", nn.Sequential(*made))
            planes += layers * growth
            if number < self.depth:
                setattr(self, f"trans{number}", Transition(planes, planes // 2))
                planes //= 2
        self.bn, self.linear = nn.BatchNorm2d(planes), nn.Linear(planes, 10)

    def forward(self, x):
        x = self.conv1(x)
        for number in range(1, self.depth + 1):
            x = getattr(self, f"dense{number}")(x)
            x = getattr(self, f"trans{number}")(x) if number < self.depth else x
        return self.linear(F.avg_pool2d(F.relu(self.bn(x)), 4).flatten(1))


def test_densenets():
    torch.manual_seed(0)
    opened_like(trained(DenseNet([3, 2, 4, 2], 12)), "CIFAR DenseNet-27")


class Separable(nn.Module):
    def __init__(self, inside, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, inside, 3, stride, 1, groups=inside, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(inside), nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(inside, out, 1, bias=False)

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class Inverted(nn.Module):
    def __init__(self, inside, out, expansion, stride):
        super().__init__()
        planes, self.stride = expansion * inside, stride
        self.conv1, self.bn1 = nn.Conv2d(inside, planes, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, groups=planes, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = nn.Conv2d(planes, out, 1, bias=False), nn.BatchNorm2d(out)
        self.shortcut = nn.Sequential()
        if stride == 1 and inside != out:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, out, 1, bias=False),
                                          nn.BatchNorm2d(out))

    def forward(self, x):
        out = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        out = self.bn3(self.conv3(out))
        return out + self.shortcut(x) if self.stride == 1 else out


class MobileNet(nn.Module):
    def __init__(self, inverted):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        if inverted:  # pytorch-cifar's table: expansion, channels, blocks, stride of the first
            table = [(1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                     (6, 160, 3, 2), (6, 320, 1, 1)]
            rows = [(out, expansion, stride if n == 0 else 1)
                    for expansion, out, blocks, stride in table for n in range(blocks)]
        else:
            rows = [64, (128, 2), 128, (256, 2), 256, (512, 2), 512, (1024, 2), 1024]
            rows = [row if isinstance(row, tuple) else (row, 1) for row in rows]
        made, inside = [], 32
        for out, *rest in rows:
            made.append((Inverted if inverted else Separable)(inside, out, *rest))
            inside = out
        self.layers = nn.Sequential(*made)
        self.conv2 = nn.Conv2d(320, 1280, 1, bias=False) if inverted else None
        self.bn2 = nn.BatchNorm2d(1280) if inverted else None
        self.linear = nn.Linear(1280 if inverted else 1024, 10)

    def forward(self, x):
        x = self.layers(F.relu(self.bn1(self.conv1(x))))
        x = F.relu(self.bn2(self.conv2(x))) if self.conv2 else x
        return self.linear(F.avg_pool2d(x, 4 if self.conv2 else 2).flatten(1))


@pytest.mark.parametrize("inverted, title", [(True, "CIFAR MobileNetV2"),
                                             (False, "CIFAR MobileNet")])
def test_mobilenets(inverted, title):
    torch.manual_seed(0)
    loaded = opened_like(trained(MobileNet(inverted)), title)
    assert any("halved" in note for note in loaded.notes)


@pytest.mark.parametrize("reference", [
    PreActNet([2, 1, 1, 1], [8, 16, 24, 32]), DenseNet([2, 2, 2], 4), MobileNet(True)])
def test_one_tensor_more_less_or_other_is_no_such_network(reference):
    tensors = reference.state_dict()
    for change in ({"extra.weight": torch.ones(3)}, {"linear.weight": torch.ones(10, 9)},
                   {"conv1.weight": torch.ones(5, 3, 3, 3)}):
        assert not networks(tensors | change, Card())
    for name in list(tensors)[1::9]:
        less = {key: value for key, value in tensors.items() if key != name}
        assert all("num_batches" in name or name.endswith("bias") for _ in networks(less, Card()))
