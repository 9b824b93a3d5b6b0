"""Decoding for the one pass against torchvision's own decoder; thumbnails of a page.

    python -m tests.benchmarks.bench_decoding [PICTURES]

JPEGs of 500 × 375, made here, in one folder per class. Both ways read the same files on all cores
in one process, with as many decoding threads, and bring each to a normalised 224 × 224 in a batch;
torchvision's way has one thread an operator, which is its fastest. Rounds alternate; medians. The
machine must be idle.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional

from core import library
from core.card import InputSpec, ShorterSide
from core.one_pass.decoder import DECODERS, Decoder
from core.one_pass.forward_pass import batches
from core.ui.images import _made, thumbnails

ROUNDS = 7
BATCH = 16
SPEC = InputSpec(channels=3, height=224, width=224, channel_order="RGB", range=(0, 1), mean=(0.5,),
                 std=(0.25,), resize=ShorterSide(256, 224, "down"))
PAGE = 200  # thumbnails


def pictures(folder: Path, number: int) -> None:
    """Smooth shapes with some noise: as many bytes as photographs of that size have."""
    random = np.random.default_rng(0)
    for nth in range(number):
        coarse = Image.fromarray(random.integers(0, 256, (15, 20, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC), np.int16)
        noisy = (smooth + random.integers(-12, 13, smooth.shape)).clip(0, 255).astype(np.uint8)
        place = folder / f"class{nth % 4}"
        place.mkdir(exist_ok=True)
        Image.fromarray(noisy).save(place / f"{nth:05d}.jpg", quality=85)


class Nothing(nn.Module):
    """A network that costs nothing, so that what remains is the pass's own work."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs[:, :, 0, 0] + self.weight


def ours(dataset_id: str) -> None:
    data = library.open_dataset(dataset_id)
    with Decoder(data, SPEC) as decoder:
        for _ in batches(Nothing(), decoder, len(data), {}, lambda done, total: None):
            pass


def torchvisions(paths: list[Path]) -> None:
    def one(path: Path) -> torch.Tensor:
        data = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
        picture = decode_image(data, ImageReadMode.RGB)
        small = functional.center_crop(functional.resize(picture, [256], antialias=True), [224])
        return (small.float() / 255 - 0.5) / 0.25

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with ThreadPoolExecutor(DECODERS) as pool:
        inputs = pool.map(one, paths)
        while batch := list(islice(inputs, BATCH)):
            torch.stack(batch)
    torch.set_num_threads(threads)


def median(*ways: Callable[[], object]) -> list[float]:
    """Seconds of each way, after a round that does not count; each round in the other order."""
    times: list[list[float]] = [[] for _ in ways]
    for number in range(ROUNDS + 1):
        for way, kept in list(zip(ways, times, strict=True))[:: -1 if number % 2 else 1]:
            begin = time.perf_counter()
            way()
            kept.append(time.perf_counter() - begin)
    return [statistics.median(kept[1:]) for kept in times]


def main(number: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        pictures(Path(place), number)
        paths = sorted(Path(place).rglob("*.jpg"))
        size = sum(path.stat().st_size for path in paths) / number
        print(f"{number} JPEGs of {size / 1000:.0f} kB")
        dataset_id = library.dataset_id(Path(place))
        mine, theirs = median(lambda: ours(dataset_id), lambda: torchvisions(paths))
        print(f"decoded and resized a second: {number / mine:.0f}, torchvision "
              f"{number / theirs:.0f}, ratio {theirs / mine:.2f}")
        rows = list(range(min(PAGE, number)))

        def made_anew() -> None:
            _made.clear()
            thumbnails(dataset_id, rows, 96)

        first, again = median(made_anew, lambda: thumbnails(dataset_id, rows, 96))
        print(f"{len(rows)} thumbnails: {first:.2f} s, again {again:.3f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 600)
