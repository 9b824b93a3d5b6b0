"""What benchmarks of networks share: a network without numbers, and how long something takes."""

import time
from collections.abc import Callable

import torch
import torchvision
from torch import nn

SHAPE = (1, 3, 224, 224)


def on_meta(name: str) -> nn.Module:
    """A network of torchvision without numbers, so that no arithmetic of its is measured."""
    with torch.device("meta"):
        return torchvision.models.get_model(name).eval().requires_grad_(False)


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def fastest(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest of several rounds."""
    return min(seconds(work) for _ in range(rounds))
