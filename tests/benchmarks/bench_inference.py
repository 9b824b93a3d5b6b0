"""The one pass with four layers captured, against the fastest bare forward loop of the same model.

    python -m tests.benchmarks.bench_inference [EXAMPLES]

Interleaved rounds in one process, as many passes as loops; a first pass searches for the size of
its batches, a second one knows it. Prints the best of each and their ratios to the best loop. The
machine must be idle: two threads beside a busy process cost many times as much.
"""

import copy
import os
import sys
import tempfile
import time
from pathlib import Path

import torch

from core import library
from core.device import device
from core.inference import POOLINGS
from core.model_facts import feature_layers
from core.one_pass.batches import LAYOUTS, SIZES
from core.one_pass.forward_pass import batches, model_on_device
from core.one_pass.machine import device_title

SAMPLES = Path(__file__).parent.parent.parent / "sample_models"
ROUNDS = 6


def bare(
    model: torch.nn.Module, inputs: torch.Tensor, size: int, layout: torch.memory_format
) -> float:
    """Seconds of a forward loop that keeps nothing."""
    begin = time.perf_counter()
    with torch.inference_mode():
        for part in inputs.split(size):
            model(part.to(device(), memory_format=layout))
    return time.perf_counter() - begin


class Ready:
    """Inputs that are already decoded: the decoding is measured by the issue on data sets."""

    def __init__(self, inputs: torch.Tensor) -> None:
        self.every = inputs

    def take(self, start: int, size: int, ahead: int) -> torch.Tensor:
        return self.every[start : start + size]

    def inputs(self, part: torch.Tensor) -> torch.Tensor:
        return part


def captured(model: torch.nn.Module, inputs: torch.Tensor) -> float:
    """Seconds of the pass with the last four stages pooled and kept."""
    pools = dict.fromkeys(feature_layers(model), POOLINGS["mean"])
    begin = time.perf_counter()
    for _ in batches(model, Ready(inputs), len(inputs), pools, lambda done, total: None):
        pass
    return time.perf_counter() - begin


def main() -> None:
    examples = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    os.environ["NETLENS_CACHE"] = tempfile.mkdtemp()
    print(device_title())
    for name in ("shapes-cnn.safetensors", "shapes-vit.safetensors", "shapes-cnn.pt2"):
        model = model_on_device(library.model_id(SAMPLES / name))
        inputs = torch.rand(examples, 3, 64, 64)
        captured(copy.deepcopy(model), inputs[:256])  # the loops too run in the memory it keeps
        choices = [(size, layout) for size in SIZES[:6] for layout in LAYOUTS]
        limit = {choice: bare(model, inputs[:1024], *choice) for choice in choices}
        best = sorted(limit, key=limit.__getitem__)[:3]
        loops, firsts, seconds = [], [], []
        for _ in range(ROUNDS):
            for choice in best:
                fresh = copy.deepcopy(model)
                loops.append(bare(model, inputs, *choice))
                firsts.append(captured(fresh, inputs))
                seconds.append(captured(fresh, inputs))
        loop, first, second = min(loops), min(firsts), min(seconds)
        print(
            f"{name}: bare {loop:.2f} s at {best[loops.index(loop) % len(best)]}, first pass "
            f"{first:.2f} s ({first / loop:.2f}), second {second:.2f} s ({second / loop:.2f})"
        )


if __name__ == "__main__":
    main()
