"""Networks saved without their last layer, to give features: a head is made up, families are asked,
and the head is taken off again."""

import re
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from core.architectures import Built, Shapes, Tensors
from core.architectures.head_beside import with_head_beside
from core.architectures.layers_from_shapes import shapes_of
from core.architectures.near_misses import NearMiss
from core.architectures.search import TOLD_BY_NAMES, Found, found_among
from core.architectures.spellings import Spelling, spellings
from core.architectures.torchvision_registry import files_of
from core.card import Card
from core.files.text_of_files import shown

CLASSES = 10  # of a head that is made up
HEADS = ("fc", "linear", "head", "heads.head", "classifier", "classifier.1")
# Names of networks of transformers that have no head, and what stands before them where one has.
BASES = (
    ("embeddings.distillation_token", "deit."), ("embeddings.cls_token", "vit."),
    ("embeddings.cls_token", "beit."), ("encoder.layer.0.layer_scale1.lambda1", "dinov2."),
    ("conv_stem.convolution.weight", "mobilenet_v1."),
    ("conv_stem.first_conv.convolution.weight", "mobilenet_v2."),
    ("embeddings.convolution.weight", "efficientnet."),
    ("embedder.embedder.convolution.weight", "resnet."),
    ("embedder.embedder.convolution.weight", "regnet."),
    ("embeddings.patch_embeddings.weight", "convnext."),
    ("embeddings.patch_embeddings.projection.weight", "swin."),
    ("embeddings.patch_embeddings.projection.weight", "swinv2."),
)
SAID = ("No head: {} is not in the file, so the network is opened as features, the {} numbers that "
        "such a layer would see. It has no classes.")


def near_without_head(near: list[NearMiss], spelling: Spelling, card: Card) -> list[Found]:
    """The near miss that these tensors are but for the layer that gives the classes, if any, or
    transformers' network by whose names they go: a chain of the same shapes would be a guess."""
    for miss in near:
        if miss.lacks_head and (found := _with_head(spelling, miss.lacking, card)):
            return found
        if found := with_head_beside(miss, spelling, card):
            return found
    tensors, _ = spelling
    named = any(f".{name}".endswith(f".{mark}") for mark, _ in BASES for name in tensors)
    return without_head(tensors, card) if named else []


def without_head(tensors: Tensors, card: Card) -> list[Found]:
    """The network of families without near misses that these tensors are but for that layer."""
    for spelled, notes in spellings(tensors):
        for named in _as_in_a_classifier(spelled):
            for head in _heads(shapes_of(named)):
                if found := _with_head((named, notes), head, card):
                    return found
    return []


def _with_head(spelling: Spelling, head: Shapes, card: Card) -> list[Found]:
    """What families build once the head is there, without it."""
    tensors, notes = spelling
    made_up = {name: torch.empty(size, device="meta") for name, size in head.items()}
    found = found_among(tensors | made_up, notes, card, TOLD_BY_NAMES)
    return [_taken_off(one, place, card) for one in found[:1] if (place := _place_of_head(one))]


def _place_of_head(found: Found) -> str:
    """The layer, or all the layers under one name, that alone are on the meta device; '' where the
    file has some of those layers, as that is no network without its head."""
    head = [name for name, tensor in found.tensors.items() if tensor.is_meta]
    layers = {name.rpartition(".")[0] for name in head}
    if len(layers) == 1:
        return layers.pop()
    place = head[0].partition(".")[0] if head else ""
    inside = [name for name in found.tensors if name.startswith(f"{place}.")]
    return place if len(inside) == len(head) else ""


def _taken_off(found: Found, place: str, card: Card) -> Found:
    """The network with nothing in place of its head."""
    kept = {name: tensor for name, tensor in found.tensors.items() if not tensor.is_meta}
    first = next(tensor for name, tensor in found.tensors.items()
                 if tensor.is_meta and name.endswith("weight"))
    width = first.shape[:2][-1]  # of a matrix, a kernel or a norm
    module = found.built.module
    module.set_submodule(place, nn.Identity())
    known = replace(
        found.built.card, class_names=card.class_names, output=card.output or "features",
        inferred=found.built.card.inferred - {"class_names"})
    built = Built(module, known, (SAID.format(shown(f"{place}.*"), width), *found.built.notes),
                  False, found.built.renamed)
    return replace(found, built=built, tensors=kept)


def _as_in_a_classifier(tensors: Tensors) -> Iterator[dict[str, torch.Tensor]]:
    """The tensors, and under the names that transformers gives them inside a classifier."""
    yield dict(tensors)
    for mark, prefix in BASES:
        if mark in tensors:
            yield {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def _heads(shapes: Shapes) -> Iterator[dict[str, torch.Size]]:
    """Heads that such a network may have had; torchvision's own networks are near misses."""
    if files_of(shapes):
        return
    for place in HEADS:
        if not any(name.startswith(f"{place}.") for name in shapes):
            for width in _widths(shapes):
                yield {f"{place}.weight": torch.Size((CLASSES, width)),
                       f"{place}.bias": torch.Size((CLASSES,))}


def _widths(shapes: Shapes) -> list[int]:
    """What a network may end with: the sizes of its last vector, of the last outside blocks, and of
    its last layer's outputs, which no norm may follow."""
    names = sorted((name for name, size in shapes.items() if size and size[0]),
                   key=lambda name: re.sub(r"\d+", lambda digits: digits[0].zfill(9), name))
    vectors = [name for name in names if len(shapes[name]) == 1]
    depth = min((name.count(".") for name in vectors), default=0)
    outside = [name for name in vectors if name.count(".") == depth]
    layers = [name for name in names if len(shapes[name]) in (2, 4)]
    last = (*vectors[-1:], *outside[-1:], *layers[-1:])
    return list(dict.fromkeys(shapes[name][0] for name in last))
