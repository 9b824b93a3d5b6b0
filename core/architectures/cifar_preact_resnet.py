"""Pre-activation ResNets for small pictures: norm and ReLU before each convolution.

https://arxiv.org/abs/1603.05027 as in pytorch-cifar's PreActResNet, and wide ResNets,
https://arxiv.org/abs/1605.07146, under the same names.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from core.architectures import Built, Family, Shapes, Tensors
from core.architectures import layers_from_shapes as shaped
from core.architectures.cifar_family import SIDE, built, made
from core.architectures.cifar_resnet import POOLED, STAGES, side_of
from core.architectures.layers_from_shapes import ShapeError, batch_norm, convolution, shapes_of
from core.card import Card

LAST_NORMS = ("bn", "bn1", "norm", "bn_last", "bn_final")
# Where a shortcut starts, and which 3 × 3 convolution halves the picture: the tensors do not say.
WAYS = {"": (True, False), "shortcuts before the norm": (False, False),
        "shortcuts before the norm, second convolution halves": (False, True)}
PLAIN, WIDE = "", tuple(WAYS)[-1]
GUESSED = ("Taken for {}; the tensors do not say where the shortcut of a block starts, nor which "
           "convolution halves the picture.")


class Block(nn.Module):
    """Two 3 × 3 convolutions, or 1 × 1, 3 × 3 and 1 × 1, each after its norm, and a shortcut."""

    def __init__(self, shapes: Shapes, place: str, stride: int, way: str) -> None:
        super().__init__()
        self.depth = 3 if f"{place}.conv3.weight" in shapes else 2
        self.shortcut_activated, late = WAYS[way]
        strided = 2 if late or self.depth == 3 else 1
        for number in range(1, self.depth + 1):
            self.add_module(f"bn{number}", batch_norm(shapes, f"{place}.bn{number}"))
            self.add_module(f"conv{number}", convolution(
                shapes, f"{place}.conv{number}", stride if number == strided else 1))
        self.relu, self.width = nn.ReLU(), getattr(self, f"conv{self.depth}").out_channels
        width = self.conv1.in_channels
        if f"{place}.shortcut.0.weight" in shapes:
            self.shortcut = nn.Sequential(convolution(shapes, f"{place}.shortcut.0", stride))
        elif stride > 1 or width != self.width:
            raise ShapeError(place)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        activated = self.relu(self.bn1(x))
        around = x
        if hasattr(self, "shortcut"):
            around = self.shortcut(activated if self.shortcut_activated else x)
        x = self.conv1(activated)
        for number in range(2, self.depth + 1):
            normed = getattr(self, f"bn{number}")(x)
            x = getattr(self, f"conv{number}")(self.relu(normed))
        return x + around


class PreActivationResNet(nn.Module):
    """(N, channels, H, W) to logits (N, classes). side: see CifarResNet."""

    def __init__(self, shapes: Shapes, head: str, way: str) -> None:
        super().__init__()
        self.conv1, self.stages, self.head_name = convolution(shapes, "conv1"), 0, head
        width = self.conv1.out_channels
        while f"layer{self.stages + 1}.0.conv1.weight" in shapes:
            self.stages += 1
            stage = nn.Sequential(*(
                Block(shapes, f"layer{self.stages}.{block}",
                      2 if self.stages > 1 and block == 0 else 1, way)
                for block in range(shaped.count(shapes, f"layer{self.stages}.{{}}.conv1.weight"))))
            self.add_module(f"layer{self.stages}", stage)
            width = stage[-1].width
        self.last_norm = next((n for n in LAST_NORMS if f"{n}.weight" in shapes), None)
        if self.last_norm:
            self.add_module(self.last_norm, batch_norm(shapes, self.last_norm))
            self.relu = nn.ReLU()
        features = shaped.weight(shapes, head, 2)[1]
        self.side = None if features == width else side_of(features, width, self.stages)
        self.pool = nn.AvgPool2d(POOLED) if self.side else nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.add_module(head, shaped.linear(shapes, head))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x)
        for number in range(1, self.stages + 1):
            x = getattr(self, f"layer{number}")(x)
        if self.last_norm:
            x = self.relu(getattr(self, self.last_norm)(x))
        return getattr(self, self.head_name)(self.flatten(self.pool(x)))


def build(tensors: Tensors, card: Card) -> Built | None:
    """The network whose names and shapes these are, or None."""
    shapes = shapes_of(tensors)
    kind, _, named = (card.architecture or "").removesuffix(")").partition(" (")
    chosen = kind.startswith(FAMILY.title) and named in WAYS
    return _built(shapes, card, named if chosen else _usual(shapes))


def proposals(tensors: Tensors, card: Card) -> Iterator[Built]:
    """The ways in which such a network may run, the usual one of its kind first."""
    shapes, unnamed = shapes_of(tensors), replace(card, architecture=None)
    for way in sorted(WAYS, key=lambda way: way != _usual(shapes)):
        if built := _built(shapes, unnamed, way):
            yield built


def near(shapes: Shapes, card: Card) -> Iterator[tuple[str, Shapes]]:
    """The network that most of the tensors belong to, its other shapes as in the blocks beside."""
    module = _network(shaped.LikeNeighbours(shapes), _usual(shapes))
    if module is not None:
        yield _title(module, _usual(shapes)), shapes_of(module.state_dict())


def _usual(shapes: Shapes) -> str:
    """Wide ResNets have a last norm and, as people write them, a bias in every convolution."""
    return WIDE if "layer1.0.conv1.bias" in shapes else PLAIN


def _built(shapes: Shapes, card: Card, way: str) -> Built | None:
    module = _network(shapes, way)
    if module is None:
        return None
    title = _title(module, way)
    guessed = () if card.architecture == title else (GUESSED.format(title),)
    return built(module, shapes, card, title, module.side or SIDE, guessed)


def _network(shapes: Shapes, way: str) -> PreActivationResNet | None:
    if len(kernel := shapes.get("conv1.weight", ())) != 4 or kernel[2:] != (3, 3) \
            or shapes.get("layer1.0.bn1.weight") != kernel[:1] \
            or "layer2.0.shortcut.0.weight" not in shapes \
            or "layer2.0.shortcut.1.weight" in shapes:  # norms come after, as in CIFAR ResNets
        return None
    head = "linear" if "linear.weight" in shapes else "fc"
    module = made(PreActivationResNet, shapes, head, way)
    return module if module and module.stages in STAGES else None


def _title(module: PreActivationResNet, way: str) -> str:
    stages = [getattr(module, f"layer{number}") for number in range(1, module.stages + 1)]
    layers = 2 + sum(block.depth for stage in stages for block in stage)
    return f"CIFAR pre-activation ResNet-{layers}" + (f" ({way})" if way else "")


FAMILY = Family("CIFAR pre-activation ResNet", build, proposals, near, steps_aside=1)
