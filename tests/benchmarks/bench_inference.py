"""The one pass with four layers captured, against the fastest bare forward loop of the same model.

    python -m tests.benchmarks.bench_inference [EXAMPLES]

Interleaved rounds in one process; prints the time of each and the ratio of the best rounds. The
machine must be idle: two threads beside a busy process cost many times as much.
"""

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
ROUNDS = 3


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
        bare(model, inputs[:256], 32, LAYOUTS[0])
        choices = [(size, layout) for size in SIZES[:6] for layout in LAYOUTS]
        limit = {choice: bare(model, inputs[:1024], *choice) for choice in choices}
        best = sorted(limit, key=limit.__getitem__)[:3]
        loops, passes = [], []
        for _ in range(ROUNDS):
            loops.append(min(bare(model, inputs, *choice) for choice in best))
            passes.append(captured(model, inputs))
        rounds = [f"{p / b:.2f}" for p, b in zip(passes, loops, strict=True)]
        print(
            f"{name}: bare {min(loops):.2f} s at {best[0]}, pass {min(passes):.2f} s, "
            f"ratio {min(passes) / min(loops):.2f} (rounds {rounds})"
        )


if __name__ == "__main__":
    main()
