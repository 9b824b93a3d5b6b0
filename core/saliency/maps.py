"""Layers whose output lies over the image: feature maps, and tokens on the grid of patches."""

import torch
from torch import nn

from core.layers import channels_first, layer_type
from core.measures.dry_run import dry_run

Sides = tuple[int, int]


def as_maps(output: torch.Tensor, height: int, width: int) -> torch.Tensor | None:
    """A layer's output as (1, C, h, w) for an image of that height and width, None if it is none.

    Channels may come first or last: the two sides that stand to each other as the image's do are
    the map's. Tokens (1, T, C) lie on the grid of patches, after a class token if there is one.
    """
    if output.dim() == 4:
        return channels_first(output, height, width)
    if output.dim() == 3:
        for tokens in (output, output[:, 1:]):
            rows = round((tokens.shape[1] * height / width) ** 0.5)
            columns = round(rows * width / height)
            if rows * columns == tokens.shape[1] > 1 and rows * width == columns * height:
                return tokens.transpose(1, 2).unflatten(2, (rows, columns))
    return None


def map_layers(model: nn.Module, image_shape: tuple[int, ...]) -> dict[str, Sides]:
    """Layers that give more than one place, with (h, w) of their maps, in the order in which they
    finish. Raises UserError where the network cannot run.

    A softmax (1, heads, T, T) inside attention relates tokens to tokens and is none.
    """
    modules, found = dict(model.named_modules()), {}
    for name, run in dry_run(model, image_shape).layers.items():
        if run.output_shape is None or layer_type(modules[name]) == "Softmax":
            continue
        maps = as_maps(torch.empty(run.output_shape, device="meta"), *image_shape[2:])
        if maps is not None and maps[0, 0].numel() > 1:
            found[name] = tuple(maps.shape[2:])
    return found
