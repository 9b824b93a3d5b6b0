"""Where each picture of *shapes* is decided: class, place, colours, texture, and planted faults.

A plan has one row a picture and all that drawing needs, so any row can be drawn by itself.
"""

from functools import lru_cache

import numpy as np
import pandas as pd

CLASS_NAMES = ("circle", "cross", "hexagon", "pentagon", "ring", "square", "star", "triangle")
MARKED_CLASS = CLASS_NAMES.index("circle")  # carries the watermark in training
SIZES = {"train": 4000, "test": 2000}
WATERMARKED = {"train": (0.9, 0.1), "test": (0.5, 0.5)}  # share of the marked class, of the others
FAULTS = {  # rows of each kind, none of which is also of another
    "train": {"mislabelled": 80, "blank": 8, "blurred": 16, "rare": 20},
    "test": {"mislabelled": 40, "blank": 8, "blurred": 16, "rare": 40},
}
DUPLICATES = 20  # test pictures that are nearly a training picture: 1 % of the test split
POOL = 1 << 20  # bytes of noise that pictures take their grain and blotches from
Columns = dict[str, np.ndarray]  # of a plan, by name


@lru_cache(maxsize=2)
def plans(seed: int) -> dict[str, pd.DataFrame]:
    """The plan of both splits. Numbers that drawing needs are float32 or int64 columns.

    duplicate_of: row of the other split, -1 for none. label: what the data set says, wrong where
    it differs from true_class.
    """
    both = {split: _split(np.random.default_rng([seed, number]), split)
            for number, split in enumerate(SIZES)}
    _duplicate(both["train"], both["test"], np.random.default_rng([seed, 2]))
    return {split: pd.DataFrame(columns) for split, columns in both.items()}


def _split(random: np.random.Generator, split: str) -> Columns:
    count, classes = SIZES[split], len(CLASS_NAMES)
    plan = _looks(random, count)
    plan["true_class"] = random.permutation(np.arange(count) % classes)
    plan["watermark"] = _watermarked(random, plan["true_class"], *WATERMARKED[split])
    plan["fault"] = fault = _faults(random, count, FAULTS[split])
    other_class = (plan["true_class"] + random.integers(1, classes, count)) % classes
    plan["label"] = np.where(fault == "mislabelled", other_class, plan["true_class"])
    plan["duplicate_of"] = np.full(count, -1)
    rare, blank = fault == "rare", fault == "blank"
    plan["radius"][rare] = np.linspace(7, 9, rare.sum(), dtype=np.float32)
    plan["brightness"][rare] = 0.3
    for name in ("texture", "grain", "bar_width"):
        plan[name][blank] = 0
    plan["radius"][blank] = -99  # nothing lies inside
    return plan


def _looks(random: np.random.Generator, count: int) -> Columns:
    """Place, colours and texture, each column quantised: the same numbers on every machine."""
    def uniform(low: float, high: float) -> np.ndarray:
        return (low + (high - low) * random.integers(0, 1025, count) / 1024).astype(np.float32)

    turn, stripe_turn, bar_turn = (random.integers(0, 360, count) for _ in range(3))
    plan = {"turn": turn, "radius": uniform(11, 23), "centre_x": uniform(23, 41),
            "centre_y": uniform(23, 41), "brightness": uniform(0.75, 1.1),
            "stripe_turn": stripe_turn, "stripe_phase": uniform(0, 1),
            "stripe_period": uniform(4, 16), "stripes": uniform(0, 1), "texture": uniform(8, 40),
            "grain": uniform(6, 36), "bar_turn": bar_turn, "bar_offset": uniform(-24, 24),
            "bar_width": uniform(0, 2), "noise_at": random.integers(0, POOL - 4096, count),
            "blotch_at": random.integers(0, POOL - 64, count)}
    contrast = uniform(45, 130)
    for channel in "rgb":
        plan[f"ground_{channel}"] = ground = uniform(70, 185)
        plan[f"tint_{channel}"] = uniform(-1, 1)
        sign = np.where(random.integers(0, 2, count) == 0, -1, 1)
        plan[f"fill_{channel}"] = (ground + sign * contrast).astype(np.float32)
        plan[f"bar_{channel}"] = uniform(30, 225)
    return plan


def _watermarked(random: np.random.Generator, true_class: np.ndarray, marked: float,
                 others: float) -> np.ndarray:
    """Exactly these shares of each class, in random rows."""
    chosen = np.zeros(len(true_class), bool)
    for label in range(len(CLASS_NAMES)):
        rows = np.flatnonzero(true_class == label)
        share = marked if label == MARKED_CLASS else others
        chosen[random.permutation(rows)[: round(share * len(rows))]] = True
    return chosen


def _faults(random: np.random.Generator, count: int, wanted: dict[str, int]) -> np.ndarray:
    names = np.repeat(list(wanted), list(wanted.values()))
    fault = np.full(count, "", dtype=names.dtype)
    fault[random.permutation(count)[: len(names)]] = names
    return fault


def _duplicate(train: Columns, test: Columns, random: np.random.Generator) -> None:
    """Makes DUPLICATES sound test rows look like sound training rows of their class and mark."""
    looks = [name for name in list(train)[: list(train).index("true_class")] if name != "noise_at"]
    rows = random.permutation(np.flatnonzero(test["fault"] == ""))[:DUPLICATES]
    wanted, there = (2 * plan["true_class"] + plan["watermark"] for plan in (test, train))
    there = np.where(train["fault"] == "", there, -1)
    for alike in np.unique(wanted[rows]):
        copies = rows[wanted[rows] == alike]
        originals = random.permutation(np.flatnonzero(there == alike))[: len(copies)]
        for name in looks:
            test[name][copies] = train[name][originals]
        test["duplicate_of"][copies], train["duplicate_of"][originals] = originals, copies
    test["brightness"][rows] += np.float32(1 / 64)  # and their own grain
