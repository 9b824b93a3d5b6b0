"""Layers by name, and what flows through them: the only hooks of the project."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from core.errors import UserError

# What a hook is told: layer name, the module, its inputs (those by name last), its output.
Seen = Callable[[str, nn.Module, tuple, Any], Any]


def layer_names(model: nn.Module) -> list[str]:
    """Every layer below the model itself, in the order of its definition, shared ones once."""
    return [name for name, _ in model.named_modules() if name]


def layer(model: nn.Module, name: str) -> nn.Module:
    """The layer called `name`. Raises UserError that names a few that exist."""
    try:
        found = model.get_submodule(name)
    except AttributeError:
        found = model
    if found is model:
        some = ", ".join(layer_names(model)[:5])
        raise UserError(f"This network has no layer {name!r}. It has {some} and more.")
    return found


def layer_type(module: nn.Module) -> str:
    """The class a person knows the layer by; a frozen graph's layers say what they were."""
    return getattr(module, "type_name", None) or type(module).__name__


@contextmanager
def watched(
    model: nn.Module, names: Iterable[str], after: Seen, before: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Calls `before` and `after` around each run of the named layers; what `after` returns, unless
    None, replaces the layer's output. Use inside device.locked(model)."""
    handles = []
    try:
        for name in names:
            module = layer(model, name)
            if before:
                handles.append(module.register_forward_pre_hook(lambda m, i, n=name: before(n)))
            handles.append(
                module.register_forward_hook(
                    lambda m, i, k, o, n=name: after(n, m, (*i, *k.values()), o), with_kwargs=True
                )
            )
        yield
    finally:
        for handle in handles:
            handle.remove()


def first_tensor(output: Any) -> torch.Tensor | None:
    """A layer's output where it is one tensor, the first of several, or None."""
    if isinstance(output, dict):
        output = tuple(output.values())
    if isinstance(output, (tuple, list)):
        return next((found for part in output if (found := first_tensor(part)) is not None), None)
    return output if isinstance(output, torch.Tensor) else None


def channels_first(output: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Maps (N, C, h, w) from (N, h, w, C) too: the two sides that stand to each other as the
    image's do are the map's. What is no map is left as it is."""
    if output.dim() == 4:
        first = output.shape[2] * width == output.shape[3] * height
        last = output.shape[1] * width == output.shape[2] * height
        return output.permute(0, 3, 1, 2) if last and not first else output
    return output


@contextmanager
def capture(
    model: nn.Module,
    names: Iterable[str],
    keep: Callable[[torch.Tensor], torch.Tensor] = torch.clone,
) -> Iterator[dict[str, torch.Tensor]]:
    """Fills the dict it gives with `keep(output)` of each named layer at each forward pass.

    `keep` runs at once, before an in-place layer overwrites the output. A layer that runs several
    times in a pass leaves its last run.
    """
    captured: dict[str, torch.Tensor] = {}

    def after(name: str, module: nn.Module, inputs: tuple, output: Any) -> None:
        if (tensor := first_tensor(output)) is not None:
            captured[name] = keep(tensor)

    with watched(model, names, after):
        yield captured


@contextmanager
def differentiable(model: nn.Module, name: str) -> Iterator[list[torch.Tensor]]:
    """Makes one layer's output a leaf that gradients reach; the list it gives receives that leaf.

    With frozen parameters nothing before the layer is recorded, so a gradient costs only what
    comes after. Where the layer runs several times, the list holds each run, and only the last
    sees the whole gradient.
    """
    leaves: list[torch.Tensor] = []

    def after(name: str, module: nn.Module, inputs: tuple, output: Any) -> Any:
        tensor = first_tensor(output)
        if tensor is None:
            return None
        leaf = tensor.detach().clone().requires_grad_()  # the output may be written to in place
        leaves.append(leaf)
        passed_on = leaf.clone()  # and so may what is passed on
        if isinstance(output, torch.Tensor):
            return passed_on
        if isinstance(output, (tuple, list)) and output[0] is tensor:
            parts = [passed_on, *output[1:]]
            return type(output)(*parts) if hasattr(output, "_fields") else type(output)(parts)
        raise UserError(
            f"The layer {name!r} returns a structure that gradients cannot be taken from."
        )

    with watched(model, [name], after):
        yield leaves
