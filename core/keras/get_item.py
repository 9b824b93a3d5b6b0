"""Part of a tensor, as numpy's brackets give it: torch's own take no step backwards."""

from types import EllipsisType

import torch

Part = int | slice | EllipsisType | None


def get_item(x: torch.Tensor, key: Part | list[Part]) -> torch.Tensor:
    """x[key], where key holds whole numbers, slices, None and one Ellipsis."""
    parts = key if isinstance(key, list) else [key]
    if ... in parts:
        place = parts.index(...)
        named = sum(part is not None for part in parts) - 1
        parts = [*parts[:place], *[slice(None)] * (x.dim() - named), *parts[place + 1:]]
    axis = 0
    for part in parts:
        if isinstance(part, int):
            x = x.select(axis, part)
            continue
        if part is None:
            x = x.unsqueeze(axis)
        else:
            start, stop, step = part.indices(x.shape[axis])
            x = x.index_select(axis, torch.arange(start, stop, step, device=x.device)) \
                if step < 0 else x[(*[slice(None)] * axis, slice(start, stop, step))]
        axis += 1
    return x
