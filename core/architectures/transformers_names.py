"""The names that Hugging Face's transformers gives to tensors, as those of networks we have.

Each family has rules, a pattern of a whole name and the name that it becomes. "name|0", "name|1"
are parts that are joined in this order, such as query, key and value; "" is left out. Where keys
have no bias, the part between those of query and value is zeros.
"""

import re
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import nn

from core.architectures import Shapes, Tensors
from core.architectures.layers_from_shapes import ShapeError
from core.files.file_map import FEW, outlined

Rules = tuple[tuple[str, str], ...]
# The file's names that each name of the network is made of; None is a part of zeros.
Places = dict[str, list[str | None]]
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU,
    "gelu_new": lambda: nn.GELU("tanh"),
    "gelu_pytorch_tanh": lambda: nn.GELU("tanh"),
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "swish": nn.SiLU,
    "tanh": nn.Tanh,
}


def placed(names: Iterable[str], rules: Rules, key_bias: bool = True) -> Places:
    """Raises ShapeError for a name without a rule, and for parts that are missing; key_bias:
    whether that of keys is one."""
    parts: dict[str, dict[int, str]] = {}
    for name in names:
        new, _, part = _renamed(name, rules).partition("|")
        if new:
            parts.setdefault(new, {})[int(part or 0)] = name
    for new, found in parts.items():
        if sorted(found) not in ([0], [0, 1, 2] if key_bias or new.endswith("weight") else [0, 2]):
            raise ShapeError(new)
    return {new: [found.get(part) for part in range(max(found) + 1)]
            for new, found in parts.items()}


def _renamed(name: str, rules: Rules) -> str:
    for pattern, new in rules:
        if found := re.fullmatch(pattern, name):
            return found.expand(new)
    raise ShapeError(name)


def joined_shapes(shapes: Shapes, places: Places) -> dict[str, torch.Size]:
    """The shapes that tensors have once their parts are joined. Raises ShapeError."""
    found = {}
    for new, old in places.items():
        sizes = [shapes[name] for name in old if name]
        if len(old) > 1 and (not sizes[0] or len(set(sizes)) > 1):
            raise ShapeError(new)
        found[new] = torch.Size((len(old) * sizes[0][0], *sizes[0][1:])) if len(old) > 1 \
            else sizes[0]
    return found


def weights_of(module: nn.Module, places: Places) -> Callable[[Tensors], dict[str, torch.Tensor]]:
    """From a file's tensors to those of the module: joined, in its shapes, and with tables that
    it computed itself."""
    wanted = module.state_dict()
    computed = {name: tensor for name, tensor in wanted.items() if not tensor.is_meta}

    def weights(tensors: Tensors) -> dict[str, torch.Tensor]:
        return computed | {
            new: _joined([tensors[name] if name else torch.zeros_like(tensors[old[0]])
                          for name in old], wanted[new].shape)
            for new, old in places.items()}

    return weights


def _joined(parts: list[torch.Tensor], shape: torch.Size) -> torch.Tensor:
    if len(parts) == 1:
        return parts[0].reshape(shape)
    if outlined() and parts[0].nbytes > FEW:  # they are zeros, which need no memory
        return torch.zeros((), dtype=parts[0].dtype).expand(shape)
    return torch.cat(parts)


def fits(module: nn.Module, shapes: Shapes) -> bool:
    """Whether a module takes these tensors and has no place left over but for what it computed;
    a factor a channel may be written (C,) or (C, 1, 1)."""
    wanted = {name: tensor.shape for name, tensor in module.state_dict().items()
              if tensor.is_meta or name in shapes}
    return wanted.keys() == shapes.keys() and all(
        _plain(wanted[name]) == _plain(shapes[name]) for name in wanted)


def _plain(shape: torch.Size) -> tuple[int, ...]:
    return tuple(shape[:1]) if tuple(shape[1:]) == (1, 1) else tuple(shape)


def set_epsilon(module: nn.Module, said: Mapping[str, str], usual: float) -> None:
    """Of every norm in a module. Raises ShapeError where it is no number."""
    try:
        epsilon = float(said.get("layer_norm_eps", usual))
    except ValueError as error:
        raise ShapeError("layer_norm_eps") from error
    for layer in module.modules():
        if isinstance(layer, (nn.LayerNorm, nn.BatchNorm2d)):
            layer.eps = epsilon


def set_activation(module: nn.Module, said: Mapping[str, str], kind: type[nn.Module]) -> None:
    """In place of every activation of one kind. Raises ShapeError for one that we do not have."""
    wanted = said.get("hidden_act")
    if wanted is None:
        return
    if wanted not in ACTIVATIONS:
        raise ShapeError("hidden_act")
    for name, layer in list(module.named_modules()):
        if type(layer) is kind:
            module.set_submodule(name, ACTIVATIONS[wanted]())
