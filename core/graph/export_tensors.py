"""The tensors of an exported network, in each layout that torch.export has written."""

import io
import json
from typing import Any

import torch

from core.dataset_files.archives import Archive
from core.errors import UserError
from core.files.limits import current_limits
from core.files.text_of_files import shown
from core.graph.export_values import DTYPES, STRIDED
from core.pickles.values import Storage, StoredTensor
from core.safe_pickle import read_pickle
from core.weight_files.checkpoints import persistent_storage
from core.weight_files.stored_tensors import Storages

NOT_LOADED = ("it was not loaded, nothing was executed. Export again with plain tensors only, "
              "or save the network's state dict.")
FLAT_PARTS = ("serialized_state_dict", "serialized_constants")


def read_json(archive: Archive, member: str) -> Any:
    """A member's JSON. Raises UserError where it is nested too deep or no JSON."""
    data = archive.read(member, current_limits().header_bytes)
    try:
        return json.loads(data)
    except RecursionError as error:
        raise UserError(f"its JSON {shown(member)} is nested too deep. "
                        "Export the network again.") from error
    except ValueError as error:
        raise UserError(f"its JSON {shown(member)} is damaged ({shown(error)}). "
                        "Export the network again.") from error


def exported_tensors(archive: Archive, model: str) -> dict[str, torch.Tensor]:
    """Every tensor of the model called `model` by its name; tied ones are one object."""
    found: dict[str, torch.Tensor] = {}
    for kind in ("weights", "constants"):
        folder = f"data/{kind}/"
        if (config := f"{folder}{model}_{kind}_config.json") in archive:
            found |= _raw(archive, folder, read_json(archive, config)["config"])
        elif f"{folder}{model}.pt" in archive:
            found |= _saved(archive, f"{folder}{model}.pt")
    return found


def flat_tensors(archive: Archive) -> dict[str, torch.Tensor]:
    """The tensors of the oldest layout: torch.save archives, whatever their names."""
    names = [f"{part}.{end}" for part in FLAT_PARTS for end in ("pt", "json")]
    found: dict[str, torch.Tensor] = {}
    for name in names:
        if name in archive and archive.size(name):
            found |= _saved(archive, name)
    return found


class _Tensors:
    """Tensors over storages, the same place always the same object."""

    def __init__(self, storages: Storages) -> None:
        self.storages = storages
        self.made: dict[tuple, torch.Tensor] = {}

    def at(self, name: str, stored: StoredTensor) -> torch.Tensor:
        """The tensor at a place. Raises UserError that names it where the place does not exist."""
        place = (stored.storage.key, stored.dtype, stored.offset, stored.shape, stored.stride)
        try:
            if place not in self.made:
                self.made[place] = self.storages.tensor(stored)
        except ValueError as error:
            raise UserError(f"its tensor {shown(name)} does not match its data: {error}. "
                            "It may be damaged; export the network again.") from error
        return self.made[place]


def _raw(archive: Archive, folder: str, config: dict) -> dict[str, torch.Tensor]:
    """Tensors that JSON describes and members hold as raw bytes."""
    if len(config) > current_limits().tensors:
        raise UserError(f"it has {len(config):,} tensors, the limit is "
                        f"{current_limits().tensors:,}. Save fewer.")
    tensors = _Tensors(Storages(lambda key: archive.view(f"{folder}{key}")))
    return {name: tensors.at(name, _described(archive, folder, name, said))
            for name, said in config.items()}


def _described(archive: Archive, folder: str, name: str, said: dict) -> StoredTensor:
    meta = said["tensor_meta"]
    if said["use_pickle"] or meta is None:
        raise UserError(f"{shown(name)} is stored as a pickle, which is code; {NOT_LOADED}")
    if meta["layout"] != STRIDED:
        raise UserError(f"{shown(name)} is not a dense tensor. Save the network's state dict.")
    dtype = DTYPES[meta["dtype"]]
    shape, stride = (tuple(_count(size) for size in meta[key]) for key in ("sizes", "strides"))
    if len(shape) != len(stride):
        raise ValueError(f"{shown(name)} has sizes and strides that differ in length")
    key = said["path_name"]
    storage = Storage(key, dtype, archive.size(f"{folder}{key}") // dtype.itemsize, "cpu")
    return StoredTensor(storage, dtype, _count(meta["storage_offset"]), shape, stride)


def _count(said: dict) -> int:
    number = said["as_int"]
    if type(number) is not int or not 0 <= number < 1 << 62:
        raise ValueError(f"{shown(number)} is no size")
    return number


def _saved(archive: Archive, member: str) -> dict[str, torch.Tensor]:
    """A dict of tensors in a torch.save archive inside the archive."""
    title = f"{archive.name}: {member}"
    inner = Archive(io.BytesIO(archive.read(member)), title)
    value = read_pickle(io.BytesIO(inner.read("data.pkl", current_limits().pickle_bytes)), title,
                        persistent_storage).value
    tensors = _Tensors(Storages(lambda key: inner.view(f"data/{key}")))
    return {str(name): tensors.at(str(name), stored) for name, stored in dict(value).items()
            if isinstance(stored, StoredTensor)}
