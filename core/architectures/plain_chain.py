"""Plain chains of Linear layers, or of convolutions, norms and Linear layers, of any names.

What tensors do not say (activation, padding, strides, pooling, whether a norm comes before or after
the activation) is proposed: see chain_sizes and `proposals`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from core.architectures import Built, Family, Tensors
from core.architectures.activation_names import ACTIVATIONS, activation_in
from core.architectures.chain_hints import steps_of
from core.architectures.chain_layers import ChainLayers, Link, chain_layers
from core.architectures.chain_network import Arrangement, network
from core.architectures.chain_sizes import Plan, plans
from core.architectures.layers_from_shapes import ShapeError, same_shapes, shapes_of
from core.card import Card, InputSpec

SMALLEST_SIDE = 8  # of a picture: smaller ones are taken for numbers that are no picture
IMAGE = 24  # pixels, the smallest side of a picture that outputs are taken for
SURE = 8  # channels; the running means of fewer may all be positive by chance


@dataclass(frozen=True)
class Choices:
    """What may fill each gap, the likeliest first."""

    plans: tuple[Plan | None, ...]
    orders: tuple[tuple[bool, ...], ...]  # for each link, whether its norm comes last
    activations: tuple[str, ...]
    poolings: tuple[str, ...]

    def all(self) -> Iterator[Arrangement]:
        """Every choice with every other."""
        for plan, order, name, pooling in product(
                self.plans, self.orders, self.activations, self.poolings):
            yield Arrangement(name, order, plan, pooling)

    def around(self, centre: Arrangement) -> Iterator[Arrangement]:
        """The centre, then what differs from it in its plan, the order of its norms, or its
        activation and pooling."""
        yield centre
        yield from (replace(centre, plan=plan) for plan in self.plans)
        yield from (replace(centre, norm_last=order) for order in self.orders)
        yield from (replace(centre, activation=name, pooling=pooling)
                    for name, pooling in product(self.activations, self.poolings))


def build(tensors: Tensors, card: Card) -> Built | None:
    """The likeliest chain, or the one that the card names; None where it is no chain."""
    if (chain := _chain(tensors)) is None or (choices := _choices(chain, tensors, card)) is None:
        return None
    named, centre = _centre(chain, choices, card)
    others = len(_titled(chain, choices, centre)) - 1
    return _built(chain, centre, tensors, card, _notes(chain, centre, others, named))


def proposals(tensors: Tensors, card: Card) -> Iterator[Built]:
    """The likeliest chain or the one that the card names, then those that differ from it in one
    choice, each with its own `card.architecture`; that text in a model card chooses it."""
    if (chain := _chain(tensors)) is None or (choices := _choices(chain, tensors, card)) is None:
        return
    _, centre = _centre(chain, choices, card)
    unnamed = replace(card, architecture=None)
    for arrangement in _titled(chain, choices, centre).values():
        if built := _built(chain, arrangement, tensors, unnamed, ()):
            yield built


def _centre(chain: ChainLayers, choices: Choices, card: Card) -> tuple[bool, Arrangement]:
    """Whether the card names a chain, and that one or else the likeliest."""
    every = choices.all()
    likeliest = next(every)
    if card.architecture is None or card.architecture == title(chain, likeliest):
        return card.architecture is not None, likeliest
    named = next((one for one in every if title(chain, one) == card.architecture), None)
    return named is not None, named or likeliest


def _titled(chain: ChainLayers, choices: Choices, centre: Arrangement) -> dict[str, Arrangement]:
    """Arrangements around one, by what names them."""
    found: dict[str, Arrangement] = {}
    for arrangement in choices.around(centre):
        found.setdefault(title(chain, arrangement), arrangement)
    return found


def title(chain: ChainLayers, arrangement: Arrangement) -> str:
    """What names an arrangement in a card, such as "MLP 784-100-10 (ReLU)"."""
    widths = [str(link.layer.out) for link in chain.links]
    plan = arrangement.plan
    said = [] if plan is None else _said(plan, arrangement.pooling)
    if len(chain.links) > 1:
        said.append(arrangement.activation)
    if any(arrangement.norm_last):
        said.append("norm after activation")
    kind = "CNN" if plan else "MLP" if len(chain.links) > 1 else "Linear"
    inside = chain.links[0].layer.size[1]
    return f"{kind} {'-'.join([str(inside), *widths])}" + (f" ({', '.join(said)})" if said else "")


def _said(plan: Plan, pooling: str) -> list[str]:
    size = "any size" if plan.size is None or plan.average else "{} × {}".format(*plan.size)
    paddings = [max(padding) for padding in plan.paddings]
    said = [size, f"padding {_numbers(paddings)}"]
    if set(plan.strides) != {1}:
        said.append(f"stride {_numbers(plan.strides)}")
    after = _numbers([number + 1 for number in plan.pools])
    said.append(f"{pooling}-pooling {plan.window} after {after}" if plan.pools else "no pooling")
    if plan.average:
        said.append("averaged to {} × {}".format(*plan.average))
    return said


def _numbers(numbers: Any) -> str:
    """Numbers as a text, once where they are all the same."""
    listed = list(numbers)
    alike = len(set(listed)) == 1
    return str(listed[0]) if alike else "-".join(map(str, listed))


def _chain(tensors: Tensors) -> ChainLayers | None:
    try:
        return chain_layers(shapes_of(tensors))
    except ShapeError:
        return None


def _choices(chain: ChainLayers, tensors: Tensors, card: Card) -> Choices | None:
    """None where no usual size of picture leads to the first Linear layer."""
    first = activation_in(card.architecture) or "ReLU"
    order = tuple(_norm_last(link, tensors) for link in chain.links)
    other = tuple(bool(link.norm) and not last
                  for link, last in zip(chain.links, order, strict=True))
    plans = tuple(_plans(chain, card.input)) if chain.convolutions else (None,)
    names = (first, *(name for name in ACTIVATIONS if name != first))
    pooled = any(plan and plan.pools for plan in plans)
    return Choices(
        plans, (order, other) if any(link.norm for link in chain.links[:-1]) else (order,),
        names if len(chain.links) > 1 else names[:1],
        ("max", "average") if pooled else ("max",)) if plans else None


def _norm_last(link: Link, tensors: Tensors) -> bool:
    """Whether a link's norm follows its activation: a Sequential has a free place between, or what
    it saw in training was above 0 in every channel, as after ReLU."""
    if link.norm is None:
        return False
    if link.layer.index and link.norm.index and link.layer.index[0] == link.norm.index[0]:
        return link.norm.index[1] - link.layer.index[1] == 2
    means = tensors.get(f"{link.norm.name}.running_mean")
    seen = means is not None and not means.is_meta and len(means) >= SURE
    return seen and bool((means > 0).all())


def _plans(chain: ChainLayers, spec: InputSpec) -> list[Plan]:
    links = chain.convolutions
    first = chain.linears[0].layer if chain.linears else None
    channels = links[0].layer.size[1]
    return plans(steps_of(chain), channels, first and first.size[1], spec)


def _built(chain: ChainLayers, arrangement: Arrangement, tensors: Tensors, card: Card,
           notes: tuple[str, ...]) -> Built | None:
    module = network(chain, arrangement)
    if not same_shapes(module, shapes_of(tensors)):
        return None
    said = card.infer(architecture=title(chain, arrangement), output="logits",
                      **_input_of(chain, arrangement.plan, card.input))
    if arrangement.plan is None and said.input.height is None:
        inside = chain.links[0].layer.size[1]
        notes += (f"The input is {inside:,} numbers, which is no usual size of picture; give "
                  "channels, height and width in the card.",)
    return Built(module, said, notes, exact=False)


def _input_of(chain: ChainLayers, plan: Plan | None, spec: InputSpec) -> dict[str, Any]:
    """Channels, height and width as far as they are decided."""
    inside = chain.links[0].layer.size[1]
    if plan:
        height, width = plan.size if plan.size and not plan.average else (None, None)
        return {"input_channels": inside, "input_height": height, "input_width": width}
    if spec.height and spec.width:
        return {"input_channels": max(1, inside // (spec.height * spec.width))}
    for channels in (1, 3):
        side = math.isqrt(inside // channels)
        if side >= SMALLEST_SIDE and channels * side * side == inside:
            return {"input_channels": channels, "input_height": side, "input_width": side}
    return {}


def _notes(chain: ChainLayers, arrangement: Arrangement, others: int,
           named: bool) -> tuple[str, ...]:
    how = "as the card says" if named else "inferred from names and shapes"
    notes = [f"The architecture is {how}: {title(chain, arrangement)}."]
    if len(chain.links) > 1:
        open_keys = "the activation" if arrangement.plan is None else \
            "activation, padding, strides, pooling and their order"
        notes.append(f"The tensors do not say {open_keys}; {others} other arrangements fit. Name "
                     'another in the card\'s "architecture".')
    if side := _side_of_outputs(chain):
        outputs = chain.links[-1].layer.out
        pixels = f"{side} × {side}" if side * side == outputs else f"3 × {side} × {side}"
        notes.append(f"It ends in {outputs:,} outputs = {pixels}, which looks like an image: this "
                     "may be a generator or an autoencoder, not a classifier. Then its answers "
                     "mean nothing; its layers can be looked at.")
    if any(link.norm and link.norm.kind == "norm" for link in chain.convolutions):
        notes.append("A norm without running statistics after a convolution is taken for GroupNorm "
                     "with the usual number of groups.")
    return tuple(notes)


def _side_of_outputs(chain: ChainLayers) -> int:
    """Of the picture that the outputs of Linear layers, more than any layer inside has, may be;
    0 where they look like none."""
    outputs = chain.links[-1].layer.out
    if chain.convolutions or len(chain.links) < 2 or \
            outputs <= max(link.layer.out for link in chain.links[:-1]):
        return 0
    sides = (math.isqrt(outputs // channels) for channels in (1, 3) if outputs % channels == 0)
    return next((side for side in sides if side >= IMAGE and outputs in (side**2, 3 * side**2)), 0)


FAMILY = Family("Plain chain", build, proposals, steps_aside=2)
