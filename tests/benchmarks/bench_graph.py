"""What the graph interpreter costs over the eager network: ResNet-18 at 64 × 64, batch 8.

    python -m tests.benchmarks.bench_graph

The rounds of both are interleaved on one thread, so that a busy machine slows both alike. The
ratio of medians and that of minima are printed; the goal is at most 1.10.
"""

import statistics
import tempfile
from pathlib import Path

import torch
import torchvision

from core.card import Card
from core.model_formats.pt2 import FORMAT
from tests.benchmarks.networks import seconds

ROUNDS, WARM_UP = 40, 5
SHAPE = (8, 3, 64, 64)


def exported(net: torch.nn.Module, folder: Path) -> torch.nn.Module:
    """The network as it comes back from its export."""
    shapes = ({0: torch.export.Dim("batch")},)
    path = folder / "net.pt2"
    torch.export.save(torch.export.export(net, (torch.randn(SHAPE),), dynamic_shapes=shapes), path)
    return FORMAT.load(path, Card()).module


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = torchvision.models.resnet18(weights=None).eval()
    with tempfile.TemporaryDirectory() as folder:
        graph = exported(net, Path(folder))
    x = torch.randn(SHAPE)
    times: dict[str, list[float]] = {"eager": [], "graph": []}
    with torch.inference_mode():
        for turn in range(ROUNDS + WARM_UP):
            for name, module in (("eager", net), ("graph", graph)):
                taken = seconds(lambda module=module: module(x))
                if turn >= WARM_UP:
                    times[name].append(taken)
    for measure in (statistics.median, min):
        ratio = measure(times["graph"]) / measure(times["eager"])
        print(f"graph / eager, {measure.__name__}: {ratio:.3f}")


if __name__ == "__main__":
    main()
