"""Opening a torchvision checkpoint, beside the usual way: build, torch.load, load_state_dict.

    python -m tests.benchmarks.bench_opening [NAME]

Prints milliseconds and megabytes of each, and their ratios.
Each way runs in processes of its own, after its imports; the least time of several is taken.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = 7
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"  # with it each process would compile what it imports


def ours(path: Path, name: str) -> Callable[[], object]:
    """Netlens's way."""
    import torchvision  # noqa: F401

    from core.architectures import torchvision_models  # noqa: F401
    from core.card import Card
    from core.model_formats.torch_file import load

    return lambda: load(path, Card()).module


def usual(path: Path, name: str) -> Callable[[], object]:
    """What people do."""
    import torch
    import torchvision

    def opened() -> object:
        network = torchvision.models.get_model(name)
        network.load_state_dict(torch.load(path, weights_only=True))
        return network.eval()

    return opened


def measured(way: str, path: Path, name: str) -> tuple[float, float]:
    """(ms, MB) of the best of several fresh processes."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_opening", way, str(path), name]
    kept = {key: value for key, value in os.environ.items() if key != NO_BYTECODE}
    runs = [subprocess.run(command, check=True, capture_output=True, text=True, env=kept).stdout
            for _ in range(ROUNDS)]
    milliseconds, megabytes = zip(*map(json.loads, runs), strict=True)
    return min(milliseconds), min(megabytes)


def one(way: str, path: str, name: str) -> None:
    """Opens once in this process and prints what it took."""
    run = {"ours": ours, "usual": usual}[way](Path(path), name)
    import torch

    torch.set_num_threads(1)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here (Linux)
    before = resident("VmRSS")
    start = time.perf_counter()
    network = run()
    took = time.perf_counter() - start
    assert network is not None
    print(json.dumps([1000 * took, resident("VmHWM") - before]))


def resident(field: str) -> float:
    """This process's memory, MB: VmRSS now, VmHWM at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def main(name: str = "resnet18") -> None:
    """Prints both ways and their ratios."""
    import torch
    import torchvision

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pt"
        torch.save(torchvision.models.get_model(name).state_dict(), path)
        ours_ms, ours_mb = measured("ours", path, name)
        usual_ms, usual_mb = measured("usual", path, name)
    print(f"{name}: ours {ours_ms:.0f} ms, {ours_mb:.1f} MB; usual {usual_ms:.0f} ms, "
          f"{usual_mb:.1f} MB; time {ours_ms / usual_ms:.2f} (at most 0.33), "
          f"memory {ours_mb / usual_mb:.2f} (at most 0.25)")


if __name__ == "__main__":
    one(*sys.argv[1:]) if len(sys.argv) > 2 else main(*sys.argv[1:])
