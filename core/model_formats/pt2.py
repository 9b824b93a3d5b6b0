"""Networks that torch.export wrote (.pt2), of every layout since torch 2.1. No code runs.

An archive of JSON and raw tensors: models/NAME.json is the graph, data/weights and data/constants
hold its tensors. Older ones keep tensors in torch.save archives inside, the oldest lie flat.
"""

import re
from pathlib import Path

from core.card import Card
from core.dataset_files.archives import Archive
from core.errors import UserError
from core.files.text_of_files import shown
from core.model_formats import Format, LoadedModel

FLAT = "serialized_exported_program.json"
AGAIN = "Export it again with torch.export.save, or save its state dict."
DAMAGE = (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError)


def matches(path: Path) -> bool:
    """Whether the file is a zip with an exported graph in it, or begins as one."""
    with path.open("rb") as file:
        start = file.read(1 << 16)
    if not start.startswith(b"PK\x03\x04"):
        return False
    try:
        with Archive(path, path.name) as archive:
            if FLAT in archive or model_name(archive) is not None:
                return True
    except UserError:
        pass  # damaged, which `load` says
    return b"/data/weights/weight_" in start or FLAT.encode() in start  # as its first members tell


def load(path: Path, card: Card) -> LoadedModel:
    """The exported network as a module whose layers have their own names."""
    from core.graph.export_network import network_of

    try:
        with Archive(path, path.name) as archive:
            return network_of(archive, model_name(archive), card)
    except DAMAGE as error:
        raise UserError(f"{path.name} is not a readable export, it may be damaged: "
                        f"{type(error).__name__} {shown(error, 100)}. {AGAIN}") from error
    except UserError as error:
        if str(error).startswith(path.name):
            raise
        raise UserError(f"{path.name}: {error}") from error


def model_name(archive: Archive) -> str | None:
    """The model of the archive, `model` where there are several."""
    names = [found[1] for name in archive.names if (found := re.match(r"models/(.+)\.json$", name))]
    return "model" if "model" in names else next(iter(names), None)


FORMAT = Format("torch.export (.pt2)", matches, load)
