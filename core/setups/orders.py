"""Other ways in which a data set's classes may stand for a network's outputs."""

import re
from dataclasses import dataclass

import numpy as np

from core.labels import UNKNOWN, Truth, class_mismatch, named, plain, positions

MOST_CLASSES = 100  # to which outputs are assigned by what is predicted: more need larger samples
FOLDS = 5
LEAST_LOG = -27.6  # ln of the smallest probability that is told from 0


@dataclass(frozen=True)
class Order:
    """output_of: int64 (D,), the output for each class of the data, or UNKNOWN. words: none for
    how they meet now. class_names (K): what a card says for that."""

    words: str
    output_of: np.ndarray
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Answers:
    """What is right (n,) and the loss in nats (n,) of n examples."""

    right: np.ndarray
    loss: np.ndarray


def answers(logs: np.ndarray, output: np.ndarray) -> Answers:
    """Of ln p (n, K), where output (n,) is right, or UNKNOWN; an output that is NaN is wrong."""
    filled = np.where(np.isnan(logs), LEAST_LOG, logs)
    loss = -np.where(output == UNKNOWN, LEAST_LOG, filled[np.arange(len(logs)), output])
    usable = (output != UNKNOWN) & ~np.isnan(logs).any(1)
    return Answers(usable & (filled.argmax(1) == output), loss)


def orders(truth: Truth, data_names: tuple[str, ...]) -> list[Order]:
    """How labels and outputs meet now, then what names and counts suggest: sorted as text, sorted
    as numbers, by index, counted from 1. Only the first where names repeat."""
    now = truth.output_of
    found = [Order("", now, truth.class_names)]
    if len(set(map(plain, data_names))) < len(now):
        return found
    outputs = len(truth.class_names)
    by_names = now if (positions(truth.class_names, data_names) == now).all() else None
    names = truth.class_names if by_names is not None else data_names
    ways = []
    if len(names) == outputs and (now != UNKNOWN).all():
        ways += [("class names sorted as text", tuple(sorted(names))),
                 ("class names sorted as numbers", tuple(sorted(names, key=_by_number)))]
    mismatch = class_mismatch(outputs, truth.class_names, data_names)
    for proposal in mismatch.proposals if mismatch else ():
        ways.append((f"classes {proposal.title[0].lower()}{proposal.title[1:]}",
                     proposal.class_names))
    for words, class_names in ways:
        output_of = positions(class_names, data_names)
        if not any((output_of == other.output_of).all() for other in found):
            found.append(Order(words, output_of, class_names))
    return found


def _by_number(name: str) -> list[tuple[bool, int, str]]:
    parts = re.findall(r"\d{1,15}|\D+", name)
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def suggested(logs: np.ndarray, labels: np.ndarray, now: np.ndarray) -> np.ndarray:
    """The output for each class (D,) that gives labels (n,) the highest mean probability, one
    output a class; what the examples leave open stays as it is now."""
    from scipy.optimize import linear_sum_assignment

    share = np.zeros((len(now), logs.shape[1]))
    np.add.at(share, labels, np.nan_to_num(np.exp(logs, dtype=np.float64)))
    share /= np.maximum(np.bincount(labels, minlength=len(now)), 1)[:, None]
    known = np.flatnonzero(now != UNKNOWN)
    share[known, now[known]] += 1e-6
    classes, outputs = linear_sum_assignment(-share)
    found = np.full(len(now), UNKNOWN)
    found[classes] = outputs
    return found


def can_be_suggested(labels: np.ndarray, now: np.ndarray) -> bool:
    """Whether a sample's labels (n,) say enough of every class."""
    return 2 <= len(now) <= MOST_CLASSES and len(labels) >= 2 * len(now)


def cross_checked(logs: np.ndarray, labels: np.ndarray, now: np.ndarray) -> Answers:
    """How `suggested` does on examples that it was not made from: five parts in turn."""
    fold = np.empty(len(labels), int)
    fold[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % FOLDS
    output = np.empty(len(labels), int)
    for part in range(FOLDS):
        output[fold == part] = suggested(logs[fold != part], labels[fold != part], now)[
            labels[fold == part]
        ]
    return answers(logs, output)


def suggested_order(logs: np.ndarray, labels: np.ndarray, truth: Truth,
                    data_names: tuple[str, ...]) -> Order:
    """The order that all of the examples suggest."""
    output_of = suggested(logs, labels, truth.output_of)
    moved = int((output_of != truth.output_of).sum())
    return Order(
        f"{moved} of {len(output_of)} classes meet another output",
        output_of,
        named(output_of, data_names, truth.class_names, len(truth.class_names)),
    )
