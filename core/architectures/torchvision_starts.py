"""How torchvision's networks start: their first convolution, which people change for small pictures
or other channels, and whose stride no tensor tells."""

from dataclasses import dataclass

import torch
from torch import nn

from core.architectures import Shapes

GUESSED = "its first convolution has"
SIDE = 32  # of the pictures of CIFAR, for which people change how a network starts
SMALL = (3, 3)
# The max-pooling after a first convolution of 7 × 7, which often goes with it.
POOLS = {"conv1": "maxpool", "features.conv0": "features.pool0", "conv1.conv": "maxpool1"}
# How a 3 × 3 start in its place may run: stride, and whether the max-pooling stays. What is in the
# brackets of a name chooses.
CHANGED = {
    "": (1, False),
    "max-pooling kept": (1, True),
    "stride 2": (2, False),
    "stride 2, max-pooling kept": (2, True),
}
UNCHANGED = {"": (2, True), "stride 1": (1, True)}  # of a 3 × 3 start that is published so


@dataclass(frozen=True)
class Start:
    """What was put at a network's start. small: it is one for small pictures; guessed: what was
    chosen that the tensors do not tell, or nothing."""

    channels: int
    small: bool = False
    guessed: str = ""


def first_convolution(module: nn.Module) -> tuple[str, nn.Conv2d]:
    """Its name, and it."""
    return next((place, layer) for place, layer in module.named_modules()
                if isinstance(layer, nn.Conv2d))


def ways(module: nn.Module, shapes: Shapes) -> tuple[str, ...]:
    """The ways in which a network of the registry may start with a file's first convolution."""
    place, first = first_convolution(module)
    if shapes[f"{place}.weight"][2:] != first.kernel_size:
        return tuple(CHANGED) if place in POOLS else ("",)
    halves = (first.kernel_size, first.stride, first.padding) == (SMALL, (2, 2), (1, 1))
    return tuple(UNCHANGED) if halves else ("",)


def fit_start(module: nn.Module, shapes: Shapes, way: str) -> Start | None:
    """Gives a network of the registry the file's first convolution; None where it does not fit."""
    place, first = first_convolution(module)
    wanted = shapes.get(f"{place}.weight", ())
    if len(wanted) != 4 or wanted[0] != first.out_channels or 0 in wanted:
        return None
    channels, kernel = wanted[1] * first.groups, tuple(wanted[2:])
    known = ways(module, shapes)
    way = way if way in known else ""
    if kernel == first.kernel_size:
        steps, start = first.stride, Start(channels)
        if way:
            steps = (UNCHANGED[way][0],) * 2
            start = Start(channels, small=True)
        _put(module, place, wanted, steps, first.padding)
        return start
    if first.stride == first.kernel_size:  # patches beside each other
        if kernel[0] != kernel[1]:
            return None
        _put(module, place, wanted, kernel, (0, 0))
        return Start(channels, kernel < first.kernel_size,
                     f"{GUESSED} stride {kernel[0]}, so that its patches do not overlap")
    if place not in POOLS or kernel != SMALL:
        return None
    stride, pooled = CHANGED[way]
    _put(module, place, wanted, (stride, stride), (1, 1))
    if not pooled:
        module.set_submodule(POOLS[place], nn.Identity())
    return Start(channels, True, f"{GUESSED} stride {stride} and {'its' if pooled else 'no'} "
                                 f"max-pooling, and that its pictures are {SIDE} × {SIDE}")


def _put(module: nn.Module, place: str, size: torch.Size, stride: tuple[int, ...],
         padding: tuple[int, ...]) -> None:
    first = module.get_submodule(place)
    with torch.device("meta"):
        module.set_submodule(place, nn.Conv2d(
            size[1] * first.groups, size[0], tuple(size[2:]), stride, padding, groups=first.groups,
            bias=first.bias is not None))
