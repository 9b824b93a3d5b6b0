"""What the name of a logged metric says: which way is better, and whether it is of training or of
validation data."""

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

LOWER = {"loss", "losses", "error", "err", "nll", "perplexity", "ppl", "mse", "mae", "rmse", "wer",
         "cer", "bce", "ce", "kl", "fid"}
HIGHER = {"acc", "accuracy", "accuracies", "f1", "auc", "auroc", "auprc", "ap", "map", "precision",
          "recall", "iou", "miou", "dice", "psnr", "ssim", "bleu", "rouge", "r2", "score", "scores",
          "top1", "top5", "reward", "rewards", "return", "returns"}
UNBOUNDED = {"psnr", "reward", "rewards", "return", "returns"}  # scores that are no shares
# Losses that pull against another, or whose value says little, so that falling is no success.
PULLING = {"gan", "g", "d", "generator", "discriminator", "critic", "adversarial", "adv", "policy",
           "actor", "value", "entropy", "kl", "surrogate", "td", "q", "vf", "pg"}
RATES = ({"lr"}, {"learning", "rate"})
TRAIN = {"train", "training", "tr"}
VALIDATION = {"val", "valid", "validation", "eval", "evaluation", "dev"}
TEST = {"test", "testing"}
SETTINGS = {"scale", "scaling", "weight", "weights", "coef", "coefficient", "lr"}  # loss_scale
UNITS = {"epoch", "step", "batch", "avg", "average", "mean", "total"}  # not what is measured


class Pair(NamedTuple):
    """Tags, each with its run, that measure the same of training and of other data."""

    train: tuple[str, str]
    validation: tuple[str, str]


@cache
def words(name: str) -> tuple[str, ...]:
    """The lower-case words of a tag: "valLoss", "loss/val" and "val_loss" have the same two."""
    return tuple(re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()))


def direction(tag: str) -> str:
    """"lower" or "higher" where a word of the tag says what is better, else ""."""
    said = set(words(tag))
    if said & SETTINGS:
        return ""
    if said & LOWER:
        return "lower"
    return "higher" if said & HIGHER else ""


def must_fall(tag: str) -> bool:
    """Whether a training that goes well lowers it."""
    said = set(words(tag))
    return direction(tag) == "lower" and ("cross" in said or not said & PULLING)


def is_learning_rate(tag: str) -> bool:
    """Whether it is the learning rate, of one or of all groups of parameters."""
    said = set(words(tag))
    return any(rate <= said for rate in RATES) and not said & (LOWER | HIGHER)


def split_of(name: str) -> str:
    """"train", "validation" or "test" where a word says so, else ""."""
    said = set(words(name))
    for split, known in (("validation", VALIDATION), ("test", TEST), ("train", TRAIN)):
        if said & known:
            return split
    return ""


def by_the_run(run: str) -> bool:
    """Whether the last part of a run's name says of which data it is, and nothing else."""
    last = words(run.rpartition("/")[2])
    return bool(last) and set(last) <= TRAIN | VALIDATION | TEST


def measured(name: str) -> tuple[str, ...]:
    """The words that say what is measured, without those of split and unit, sorted."""
    return tuple(sorted(set(words(name)) - TRAIN - VALIDATION - TEST - UNITS))


def pairs(series: Iterable[tuple[str, str]]) -> list[Pair]:
    """Training and validation tags, (run, tag) each, that measure the same.

    Known: train_loss and val_loss, loss/train and loss/val, loss and val_loss, and runs named
    train and validation, as Keras writes them. Test data stands in where there is no validation.
    """
    sides: dict[tuple, dict[str, tuple[str, str]]] = {}
    for run, tag in series:
        folder, _, last = run.rpartition("/")
        by_run = split_of(last) if by_the_run(run) else ""
        split = split_of(tag) or by_run or "unsaid"
        key = (folder if by_run else run, measured(tag))
        sides.setdefault(key, {}).setdefault(split, (run, tag))
    found = []
    for side in sides.values():
        train = side.get("train") or side.get("unsaid")
        held_out = side.get("validation") or side.get("test")
        if train and held_out:
            found.append(Pair(train, held_out))
    return found
