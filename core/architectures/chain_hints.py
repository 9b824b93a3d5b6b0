"""What the names of a chain's layers say of the pooling between them."""

import re

from core.architectures.chain_layers import ChainLayers, Link
from core.architectures.chain_network import free_places
from core.architectures.chain_sizes import Step


def steps_of(chain: ChainLayers) -> list[Step]:
    """The convolutions, with what their names say of pooling after each."""
    links = chain.links
    pairs = [(link, links[n + 1] if n + 1 < len(links) else None)
             for n, link in enumerate(chain.convolutions)]
    skips = [following is not None and _skips_a_number(link, following)
             for link, following in pairs]
    rooms = [_room(link, following) for link, following in pairs]
    places = any(free_places(link, following) for link, following in pairs
                 if following and _container(link) == _container(following))
    steps = []
    for (link, following), skip, room in zip(pairs, skips, rooms, strict=True):
        if room is not None and places:
            pooled = (1.5, 0.0) if room else (0.0, 2.5)
        elif any(skips):
            pooled = (1.0, 0.0) if skip else (0.0, 0.5)
        else:
            apart = following and _container(link) != _container(following)
            pooled = (0.3, 0.0) if apart else (0.0, 0.0)
        steps.append(Step(tuple(link.layer.size[2:]), link.layer.out, pooled))
    return steps


def _container(link: Link) -> str:
    return link.layer.name.rpartition(".")[0]


def _skips_a_number(link: Link, following: Link) -> bool:
    """conv2 before conv4: the third was a layer without weights."""
    before, after = (re.fullmatch(r"(.*?)(\d+)", piece.layer.name) for piece in (link, following))
    alike = before and after and before[1] == after[1] and link.layer.kind == following.layer.kind
    return bool(alike) and link.layer.index is None and int(after[2]) > int(before[2]) + 1


def _room(link: Link, following: Link | None) -> bool | None:
    """Whether a Sequential leaves a place for pooling beside activation and flattening; None where
    it does not tell."""
    if following is None or not (link.layer.index and following.layer.index) \
            or link.layer.index[0] != following.layer.index[0]:
        return None
    needed = 1 + (following.layer.kind == "linear") - (link.prelu is not None)
    return len(free_places(link, following)) > needed
