"""The passes that time each layer of a network on this device."""

import statistics
import time
from collections import defaultdict
from typing import Any

import torch
from torch import nn

from core.device import device, float_type, locked
from core.explained_errors import network_fault
from core.jobs import Progress
from core.layers import layer_names, watched
from core.measures.architecture_record import Shape

ROUNDS = 11
WARM = 2  # rounds that do not count
SIDE = 512  # of the matrices whose product says how fast this device multiplies


def image_of_zeros(model: nn.Module, shape: Shape) -> torch.Tensor:
    """An input (1, C, H, W), or of as many pictures as an export takes at least."""
    smallest, _ = getattr(model, "batch", (1, None))
    return torch.zeros((smallest, *shape[1:]), dtype=float_type(model), device=device())


def timed(model: nn.Module, image: torch.Tensor,
          progress: Progress) -> tuple[list[tuple[str, float]], float]:
    """(layer, median seconds of its runs in a pass) in the order in which they finish, and the
    median of passes without any hooks."""
    rounds: dict[str, list[float]] = defaultdict(list)
    passes = []
    with network_fault(image):
        for number in range(WARM + ROUNDS):
            seconds = _one_pass(model, image)
            passes.append(_seconds(lambda: model(image), model))
            progress(number + 1, WARM + ROUNDS)
            if number >= WARM:
                for name, taken in seconds.items():
                    rounds[name].append(taken)
    rows = [(name, statistics.median(taken)) for name, taken in rounds.items()]
    return rows, statistics.median(passes[WARM:])


def _one_pass(model: nn.Module, image: torch.Tensor) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    begun: dict[str, list[float]] = defaultdict(list)

    def before(name: str) -> None:
        begun[name].append(_now())

    def after(name: str, *seen: Any) -> None:
        found[name] += _now() - begun[name].pop()

    with locked(model), torch.no_grad(), watched(model, layer_names(model), after, before):
        model(image)
    return found


def _seconds(work: Any, model: nn.Module) -> float:
    with locked(model), torch.no_grad():
        begin = _now()
        work()
        return _now() - begin


def _now() -> float:
    """The time when all that was asked of the device is done."""
    if device().type != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter()


def rate() -> float:
    """Multiply-adds a second of a product of large matrices: as fast as this device gets."""
    left = torch.rand(SIDE, SIDE, device=device())
    taken = []
    for _ in range(WARM + 5):
        begin = _now()
        left @ left
        taken.append(_now() - begin)
    return SIDE**3 / max(min(taken), 1e-9)
