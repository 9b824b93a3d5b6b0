"""Weights whose network is not known: the tree of tensors as modules that do not run."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from core.errors import UserError

DEEPEST = 32  # parts of a name that become modules
EXPORT = ("example = torch.zeros(1, 3, 224, 224); program = torch.export.export(model.eval(), "
          "(example,)); torch.export.save(program, 'model.pt2')")


class Part(nn.Module):
    """A place in the tree of names: its tensors, and the parts below it."""

    type_name = "Weights"

    def __init__(self) -> None:
        super().__init__()
        self.parts: dict[str, str] = {}  # as the file calls a part -> as this module does

    def tensor(self, path: list[str], tensor: torch.Tensor) -> None:
        """Registers a tensor below this part; a name that is taken gets underscores."""
        if len(path) > 1:
            self._below(path[0]).tensor(path[1:], tensor)
            return
        name = self._free(path[0])
        if tensor.is_floating_point() or tensor.is_complex():
            self.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
        else:
            self.register_buffer(name, tensor)

    def forward(self, *inputs: Any) -> torch.Tensor:
        raise UserError("These weights cannot run: the architecture they belong to is not known. "
                        'Name it in a model card, as "architecture".')

    def _below(self, name: str) -> "Part":
        if name not in self.parts:
            self.parts[name] = self._free(name)
            self.add_module(self.parts[name], Part())
        return self.get_submodule(self.parts[name])

    def _free(self, name: str) -> str:
        name = name.replace(".", "_") or "_"
        while hasattr(self, name):
            name += "_"
        return name


class WeightsOnly(Part):
    """The tensors of a file by name; `source` is the file's name, for messages."""

    def __init__(self, tensors: Mapping[str, torch.Tensor], source: str) -> None:
        super().__init__()
        self.source = source
        for name, tensor in tensors.items():
            self.tensor(name.split(".", DEEPEST), tensor)
        self.eval()

    def forward(self, *inputs: Any) -> torch.Tensor:
        raise UserError(
            f"{self.source} holds weights only: the architecture they belong to is not in the file "
            'and was not recognised. Name it in a card beside the file, {"architecture": '
            f'"resnet18"}}, or export the network where it was trained: import torch; {EXPORT}'
        )
