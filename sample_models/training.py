"""A plain training loop for the samples: seeds fixed, everything logged."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from torch import nn

from core.dataset_formats import DataSet, digits, shapes
from sample_models.runs import Run, first_filters, weights_and_gradients

FOLDER = Path(__file__).parent
OPTIMIZERS = {"AdamW": torch.optim.AdamW, "SGD": torch.optim.SGD}


@dataclass(frozen=True)
class Recipe:
    """How one run is trained; the rate rises over the first fifth and falls to 0 if `one_cycle`."""

    run: str  # "shapes/cnn": the data, then the name
    build: Callable[[], nn.Module]
    epochs: int
    rate: float
    batch: int = 50
    optimizer: str = "AdamW"
    weight_decay: float = 0.05
    examples: int | None = None  # of the training split; all if None
    turned: bool = False  # whether pictures are turned, mirrored and shifted in training
    one_cycle: bool = True


@dataclass(frozen=True)
class Trained:
    model: nn.Module
    optimizer: torch.optim.Optimizer
    accuracy: float  # on the test split, 0 to 1


def split(name: str, part: str) -> DataSet:
    reader = {"shapes": shapes, "digits": digits}[name]
    return reader.load(FOLDER / f"{name}-{part}.json")


def inputs_and_labels(data: DataSet) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 (N, C, H, W) and int64 (N,)."""
    pictures = np.stack([data.image(row) for row in range(len(data))])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous(), torch.tensor(data.labels)


def example_inputs(name: str) -> torch.Tensor:
    """Two test pictures as the networks want them."""
    return normalised(inputs_and_labels(split(name, "test"))[0][:2])


def normalised(pictures: torch.Tensor) -> torch.Tensor:
    """What the cards say: 0 to 1, then mean 0.5 and standard deviation 0.25."""
    return (pictures.float() / 255 - 0.5) / 0.25


def train(recipe: Recipe) -> Trained:
    """Trains and logs one run. The test split is only watched: the last weights are kept."""
    torch.manual_seed(0)
    data = recipe.run.split("/")[0]
    pictures, labels = (part[: recipe.examples] for part in inputs_and_labels(split(data, "train")))
    test = inputs_and_labels(split(data, "test"))
    model = recipe.build()
    optimizer = OPTIMIZERS[recipe.optimizer](
        model.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay)
    schedule = _one_cycle(recipe, optimizer, len(labels)) if recipe.one_cycle else None
    with Run(recipe.run) as run:
        run.pictures("examples/train", pictures[:4].permute(0, 2, 3, 1).numpy(), 0)
        for epoch in range(recipe.epochs):
            start = time.perf_counter()
            seen = _epoch(recipe, model, optimizer, schedule, (pictures, labels), run, epoch)
            loss, accuracy = evaluated(model, *test)
            run.scalars(seen | {"loss/validation": loss, "accuracy/validation": accuracy,
                                "learning_rate": optimizer.param_groups[0]["lr"]}, epoch)
            run.histograms(weights_and_gradients(model), epoch)
            if epoch % 5 == 0 or epoch == recipe.epochs - 1:
                run.pictures("filters/first", first_filters(model), epoch)
            print(f"{recipe.run} epoch {epoch + 1} of {recipe.epochs}: {accuracy:.2%}, "
                  f"{time.perf_counter() - start:.1f} s", flush=True)
        run.settings(_settings(recipe, len(labels)),
                     {"final/accuracy": accuracy, "final/loss": loss})
    return Trained(model.eval(), optimizer, accuracy)


def _one_cycle(recipe: Recipe, optimizer: torch.optim.Optimizer,
               examples: int) -> torch.optim.lr_scheduler.LRScheduler:
    steps = recipe.epochs * -(-examples // recipe.batch)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=steps, pct_start=0.2, cycle_momentum=False)


def _settings(recipe: Recipe, examples: int) -> dict[str, float | str]:
    return {"optimizer": recipe.optimizer, "learning_rate": recipe.rate, "batch": recipe.batch,
            "epochs": recipe.epochs, "weight_decay": recipe.weight_decay, "examples": examples,
            "turned": recipe.turned, "one_cycle": recipe.one_cycle}


def _epoch(recipe: Recipe, model: nn.Module, optimizer: torch.optim.Optimizer,
           schedule: torch.optim.lr_scheduler.LRScheduler | None,
           data: tuple[torch.Tensor, torch.Tensor], run: Run, epoch: int) -> dict[str, float]:
    """One pass over the training data: its mean loss and accuracy, in training mode."""
    model.train()
    total = correct = 0.0
    for step, (pictures, labels) in enumerate(_batches(*data, recipe)):
        logits = model(normalised(pictures))
        loss = functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if schedule:
            schedule.step()
        total += loss.item() * len(labels)
        correct += (logits.argmax(1) == labels).sum().item()
        if step % 10 == 0:
            position = epoch * -(-len(data[1]) // recipe.batch) + step
            run.scalars({"loss/train_step": loss.item()}, position)
    return {"loss/train": total / len(data[1]), "accuracy/train": correct / len(data[1])}


def _batches(pictures: torch.Tensor, labels: torch.Tensor,
             recipe: Recipe) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for rows in torch.randperm(len(labels)).split(recipe.batch):
        chosen = pictures[rows]
        if recipe.turned:
            chosen = torch.cat([_turned(part) for part in chosen.split(10)])
        yield chosen, labels[rows]


def _turned(pictures: torch.Tensor) -> torch.Tensor:
    """Quarter turns, a mirror image, and a shift of up to 6 pixels, the same for a few pictures."""
    turns, mirrored, down, right = (int(torch.randint(0, n, ())) for n in (4, 2, 13, 13))
    pictures = torch.rot90(pictures, turns, (2, 3))
    pictures = pictures.flip(3) if mirrored else pictures
    return pictures.roll((down - 6, right - 6), (2, 3))


@torch.no_grad()
def evaluated(model: nn.Module, pictures: torch.Tensor,
              labels: torch.Tensor) -> tuple[float, float]:
    """Mean cross-entropy in nats, and accuracy from 0 to 1."""
    model.eval()
    logits = torch.cat([model(normalised(part)) for part in pictures.split(50)])
    correct = (logits.argmax(1) == labels).float().mean().item()
    return functional.cross_entropy(logits, labels).item(), correct
