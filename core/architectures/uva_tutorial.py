"""What the networks of the UvA deep-learning course's tutorial 5 share: pictures of CIFAR-10, and
an activation that their tensors do not tell.

https://uvadlc-notebooks.readthedocs.io/en/latest/tutorial_notebooks/tutorial5/Inception_ResNet_DenseNet.html
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from torch import nn

from core.architectures import Built, Family, Shapes, Tensors
from core.architectures.activation_names import ACTIVATIONS, activation_in
from core.architectures.layers_from_shapes import (
    LikeNeighbours,
    ShapeError,
    same_shapes,
    shapes_of,
)
from core.card import Card

SIDE = 32  # of CIFAR-10's pictures
ACTIVATION_GUESSED = ("The activation is not in the tensors: {} is taken, the tutorial's own "
                      "choice. Name another in the card's architecture, such as "
                      '"{} (Tanh)".')

Network = Callable[[Shapes, str], nn.Module]  # (shapes, activation); may raise ShapeError


def tutorial_family(title: str, network: Network, markers: set[str]) -> Family:
    """The family of one network; `markers` are names that all its state dicts have."""

    def build(tensors: Tensors, card: Card) -> Built | None:
        named = activation_in(card.architecture)
        module = _network(network, markers, shapes_of(tensors), named or "ReLU")
        if module is None or not same_shapes(module, shapes_of(tensors)):
            return None
        note = ACTIVATION_GUESSED.format("ReLU", module.title)
        said = _card(module, named or "ReLU", card)
        return Built(module, said, () if named else (note,), exact=named is not None)

    def proposals(tensors: Tensors, card: Card) -> Iterator[Built]:
        unnamed = replace(card, architecture=None)
        for activation in ACTIVATIONS:
            module = _network(network, markers, shapes_of(tensors), activation)
            if module is not None and same_shapes(module, shapes_of(tensors)):
                yield Built(module, _card(module, activation, unnamed), exact=False)

    def near(shapes: Shapes, card: Card) -> Iterator[tuple[str, Shapes]]:
        module = _network(network, markers, LikeNeighbours(shapes), "ReLU")
        if module is not None:
            yield module.title, shapes_of(module.state_dict())

    return Family(title, build, proposals, near)


def _network(network: Network, markers: set[str], shapes: Shapes,
             activation: str) -> nn.Module | None:
    if not markers <= shapes.keys():
        return None
    try:
        return network(shapes, activation)
    except ShapeError:
        return None


def _card(module: nn.Module, activation: str, card: Card) -> Card:
    return card.infer(
        architecture=f"{module.title} ({activation})", input_height=SIDE, input_width=SIDE,
        input_channels=module.input_net[0].in_channels, output="logits")
