"""torchvision's VisionTransformer of sizes that its registry does not have: any patch, width, depth
and picture. https://docs.pytorch.org/vision/stable/models/vision_transformer.html"""

import re
from collections.abc import Iterator
from typing import Any

from torch import nn

from core.architectures import Built, Family, Shapes, Tensors
from core.architectures.layers_from_shapes import count, runs, same_shapes, shapes_of
from core.architectures.timm_vit import GUESSED, likely_heads
from core.architectures.torchvision_registry import image_size
from core.card import Card
from core.weight_files.classifier_heads import below, new_head
from core.weight_files.meta_build import ShapesOnly

MOST_BLOCKS, LARGEST_WIDTH, LARGEST_SIDE = 128, 1 << 14, 1 << 13
NAMED = re.compile(r"torchvision ViT-.* \((\d+) heads\)$")


def build(tensors: Tensors, card: Card) -> Built | None:
    """The transformer whose names and shapes these are, or None."""
    shapes = shapes_of(tensors)
    if (sizes := _sizes(shapes)) is None:
        return None
    said = NAMED.match(card.architecture or "")
    return _built(shapes, sizes, card, int(said[1]) if said else
                  likely_heads(sizes["hidden_dim"])[0])


def proposals(tensors: Tensors, card: Card) -> Iterator[Built]:
    """One a number of heads that divides the width, the likeliest first."""
    shapes = shapes_of(tensors)
    if (sizes := _sizes(shapes)) is None:
        return
    for heads in likely_heads(sizes["hidden_dim"]):
        if built := _built(shapes, sizes, card, heads):
            yield built


def _built(shapes: Shapes, sizes: dict[str, int], card: Card, heads: int) -> Built | None:
    if heads < 1 or sizes["hidden_dim"] % heads:
        return None
    from torchvision.models import VisionTransformer  # 1 s

    with ShapesOnly():
        module = VisionTransformer(**sizes, num_heads=heads)
    channels, guessed = shapes["conv_proj.weight"][1], []
    if channels != 3:
        patch = sizes["patch_size"]
        with ShapesOnly():
            module.conv_proj = nn.Conv2d(channels, sizes["hidden_dim"], patch, patch)
    if "heads.head.weight" not in shapes:
        head = new_head(sizes["hidden_dim"], below(shapes, "heads"))
        if head is None:
            return None
        module.heads, guessed = head.module, [head.guessed] if head.guessed else []
    if not same_shapes(module, shapes) or not runs(module, channels, sizes["image_size"]):
        return None
    return _described(module, card, heads, guessed)


def _described(module: nn.Module, card: Card, heads: int, guessed: list[str]) -> Built:
    width, side = module.hidden_dim, module.image_size
    kind = f"torchvision ViT-{len(module.encoder.layers)}/{module.patch_size}, width {width}"
    title, other = f"{kind} ({heads} heads)", f"{kind} ({max(2, heads // 2)} heads)"
    known = card.infer(
        architecture=title, input_channels=module.conv_proj.in_channels, input_height=side,
        input_width=side, output="logits")
    notes = [f"The file does not say that {guess}." for guess in guessed]
    if card.architecture != title:
        how = f"{width} ÷ {width // heads} = {heads} is taken"
        notes.append(GUESSED.format(title, how, other))
    return Built(module, known, tuple(notes), exact=not notes)


def _sizes(shapes: Shapes) -> dict[str, Any] | None:
    """The constructor's arguments as the shapes say them; None where they cannot be its."""
    patches, hidden = shapes.get("conv_proj.weight"), shapes.get(
        "encoder.layers.encoder_layer_0.mlp.0.weight")
    side, depth = image_size(shapes), count(shapes, "encoder.layers.encoder_layer_{}.ln_1.weight")
    if not patches or not hidden or side is None or patches[-1] != patches[-2] \
            or not 0 < patches[0] <= LARGEST_WIDTH or not 0 < side <= LARGEST_SIDE \
            or not 0 < hidden[0] <= LARGEST_WIDTH or depth > MOST_BLOCKS:
        return None
    head = shapes.get("heads.head.weight", ())
    middle = shapes.get("heads.pre_logits.weight", ())
    return {"image_size": side, "patch_size": patches[-1], "num_layers": depth,
            "hidden_dim": patches[0], "mlp_dim": hidden[0],
            "num_classes": head[0] if head else 1,
            "representation_size": middle[0] if middle else None}


FAMILY = Family("torchvision VisionTransformer", build, proposals, steps_aside=1)
