"""Weights whose network is not known: the tree of tensors as modules that do not run."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from core.weight_files.missing_network import MissingNetworkError

DEEPEST = 32  # parts of a name that become modules
SEPARATOR = re.compile(r"[./]")  # TensorFlow, Keras and Flax write a/b where torch writes a.b


class Part(nn.Module):
    """A place in the tree of names: its tensors, and the parts below it.

    Names go straight into the module's tables: files have names, such as "half" or "", that
    register_parameter does not take.
    """

    type_name = "Weights"

    def add(self, path: list[str], tensor: torch.Tensor) -> None:
        """Puts a tensor below this part."""
        name = f"{path[0]}_" if path[0] in self.__dict__ else path[0]  # "training" is taken
        if len(path) > 1:
            if name not in self._modules:
                self._modules[name] = Part()
            self._modules[name].add(path[1:], tensor)
            return
        while name in self._parameters or name in self._buffers:  # a.b beside a/b
            name += "_"
        if tensor.is_floating_point() or tensor.is_complex():
            self._parameters[name] = nn.Parameter(tensor, requires_grad=False)
            if (said := getattr(tensor, "said_trainable", None)) is not None:
                self._parameters[name].said_trainable = said
        else:
            self._buffers[name] = tensor

    def forward(self, *inputs: Any) -> torch.Tensor:
        raise MissingNetworkError("This part of a file")


class WeightsOnly(Part):
    """The tensors of a file by name; `source` is the file's name, for messages."""

    def __init__(self, tensors: Mapping[str, torch.Tensor], source: str) -> None:
        super().__init__()
        self.source = source
        for name, tensor in tensors.items():
            self.add(SEPARATOR.split(name.strip("/"), DEEPEST), tensor)
        self.eval()

    def forward(self, *inputs: Any) -> torch.Tensor:
        raise MissingNetworkError(self.source, self._input_shape(inputs))

    def _input_shape(self, inputs: tuple[Any, ...]) -> tuple[int, ...] | None:
        """Of one input such as those given; else None."""
        shape = inputs[0].shape if inputs and isinstance(inputs[0], torch.Tensor) else ()
        return (1, *shape[1:]) if len(shape) > 1 else None
