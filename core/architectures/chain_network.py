"""A chain of layers as a network: all that runs, in order, under names that tell its place."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import nn

from core.architectures.activation_names import ACTIVATIONS
from core.architectures.chain_layers import ChainLayers, Link, Part
from core.architectures.chain_sizes import Plan


@dataclass(frozen=True)
class Arrangement:
    """What the tensors of a chain leave open. plan: of its convolutions. norm_last: for each link,
    whether its norm comes after its activation. pooling: "max" or "average"."""

    activation: str
    norm_last: tuple[bool, ...]
    plan: Plan | None = None
    pooling: str = "max"


class Chain(nn.Module):
    """Layers one after another, in an order that is not that of their containers, or repeated."""

    def __init__(self, layers: list[tuple[str, nn.Module]]) -> None:
        super().__init__()
        self.order = [name for name, _ in layers]
        for name, layer in layers:
            parent: nn.Module = self
            *containers, last = name.split(".")
            for container in containers:
                if container not in parent._modules:
                    parent.add_module(container, nn.Module())
                parent = parent._modules[container]
            parent.add_module(last, layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name in self.order:
            x = self.get_submodule(name)(x)
        return x


def network(chain: ChainLayers, arrangement: Arrangement) -> nn.Module:
    """The chain on the meta device: (N, channels, H, W) to logits (N, classes)."""
    layers = list(_layers(chain, arrangement))
    return _nested([(name.split("."), layer) for name, layer in layers]) or Chain(layers)


def _nested(layers: list[tuple[list[str], nn.Module]]) -> nn.Sequential | None:
    """Sequential containers as the names have them; None where one would run in two pieces."""
    whole = nn.Sequential()
    for name, group in groupby(layers, key=lambda layer: layer[0][0]):
        inside = [(path[1:], layer) for path, layer in group]
        if name in whole._modules:
            return None
        if inside[0][0]:
            made = _nested(inside) if all(path for path, _ in inside) else None
        else:
            made = inside[0][1] if len(inside) == 1 else None
        if made is None:
            return None
        whole.add_module(name, made)
    return whole


def _layers(chain: ChainLayers, arrangement: Arrangement) -> Iterator[tuple[str, nn.Module]]:
    flat = not chain.convolutions
    names = _Names(chain)
    if flat:
        yield names.before(chain.links[0].layer, "flatten"), nn.Flatten()
    if chain.first_norm:
        yield chain.first_norm.name, _norm(chain.first_norm, flat)
    for number, link in enumerate(chain.links):
        yield link.layer.name, _weights(link, arrangement, number)
        names.at(link, chain.links[number + 1] if number + 1 < len(chain.links) else None)
        last = number + 1 == len(chain.links)
        yield from _between(chain, link, arrangement, number, names, last)
        if not flat and number + 1 == len(chain.convolutions):
            yield from _after_convolutions(chain, arrangement.plan, names)


def _between(chain: ChainLayers, link: Link, arrangement: Arrangement, number: int,
             names: "_Names", last: bool) -> Iterator[tuple[str, nn.Module]]:
    """Norm, activation and pooling after one convolution or Linear."""
    steps = []
    if link.norm:
        steps.append((link.norm.name, _norm(link.norm, link.layer.kind == "linear")))
    if not last:
        activation = link.prelu or chain.shared_prelu
        if activation:
            steps.append((activation.name, nn.PReLU(activation.out, device="meta")))
        else:
            steps.append((names.new("activation"), ACTIVATIONS[arrangement.activation]()))
    yield from reversed(steps) if arrangement.norm_last[number] else steps
    if arrangement.plan and number in arrangement.plan.pools:
        window = arrangement.plan.window
        kind = nn.MaxPool2d if arrangement.pooling == "max" else nn.AvgPool2d
        yield names.new("pool"), kind(window, stride=2)


def _after_convolutions(chain: ChainLayers, plan: Plan,
                        names: "_Names") -> Iterator[tuple[str, nn.Module]]:
    if plan.average:
        yield names.new("average"), nn.AdaptiveAvgPool2d(plan.average)
    yield names.new("flatten", shared=False), nn.Flatten()
    if chain.flat_norm:
        yield chain.flat_norm.name, _norm(chain.flat_norm, flat=True)


def _weights(link: Link, arrangement: Arrangement, number: int) -> nn.Module:
    part = link.layer
    bias = "bias" in part.tensors
    if part.kind == "linear":
        return nn.Linear(part.size[1], part.out, bias=bias, device="meta")
    plan = arrangement.plan
    return nn.Conv2d(part.size[1] * link.groups, part.out, tuple(part.size[2:]),
                     plan.strides[number], plan.paddings[number], groups=link.groups, bias=bias,
                     device="meta")


def _norm(part: Part, flat: bool) -> nn.Module:
    if part.kind == "batch norm":
        kind = nn.BatchNorm1d if flat else nn.BatchNorm2d
        return kind(part.out, affine="weight" in part.tensors, device="meta")
    if flat:
        return nn.LayerNorm(part.out, device="meta")
    return nn.GroupNorm(groups_of(part.out), part.out, device="meta")


def groups_of(width: int) -> int:
    """Groups of a GroupNorm, which its tensors do not tell."""
    return next((groups for groups in (32, 8, 4, 2) if width % groups == 0 and width > groups), 1)


class _Names:
    """Names for layers without tensors: numbers that a Sequential leaves free, else words."""

    def __init__(self, chain: ChainLayers) -> None:
        parts = [part for link in chain.links for part in (link.layer, link.norm, link.prelu)]
        parts += [chain.first_norm, chain.flat_norm, chain.shared_prelu]
        self.taken = {part.name for part in parts if part}
        self.containers = {name.rpartition(".")[0] for name in self.taken} | \
            {name.split(".")[0] for name in self.taken if "." in name}
        self.free: list[str] = []
        self.stem = ""

    def before(self, layer: Part, what: str) -> str:
        """For what runs before the first layer."""
        if layer.index and layer.index[1] == 1:
            return self._unused(layer.name[:-1] + "0")
        return self._unused(what)

    def at(self, link: Link, following: Link | None) -> None:
        """Names asked for from now on lie between these two."""
        self.stem, self.free = link.layer.name, free_places(link, following)

    def new(self, what: str, shared: bool = True) -> str:
        """A free number, or `what` after the name of the layer that it follows."""
        while self.free:
            if (name := self.free.pop(0)) not in self.taken:
                return self._unused(name)
        stem = self.stem if shared else ""
        return self._unused(f"{stem}_{what}" if stem else what)

    def _unused(self, name: str) -> str:
        while name in self.taken or name in self.containers:
            name += "_"
        self.taken.add(name)
        return name


def free_places(link: Link, following: Link | None) -> list[str]:
    """Names of the numbers that a Sequential leaves between two links; after its last, more."""
    parts = [part for part in (link.layer, link.norm, link.prelu) if part]
    parent = link.layer.index and link.layer.index[0]
    own = [part.index[1] for part in parts if part.index and part.index[0] == parent]
    if parent is None or len(own) < len(parts):
        return []
    same = following and following.layer.index and following.layer.index[0] == parent
    end = following.layer.index[1] if same else max(own) + 5
    stem = f"{parent}." if parent else ""
    return [f"{stem}{number}" for number in range(min(own) + 1, end) if number not in own]
