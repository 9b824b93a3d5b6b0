"""The index of weights in several files, `model.safetensors.index.json` and the like."""

from pathlib import Path

from core.card import Card
from core.model_formats import Format, LoadedModel

HEAD = 1 << 16  # bytes before which an index says what it is


def matches(path: Path) -> bool:
    """A JSON object with a "weight_map" near its start."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    return head.lstrip().startswith(b"{") and b'"weight_map"' in head


def load(path: Path, card: Card) -> LoadedModel:
    """The network whose weights the listed files hold, or the weights alone. Raises UserError."""
    from core.weight_files.shards import model_of_index

    return model_of_index(path, card)


FORMAT = Format("index of weights in several files", matches, load)
