"""Plain chains of Linear layers, or of convolutions, norms and Linear layers, of any names.

What tensors do not say (activation, padding, strides, pooling, whether a norm comes before or after
the activation) is proposed: see chain_sizes and `proposals`.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import torch

from core.architectures import Built, Family
from core.architectures.activation_names import ACTIVATIONS, activation_in
from core.architectures.chain_hints import steps_of
from core.architectures.chain_layers import ChainLayers, Link, chain_layers
from core.architectures.chain_network import Arrangement, network
from core.architectures.chain_sizes import Plan, plans
from core.architectures.layers_from_shapes import ShapeError, same_shapes, shapes_of
from core.card import Card, InputSpec
from core.plugins import discover

SMALLEST_SIDE = 8  # of a picture: smaller ones are taken for numbers that are no picture
SURE = 8  # channels; the running means of fewer may all be positive by chance

Tensors = Mapping[str, torch.Tensor]


def build(tensors: Tensors, card: Card) -> Built | None:
    """The likeliest chain, or the one that the card names; None where no chain, or where another
    family knows the tensors."""
    if (chain := _chain(tensors)) is None or _known_elsewhere(tensors, card):
        return None
    arrangements = list(_arrangements(chain, tensors, card))
    if not arrangements:
        return None
    wanted = [arrangement for arrangement in arrangements
              if title(chain, arrangement) == card.architecture]
    chosen = wanted[0] if wanted else arrangements[0]
    return _built(chain, chosen, tensors, card, len(arrangements) - 1)


def proposals(tensors: Tensors, card: Card) -> list[Built]:
    """Every chain that these tensors may be, the likeliest first, each with its own
    `card.architecture`; that text in a model card chooses it."""
    if (chain := _chain(tensors)) is None or _known_elsewhere(tensors, card):
        return []
    arrangements = list(_arrangements(chain, tensors, card))
    unnamed = replace(card, architecture=None)
    made = [_built(chain, arrangement, tensors, unnamed, len(arrangements) - 1)
            for arrangement in arrangements]
    return [built for built in made if built]


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


def _known_elsewhere(tensors: Tensors, card: Card) -> bool:
    """Whether a family that knows more than shapes has these tensors: a VGG is a chain too."""
    families = discover("core.architectures", "FAMILY").values()
    return any(family.build(tensors, card) for family in families if family is not FAMILY)


def _arrangements(chain: ChainLayers, tensors: Tensors, card: Card) -> Iterator[Arrangement]:
    """What may fill the gaps, the likeliest first: other plans, then norms the other way round,
    then average pooling, then other activations."""
    named = activation_in(card.architecture)
    activation = named or "ReLU"
    norm_last = tuple(_norm_last(link, tensors) for link in chain.links)
    known = _plans(chain, card.input) if chain.convolutions else [None]
    if not known:
        return
    for plan in known:
        yield Arrangement(activation, norm_last, plan)
    if any(link.norm for link in chain.links[:-1]):
        other = tuple(bool(link.norm) and not last
                      for link, last in zip(chain.links, norm_last, strict=True))
        yield Arrangement(activation, other, known[0])
    if len(chain.links) == 1:
        return
    poolings = ("max", "average") if known[0] and known[0].pools else ("max",)
    names = (activation, *(name for name in ACTIVATIONS if name != activation))
    for name, pooling in list(product(names, poolings))[1:]:
        yield Arrangement(name, norm_last, known[0], pooling)


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
           others: int) -> Built | None:
    module = network(chain, arrangement)
    if not same_shapes(module, shapes_of(tensors)):
        return None
    said = card.infer(architecture=title(chain, arrangement), output="logits",
                      **_input_of(chain, arrangement.plan, card.input))
    return Built(module, said, _notes(chain, arrangement, said, others), exact=False)


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


def _notes(chain: ChainLayers, arrangement: Arrangement, said: Card,
           others: int) -> tuple[str, ...]:
    notes = [f"The architecture is inferred from names and shapes: {title(chain, arrangement)}."]
    if len(chain.links) > 1:
        open_keys = "the activation" if arrangement.plan is None else \
            "activation, padding, strides, pooling and their order"
        notes.append(f"The tensors do not say {open_keys}; {others} other arrangements fit. Name "
                     'another in the card\'s "architecture".')
    if any(link.norm and link.norm.kind == "norm" for link in chain.convolutions):
        notes.append("A norm without running statistics after a convolution is taken for GroupNorm "
                     "with the usual number of groups.")
    if arrangement.plan is None and said.input.height is None:
        inside = chain.links[0].layer.size[1]
        notes.append(f"The input is {inside:,} numbers, which is no usual size of picture; give "
                     "channels, height and width in the card.")
    return tuple(notes)


FAMILY = Family("Plain chain", build)
