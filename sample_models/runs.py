"""Event files for TensorBoard that say nothing of the machine that wrote them."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

LOGS = Path(__file__).parent / "logs"
BINS = 24  # of a histogram


class Run:
    """One training run's event file; a context manager, that puts it in its place at its end."""

    def __init__(self, name: str) -> None:
        self.folder = LOGS / name
        self.unfinished = TemporaryDirectory()
        self.writer = SummaryWriter(self.unfinished.name)

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for number, file in enumerate(sorted(Path(self.unfinished.name).iterdir())):
            shutil.move(file, self.folder / f"events.out.tfevents.{number:010d}.sample")
        self.unfinished.cleanup()  # a file's first name holds the host's

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        for tag, value in values.items():
            self.writer.add_scalar(tag, value, step)

    def histograms(self, values: Mapping[str, np.ndarray], step: int) -> None:
        """One histogram a tag; one with NaN or infinity cannot be drawn and is left out."""
        for tag, numbers in values.items():
            if np.isfinite(numbers).all():
                self.writer.add_histogram(tag, numbers, step, bins=BINS)

    def pictures(self, tag: str, pictures: np.ndarray, step: int) -> None:
        """uint8 (N, H, W, C), side by side."""
        self.writer.add_image(tag, np.concatenate(pictures, axis=1), step, dataformats="HWC")

    def settings(self, settings: Mapping[str, float | str], results: Mapping[str, float]) -> None:
        """Hyperparameters in the run itself, where `add_hparams` would start another run."""
        for summary in hparams(dict(settings), dict(results)):
            self.writer.file_writer.add_summary(summary)
        self.scalars(results, 0)


def weights_and_gradients(model: nn.Module) -> dict[str, np.ndarray]:
    """The kernels and matrices of a network by name, and their gradients."""
    found = {}
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1 and "position" not in name and "token" not in name:
            found[f"weights/{name}"] = parameter.detach().numpy()
            if parameter.grad is not None:
                found[f"gradients/{name}"] = parameter.grad.numpy()
    return found


def first_filters(model: nn.Module) -> np.ndarray:
    """The first convolution's kernels, each stretched to 0-255: uint8 (N, 4h, 4w, C)."""
    kernels = next(m for m in model.modules() if isinstance(m, nn.Conv2d)).weight.detach()
    low, high = kernels.amin((1, 2, 3), keepdim=True), kernels.amax((1, 2, 3), keepdim=True)
    stretched = (kernels - low) / (high - low).clamp_min(1e-6) * 255
    enlarged = stretched.repeat_interleave(4, 2).repeat_interleave(4, 3)[:16]
    return enlarged.nan_to_num(0).permute(0, 2, 3, 1).to(torch.uint8).numpy()


