"""torchvision's classifiers, known by names and shapes; https://pytorch.org/vision/stable/models.html"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from core.architectures import Built, Family
from core.card import Card
from core.classifier_heads import Head, below, new_head, same_head
from core.meta_build import ShapesOnly

FLAT = (nn.Linear, nn.Dropout, nn.ReLU, nn.Hardswish, nn.Tanh)  # layers over (N, features)
CLASSES = 1000  # ImageNet's, which every network of the registry is built with
INPUT_SHIFTED = ("googlenet", "inception_v3")
AUXILIARY = ("aux1", "aux2", "AuxLogits")
# A tensor that every network of a file of torchvision.models has: without one of them torchvision
# is not even imported.
MARKERS = {
    "alexnet": "features.10.weight",
    "convnext": "features.1.0.layer_scale",
    "densenet": "features.denseblock1.denselayer1.conv1.weight",
    "efficientnet": "features.1.0.block.0.0.weight",
    "googlenet": "inception3a.branch1.conv.weight",
    "inception": "Mixed_5b.branch1x1.conv.weight",
    "maxvit": "blocks.0.layers.0.layers.MBconv.layers.pre_norm.weight",
    "mnasnet": "layers.8.0.layers.0.weight",
    "mobilenetv2": "features.1.conv.0.0.weight",
    "mobilenetv3": "features.1.block.0.0.weight",
    "regnet": "trunk_output.block1.block1-0.f.a.0.weight",
    "resnet": "layer1.0.conv1.weight",
    "shufflenetv2": "stage2.0.branch2.0.weight",
    "squeezenet": "features.3.squeeze.weight",
    "swin_transformer": "features.1.0.attn.relative_position_index",
    "vgg": "features.0.bias",
    "vision_transformer": "encoder.layers.encoder_layer_0.ln_1.weight",
}

Tensors = Mapping[str, torch.Tensor]
Shapes = dict[str, torch.Size]


@dataclass
class Fitted:
    """A network changed until it has the file's shapes; what was changed, and what was guessed."""

    module: nn.Module
    channels: int
    classes: int
    guesses: list[str] = field(default_factory=list)


def build(tensors: Tensors, card: Card) -> Built | None:
    """The network of torchvision's registry that has these tensors, or None."""
    files = {file for file, marker in MARKERS.items() if marker in tensors}
    if not files:
        return None
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    for name in _candidates(shapes, files, card.architecture):
        if fitted := _fitted(name, shapes):
            said = card.infer(architecture=name, input_channels=fitted.channels, output="logits",
                              **_input_of(name, fitted.classes, _image_size(shapes)))
            return Built(fitted.module, said, tuple(fitted.guesses), exact=not fitted.guesses)
    return None


def _candidates(shapes: Shapes, files: set[str], wanted: str | None) -> Iterable[str]:
    """Names in the registry, those whose number of parameters is nearest first."""
    from torchvision import models  # 1 s

    names = models.list_models(module=models)
    if wanted in names:
        return [wanted]
    count = sum(math.prod(size) for name, size in shapes.items() if ".running_" not in name)

    def distance(name: str) -> float:
        known = [weights.meta["num_params"] for weights in models.get_model_weights(name)]
        return min((abs(math.log((count + 1) / number)) for number in known), default=math.inf)

    fitting = [name for name in names
               if models.get_model_builder(name).__module__.split(".")[-1] in files]
    return sorted(fitting, key=distance)


def _fitted(name: str, shapes: Shapes) -> Fitted | None:
    """The network with the file's channels, classes and head; None where the rest differs."""
    from torchvision import models

    with ShapesOnly():
        module = models.get_model(name, weights=None, num_classes=CLASSES, **_options(name, shapes))
    own = {key: tensor.shape for key, tensor in module.state_dict().items()}
    heads = [place for place, layer in module.named_modules() if _is_head(layer)]
    if not (main := _new_main_head(module, heads[-1], shapes)):
        return None
    fitted = Fitted(module, 3, main.classes, [main.guessed] if main.guessed else [])
    for place in heads[:-1]:
        if auxiliary := same_head(module.get_submodule(place), below(shapes, place)):
            module.set_submodule(place, auxiliary.module)
    if not _fit_first_layer(fitted, name, own, shapes):
        return None
    if name in INPUT_SHIFTED:
        fitted.guesses.append("transform_input shifts the input, as with torchvision's own weights")
    fitted.guesses[:] = [f"Taken for {name}; the file does not say that {guess}."
                         for guess in fitted.guesses]
    built = {key: tensor.shape for key, tensor in module.state_dict().items()}
    return fitted if built == shapes else None


def _options(name: str, shapes: Shapes) -> dict[str, Any]:
    """What the constructor must know beyond the number of classes."""
    if name in INPUT_SHIFTED:
        auxiliary = any(key.startswith(AUXILIARY) for key in shapes)
        return {"aux_logits": auxiliary, "init_weights": False, "transform_input": True}
    size = _image_size(shapes) if name.startswith("vit_") else None
    return {"image_size": size} if size and size % int(name.split("_")[-1]) == 0 else {}


def _image_size(shapes: Shapes) -> int | None:
    """The side of a vision transformer's picture, from its positions and the size of a patch."""
    positions, patch = shapes.get("encoder.pos_embedding"), shapes.get("conv_proj.weight")
    if positions is None or patch is None or len(positions) != 3 or len(patch) != 4:
        return None
    return math.isqrt(max(positions[1] - 1, 1)) * patch[-1]


def _is_head(layer: nn.Module) -> bool:
    return isinstance(layer, (nn.Linear, nn.Conv2d)) and layer.weight.shape[0] == CLASSES


def _new_main_head(module: nn.Module, place: str, shapes: Shapes) -> Head | None:
    """Puts the file's head into the module: the same layer with other classes, a new head in its
    place, or a new head in place of the whole block of flat layers that holds it."""
    original = module.get_submodule(place)
    head = same_head(original, below(shapes, place))
    if head is None and isinstance(original, nn.Linear):
        head = new_head(original.in_features, below(shapes, place))
    if head is None and isinstance(original, nn.Linear):
        place = place.split(".")[0]
        block = [layer for layer in module.get_submodule(place).modules()
                 if not isinstance(layer, nn.Sequential)]
        if all(isinstance(layer, FLAT) for layer in block):
            first = next(layer for layer in block if isinstance(layer, nn.Linear))
            head = new_head(first.in_features, below(shapes, place))
    if head:
        module.set_submodule(place, head.module)
    return head


def _fit_first_layer(fitted: Fitted, name: str, own: Shapes, shapes: Shapes) -> bool:
    """Gives the first convolution the file's channels, and a ResNet the 3 × 3 start of small
    pictures; False where its shape differs in any other way."""
    place, first = next((place, layer) for place, layer in fitted.module.named_modules()
                        if isinstance(layer, nn.Conv2d))
    wanted, had = shapes.get(f"{place}.weight"), own[f"{place}.weight"]
    if wanted is None or len(wanted) != 4 or wanted[0] != had[0] or not wanted[1]:
        return False
    fitted.channels = wanted[1] * first.groups
    if wanted == had:
        return True
    size, stride, padding = first.kernel_size, first.stride, first.padding
    if wanted[2:] != had[2:]:
        if place != "conv1" or wanted[2:] != (3, 3):
            return False
        size, stride, padding = (3, 3), (1, 1), (1, 1)
        fitted.module.maxpool = nn.Identity()
        fitted.guesses.append("its 3 × 3 start has stride 1 and no max-pooling")
    with torch.device("meta"):
        made = nn.Conv2d(wanted[1], had[0], size, stride, padding, bias=first.bias is not None)
    fitted.module.set_submodule(place, made)
    return True


def _input_of(name: str, classes: int, image_size: int | None) -> dict[str, Any]:
    """Keys of the card that torchvision's own weights of this network state. Their normalisation
    and class names only where there are ImageNet's 1000 classes."""
    from torchvision import models

    known = list(models.get_model_weights(name))
    weights = next((w for w in known if w.transforms().crop_size == [image_size]),
                   models.get_model_weights(name).DEFAULT)
    steps = weights.transforms()
    side = image_size or steps.crop_size[0]
    said: dict[str, Any] = {"input_height": side, "input_width": side}
    if classes != CLASSES:
        return said
    return said | {
        "input_range": (0.0, 1.0), "input_mean": tuple(steps.mean), "input_std": tuple(steps.std),
        "input_resize": (steps.resize_size[0], steps.crop_size[0]),
        "class_names": tuple(weights.meta["categories"]),
    }


FAMILY = Family("torchvision", build)
