"""The pickles in a TorchScript archive: the tree of modules, the constants, the example's sizes.

Written by https://github.com/pytorch/pytorch/blob/main/torch/csrc/jit/serialization/pickler.cpp
"""

import io
import struct
from typing import Any

import torch

from core.dataset_files.archives import Archive
from core.errors import UserError
from core.files.limits import current_limits
from core.files.text_of_files import shown
from core.graph.nodes import DEVICE
from core.graph.script_values import EnumMember
from core.pickles.machine import BadPickleError, Machine
from core.pickles.makers import MAKERS
from core.pickles.values import STORAGES, Global, Placeholder, StoredTensor
from core.safe_pickle import OPCODES
from core.weight_files.checkpoints import persistent_storage
from core.weight_files.stored_tensors import Storages

PROGRAM = "__torch__."
_LISTS = ("build_intlist", "build_tensorlist", "build_doublelist", "build_boollist")
_PASSING = frozenset(["torch.jit._pickle.restore_type_tag",
                      *(f"torch.jit._pickle.{name}" for name in _LISTS)])
_MADE = frozenset(["torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor",
                   "torch._utils._rebuild_parameter", "collections.OrderedDict"])
_DAMAGE = (BadPickleError, IndexError, KeyError, ValueError, TypeError, struct.error)


class _ScriptMachine(Machine):
    """A pickle machine that knows the few names which torch.jit.save writes, and no others."""

    def push_global(self, module: str, name: str) -> None:
        full = f"{module}.{name}"
        known = full in _PASSING or full in _MADE or full == "torch.device"
        if not known and not full.startswith(PROGRAM) and not (
            module in ("torch", "torch.storage") and name in STORAGES
        ):
            raise self.code(full)
        self.push(Global(full))

    def push_call(self, maker: Any, arguments: Any) -> None:
        if not isinstance(maker, Global):
            raise BadPickleError(f"it calls a {type(maker).__name__}")
        if maker.name.startswith(PROGRAM):
            whole = isinstance(arguments, tuple)
            self.push(Placeholder(maker.name) if whole else EnumMember(maker.name, arguments))
        elif maker.name == "torch.device":
            self.push(DEVICE)
        elif maker.name in _PASSING:
            self.push(arguments[0])
        elif maker.name in _MADE and isinstance(arguments, tuple):
            self.push(MAKERS[maker.name](*arguments))
        else:
            raise self.code(maker.name)


def script_pickle(archive: Archive, member: str) -> Any:
    """The value of a member: plain values, StoredTensor, Placeholder for the program's objects."""
    data = archive.read(member, current_limits().pickle_bytes)
    machine = _ScriptMachine(io.BytesIO(data), archive.name, persistent_storage)
    try:
        for _ in range(current_limits().pickle_objects):
            opcode = machine.read(1)
            if opcode == b".":
                return machine.stack.pop()
            if opcode not in OPCODES:
                raise BadPickleError(f"unknown opcode {opcode!r}")
            OPCODES[opcode](machine)
    except _DAMAGE as error:
        raise UserError(f"its {member} is damaged or cannot be read ({shown(error, 100)}). "
                        "Copy or download the file again.") from error
    raise UserError(f"its {member} holds too many objects. Save the network's state dict.")


class StoredTensors:
    """Tensors of one folder of the archive; those at one place in a storage are one tensor."""

    def __init__(self, archive: Archive, folder: str) -> None:
        self._storages = Storages(lambda key: archive.view(f"{folder}/{key}"))
        self._found: dict[tuple, torch.Tensor] = {}

    def tensor(self, stored: StoredTensor) -> torch.Tensor:
        place = (stored.storage.key, stored.dtype, stored.offset, stored.shape, stored.stride)
        if place not in self._found:
            if len(self._found) >= current_limits().tensors:
                raise UserError(f"it holds more than {current_limits().tensors:,} tensors, the "
                                "limit. Save the network's state dict.")
            self._found[place] = self._storages.tensor(stored)
        return self._found[place]


def example_inputs(archive: Archive) -> list[StoredTensor] | None:
    """Sizes and types of the inputs that a trace was recorded with; their numbers are not kept.

    None where the file does not say them.
    """
    if "traced_inputs.pkl" not in archive:
        return None
    said = script_pickle(archive, "traced_inputs.pkl")
    given = said.get("forward") if isinstance(said, dict) else None
    if not isinstance(given, (list, tuple)) or not given:
        return None
    return list(given) if all(isinstance(part, StoredTensor) for part in given) else None
