"""The index of weights in several files, `model.safetensors.index.json` and the like."""

import json
import re
from pathlib import Path

from core.card import Card
from core.files.limits import current_limits
from core.model_formats import Format, LoadedModel

ENDING = ".index.json"
PART = re.compile(r"-(\d+)-of-(\d+)(?=\.[^.]*$)")  # which one of how many files, in a name
HEAD = 1 << 16  # bytes before which an index says what it is
MOST_INDEXES = 20  # of one folder that are looked into


def matches(path: Path) -> bool:
    """A JSON object with a "weight_map" near its start."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    return head.lstrip().startswith(b"{") and b'"weight_map"' in head


def load(path: Path, card: Card) -> LoadedModel:
    """The network whose weights the listed files hold, or the weights alone. Raises UserError."""
    from core.weight_files.shards import model_of_index

    return model_of_index(path, card)


def index_naming(part: Path) -> Path | None:
    """The index beside a file that names it as one of several; None where there is none."""
    name = json.dumps(part.name).encode()
    for index in sorted(part.parent.glob(f"*{ENDING}"))[:MOST_INDEXES]:
        if index.stat().st_size <= current_limits().header_bytes and name in index.read_bytes():
            return index
    return None


def whole_name(name: str) -> str:
    """`model.safetensors` for its index and for each of its parts; another name as it is."""
    return PART.sub("", name.removesuffix(ENDING))


FORMAT = Format("index of weights in several files", matches, load)
