"""Keras: a zip (.keras) or HDF5 (.h5). It is recognised, and not read yet."""

import mmap
from pathlib import Path
from typing import NoReturn

from core.archives import Archive, member_names
from core.card import Card
from core.errors import UserError
from core.model_formats import Format

HDF5 = b"\x89HDF\r\n\x1a\n"
MEMBERS = frozenset({"config.json", "metadata.json"})
ATTRIBUTES = (b"keras_version", b"layer_names", b"_layer_checkpoint_dependencies")
VARIABLES = b"vars\0"  # the group of each layer in a .weights.h5
SEARCHED = 64 << 20  # bytes of an HDF5 file in which Keras's names are looked for


def matches(path: Path) -> bool:
    """A zip with Keras's members, or HDF5 with Keras's attributes or weights."""
    with path.open("rb") as file:
        head = file.read(len(HDF5))
        if head == HDF5:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return any(data.find(name, 0, SEARCHED) >= 0 for name in (*ATTRIBUTES, VARIABLES))
    return member_names(path) >= MEMBERS


def load(path: Path, card: Card) -> NoReturn:
    """Raises UserError with what to do instead, or with what is wrong with the archive."""
    if member_names(path):
        with Archive(path, path.name) as archive:
            archive.read("config.json", archive.limits.header_bytes)
    raise UserError(
        f"{path.name} is a Keras model, which Netlens does not read yet; nothing in it was run. "
        "With Keras's torch backend (KERAS_BACKEND=torch) a model is a torch module: export it "
        "with torch.export.save(torch.export.export(model, (example,)), 'model.pt2')."
    )


FORMAT = Format("Keras", matches, load)
