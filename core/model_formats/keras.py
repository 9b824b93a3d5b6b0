"""Keras: a zip (.keras) or HDF5 (.h5) of Keras 1, 2 and 3. https://keras.io/api/models/"""

import mmap
from pathlib import Path

from core.card import Card
from core.dataset_files.archives import member_names
from core.model_formats import Format, LoadedModel

HDF5 = b"\x89HDF\r\n\x1a\n"
MEMBERS = {"config.json", "metadata.json", "model.weights.h5"}
ATTRIBUTES = (b"keras_version", b"layer_names", b"_layer_checkpoint_dependencies")
VARIABLES = b"vars\0"  # the group of each layer in a .weights.h5
BEGINNING = 64  # bytes of a zip in which its first member is named
FIRST_NAME = 30  # where that name begins
SEARCHED = 64 << 20  # bytes of an HDF5 file in which Keras's names are looked for


def matches(path: Path) -> bool:
    """A zip with Keras's members, or beginning as one; HDF5 with Keras's attributes or weights."""
    with path.open("rb") as file:
        head = file.read(BEGINNING)
        if head.startswith(HDF5):
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return any(data.find(name, 0, SEARCHED) >= 0 for name in (*ATTRIBUTES, VARIABLES))
    if names := member_names(path):
        return len(names & MEMBERS) >= 2
    return head.startswith(b"PK\x03\x04") and head[FIRST_NAME:].startswith(b"metadata.json")


def load(path: Path, card: Card) -> LoadedModel:
    """The network, or the weights alone where it cannot be built. Raises UserError."""
    from core.keras.files import network_in_hdf5, network_in_zip

    with path.open("rb") as file:
        is_hdf5 = file.read(len(HDF5)) == HDF5
    return network_in_hdf5(path, card) if is_hdf5 else network_in_zip(path, card)


FORMAT = Format("Keras", matches, load)
