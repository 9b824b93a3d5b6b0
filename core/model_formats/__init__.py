"""Model files: one file a format; whatever the format, what comes out is a torch module."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from core.card import Card

if TYPE_CHECKING:
    from torch import nn  # found and told apart without torch; only `load` needs it


@dataclass(frozen=True)
class LoadedModel:
    """A model as it was read. `module` is in eval mode, on the CPU, its parameters frozen.

    card: what the file and the card beside it say, filled with what could be inferred.
    notes: the loading report, one sentence each: read, skipped, renamed, inferred, odd.
    """

    module: "nn.Module"
    card: Card
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Format:
    """One kind of model file.

    matches: from the first bytes and the members of an archive, never from the extension.
    load: (path, card) -> LoadedModel; runs nothing that the file holds. Raises UserError.
    """

    title: str
    matches: Callable[[Path], bool]
    load: Callable[[Path, Card], LoadedModel]
