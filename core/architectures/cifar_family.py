"""What the families of networks for CIFAR's small pictures share."""

from collections.abc import Callable
from typing import TypeVar

from torch import nn

from core.architectures import Built, Shapes
from core.architectures.layers_from_shapes import ShapeError, runs, same_shapes
from core.card import Card

SIDE = 32  # of CIFAR's pictures
Network = TypeVar("Network", bound=nn.Module)


def made(kind: Callable[..., Network], *arguments: object) -> Network | None:
    """A network of this kind; None where the shapes have none."""
    try:
        return kind(*arguments)
    except ShapeError:
        return None


def built(module: nn.Module, shapes: Shapes, card: Card, title: str, side: int = SIDE,
          guessed: tuple[str, ...] = ()) -> Built | None:
    """A network that starts with `conv1`, where it has exactly these tensors and runs."""
    channels = module.conv1.in_channels
    if not same_shapes(module, shapes) or not runs(module, channels, side):
        return None
    known = card.infer(architecture=title, output="logits", input_channels=channels,
                       input_height=side, input_width=side)
    return Built(module, known, guessed, exact=not guessed)
