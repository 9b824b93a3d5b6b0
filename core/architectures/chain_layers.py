"""Reads a chain of layers, their order and their norms, from the names and shapes of tensors."""

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from core.architectures import Shapes
from core.architectures.layers_from_shapes import ShapeError

MOST_LAYERS = 64
LARGEST_WIDTH = 1 << 24
NORM = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
# Names that say that the layers are no plain chain, whatever their shapes.
NOT_A_CHAIN = re.compile(
    r"(^|[._])(res|skip|shortcut|downsample|identity|branch|aux|attn|attention|query|decoder|dec"
    r"|deconv|conv_?t|upconv|up|lstm|gru|rnn|embed|encoder\.layers?|generator|discriminator|critic"
    r"|actor|policy|net_?[gGdD]|[GD]|mu|log_?var|q_?net)"
    r"(\d|[._]|net|idual|block|layer|sample|ding|$)|\.\d+\.(conv|bn|norm|fc)_?\d+(\.|$)|\d{10}")


@dataclass(frozen=True)
class Part:
    """One layer with tensors. kind: "conv", "linear", "batch norm", "norm" or "prelu"; size: of
    its weight, of the running mean where a norm has no weight. place: in the order of the file."""

    name: str
    kind: str
    size: torch.Size
    tensors: frozenset[str]
    place: int

    @property
    def out(self) -> int:
        return self.size[0]

    @property
    def index(self) -> tuple[str, int] | None:
        """The container and the number in it, of a layer of a Sequential."""
        parent, _, last = self.name.rpartition(".")
        return (parent, int(last)) if last.isdecimal() else None


@dataclass(frozen=True)
class Link:
    """A convolution or Linear, and what with tensors comes between it and the next."""

    layer: Part
    groups: int = 1
    norm: Part | None = None
    prelu: Part | None = None


@dataclass(frozen=True)
class ChainLayers:
    """Convolutions first, then Linear layers. first_norm: before all; flat_norm: between the
    convolutions and the first Linear layer, over all numbers that it sees."""

    links: tuple[Link, ...]
    first_norm: Part | None = None
    flat_norm: Part | None = None
    shared_prelu: Part | None = None

    @property
    def convolutions(self) -> tuple[Link, ...]:
        return tuple(link for link in self.links if link.layer.kind == "conv")

    @property
    def linears(self) -> tuple[Link, ...]:
        return tuple(link for link in self.links if link.layer.kind == "linear")


def chain_layers(shapes: Shapes) -> ChainLayers:
    """The chain with exactly these tensors. Raises ShapeError where they are none."""
    parts = _parts(shapes)
    links = _linked([part for part in parts if part.kind in ("conv", "linear")])
    chain = ChainLayers(tuple(links))
    for part in (part for part in parts if part.kind not in ("conv", "linear")):
        chain = _placed(chain, part)
    first, last = links[0].layer, links[-1].layer
    if last.kind == "conv" and (len(links) < 2 or last.size[2:] != (1, 1)):
        raise ShapeError("ends in a convolution that is no classifier")
    if len(links) > 1 and last.kind == first.kind and last.out == first.size[1]:
        raise ShapeError("gives back as many numbers as it gets, as autoencoders do")
    return chain


def _parts(shapes: Shapes) -> list[Part]:
    """The layers in the order of the file. Raises ShapeError where one is of no known kind."""
    layers: dict[str, dict[str, torch.Size]] = defaultdict(dict)
    for name, size in shapes.items():
        layer, _, tensor = name.rpartition(".")
        layers[layer][tensor] = size
    if len(layers) > 3 * MOST_LAYERS or any(NOT_A_CHAIN.search(name) for name in layers):
        raise ShapeError("no chain")
    return [_part(name, sizes, place) for place, (name, sizes) in enumerate(layers.items())]


def _part(name: str, sizes: dict[str, torch.Size], place: int) -> Part:
    size = sizes.get("weight", sizes.get("running_mean"))
    if not name or size is None or not sizes.keys() <= NORM or \
            not all(0 < side <= LARGEST_WIDTH for side in size):
        raise ShapeError(name)
    kind = {4: "conv", 2: "linear", 1: "norm" if "bias" in sizes else "prelu"}.get(len(size))
    if "running_mean" in sizes:
        kind = "batch norm" if len(size) == 1 else None
    elif not sizes.keys() <= {"weight", "bias"}:
        kind = None
    if kind is None or sizes.get("bias", size[:1]) != size[:1]:
        raise ShapeError(name)
    return Part(name, kind, size, frozenset(sizes), place)


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts conv2 before conv10."""
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece)
            for piece in re.split(r"(\d+)", name) if piece]


def _linked(parts: list[Part]) -> list[Link]:
    """The weights in the order in which each can follow the one before: that of the file, that of
    the names, or, as a last resort, whichever fits. Raises ShapeError where none does."""
    if not parts or len(parts) > MOST_LAYERS:
        raise ShapeError("no weights, or too many")
    parts = sorted(parts, key=lambda part: part.kind)  # "conv" before "linear", else as they were
    by_name = sorted(parts, key=lambda part: (part.kind, natural(part.name)))
    twins = any(a.size == b.size and a.out != a.size[1] for a, b in pairwise(by_name))
    guessed = () if twins else (_from(first, by_name) for first in by_name)  # twins: side by side
    for order in (parts, by_name, *guessed):
        if links := _in_order(order):
            return links
    raise ShapeError("no order in which the layers fit each other")


def _in_order(parts: list[Part]) -> list[Link] | None:
    links: list[Link] = []
    for part in parts:
        groups = _groups(links[-1].layer if links else None, part)
        if not groups:
            return None
        links.append(Link(part, groups))
    return links


def _from(first: Part, parts: list[Part]) -> list[Part]:
    """Parts from `first` on, each followed by the first of those left that fits it."""
    order, left = [first], [part for part in parts if part is not first]
    while left:
        following = next((part for part in left if _groups(order[-1], part)), left[0])
        order.append(following)
        left.remove(following)
    return order


def _groups(before: Part | None, part: Part) -> int:
    """Groups with which a layer follows another; 0 where it cannot."""
    if before is None:
        return 1
    if before.kind == "linear" or part.kind == "linear":
        fits = part.kind == "linear" and (
            part.size[1] == before.out
            or (before.kind == "conv" and part.size[1] % before.out == 0))
        return int(fits)
    if part.size[1] == before.out:
        return 1
    groups = before.out // part.size[1]
    exact = groups * part.size[1] == before.out and part.out % groups == 0
    return groups if exact and groups in (2, before.out) else 0


def _placed(chain: ChainLayers, part: Part) -> ChainLayers:
    """The chain with a norm or PReLU in the free place that suits it best, earlier ones first."""
    if part.kind == "prelu" and part.size == (1,) and chain.shared_prelu is None and \
            part.index is None and not re.search(r"\d$", part.name):
        return replace(chain, shared_prelu=part)
    slot = "prelu" if part.kind == "prelu" else "norm"
    suits = [(_strangeness(link.layer, part), number) for number, link in enumerate(chain.links)
             if getattr(link, slot) is None and part.out in ((link.layer.out, 1)
                                                             if slot == "prelu"
                                                             else (link.layer.out,))]
    if suits:
        number = min(suits)[1]
        links = list(chain.links)
        links[number] = replace(links[number], **{slot: part})
        return replace(chain, links=tuple(links))
    flat = chain.linears[0].layer.size[1] if chain.convolutions and chain.linears else None
    if slot == "norm" and part.out == flat and chain.flat_norm is None:
        return replace(chain, flat_norm=part)
    if slot == "norm" and part.out == chain.links[0].layer.size[1] and chain.first_norm is None:
        return replace(chain, first_norm=part)
    raise ShapeError(part.name)


def _strangeness(layer: Part, part: Part) -> float:
    """How little speaks for a norm right after a layer: places in a Sequential, then numbers and
    words in the names, then the order of the file."""
    if layer.index and part.index and layer.index[0] == part.index[0]:
        distance = part.index[1] - layer.index[1]
        return distance / 10 if distance > 0 else 100 - distance
    own, other = (re.findall(r"\d+", piece.name) for piece in (layer, part))
    score = 10.0 if own != other else 0.0
    if own and other and own[:-1] == other[:-1] and len(own) > 1:
        score -= 2  # layer2.0 and layer2.1
    words = {"conv": ("conv",), "linear": ("fc", "lin", "dense", "classifier", "head")}
    if any(word in part.name for kind, known in words.items() if kind != layer.kind
           for word in known):
        score += 20
    if layer.name.rpartition(".")[2] in part.name:
        score -= 5
    return score + (0 if part.place > layer.place else 2) + abs(part.place - layer.place - 1) / 100
