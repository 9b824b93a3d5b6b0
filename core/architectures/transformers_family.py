"""What the families of Hugging Face's names share: names and shapes brought over, then a network
built, compared tensor by tensor and run without numbers."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from core.architectures import Built, Family, Shapes, Tensors
from core.architectures.layers_from_shapes import ShapeError, runs, shapes_of
from core.architectures.transformers_names import Rules, fits, joined_shapes, placed, weights_of
from core.card import Card
from core.cards.transformers_config import settings_of

TORCHVISIONS = ("The tensors have the names of Hugging Face's transformers; layers are shown under "
                "torchvision's, whose network it is")


@dataclass(frozen=True)
class Network:
    """A network on the meta device. notes, exact: see Built."""

    module: nn.Module
    architecture: str
    channels: int
    side: int
    notes: tuple[str, ...]
    exact: bool = True


@dataclass(frozen=True)
class Naming:
    """How transformers names the tensors of one kind of network.

    classes: transformers' own, as a config.json has them. marks: tensors of which it has one.
    in_place: from a name that the rules give to the network's, where rules do not suffice.
    key_bias: whether the keys of attention have one where query and value do.
    network: (shapes under the network's names, what the config says of it, the card) -> the
    network. Raises ShapeError where there is none.
    """

    title: str
    classes: tuple[str, ...]
    marks: tuple[str, ...]
    rules: Rules
    network: Callable[[Shapes, dict[str, str], Card], Network]
    in_place: Callable[[str], str] = str
    key_bias: bool = True

    def family(self) -> Family:
        return Family(self.title, self.build)

    def build(self, tensors: Tensors, card: Card) -> Built | None:
        """The network whose names and shapes these are, or None."""
        if not any(mark in tensors for mark in self.marks):
            return None
        try:
            return self._built(tensors, card)
        except ShapeError:
            return None

    def _built(self, tensors: Tensors, card: Card) -> Built | None:
        places = {self.in_place(new): old
                  for new, old in placed(tensors, self.rules, self.key_bias).items()}
        shapes = joined_shapes(shapes_of(tensors), places)
        made = self.network(shapes, settings_of(card.architecture, self.classes), card)
        if not fits(made.module, shapes) or not runs(made.module, made.channels, made.side):
            return None
        known = card.infer(architecture=made.architecture, input_channels=made.channels,
                           input_height=made.side, input_width=made.side, output="logits")
        return Built(made.module, known, made.notes, made.exact, weights_of(made.module, places))
