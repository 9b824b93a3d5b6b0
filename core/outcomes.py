"""The one pass as a table: what was said of each example, and whether it is right."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from core.cache import cached_result
from core.errors import UserError
from core.inference import answered, log_probabilities
from core.jobs import Working
from core.labels import UNKNOWN, Truth, match_labels, unique
from core.library import open_dataset
from core.model_facts import model_facts


@dataclass(frozen=True)
class Standing:
    """How far a model and data get together, each step with those before it. opens: there is a
    model. answers: it says something of this data. scored: of labels too, so that answers are right
    or wrong. fault: why it goes no further, None where nothing is amiss."""

    opens: bool
    answers: bool
    scored: bool
    fault: UserError | None = None


def standing(model_id: str | None, dataset_id: str | None) -> Standing:
    """What can be said. Work under way counts as done: the parts that need it wait for it."""
    steps: list[Callable[[], object]] = []
    if model_id:
        steps.append(partial(model_facts, model_id))
    if model_id and dataset_id:
        steps.append(partial(_answered, model_id, dataset_id))
        if open_dataset(dataset_id).labels is not None:
            steps.append(partial(_scored, model_id, dataset_id))
    reached, fault = 0, None
    try:
        for step in steps:
            step()
            reached += 1
    except Working:
        reached = len(steps)
    except UserError as error:
        fault = error
    return Standing(reached > 0, reached > 1, reached > 2, fault)


@cached_result
def _answered(model_id: str, dataset_id: str) -> int:
    return len(outcomes(model_id, dataset_id))


@cached_result
def _scored(model_id: str, dataset_id: str) -> int:
    return len(scored(model_id, dataset_id))


def truth(model_id: str, dataset_id: str) -> Truth:
    """The classes and the right answers, as the model's outputs number them."""
    data = open_dataset(dataset_id)
    outputs = log_probabilities(model_id, dataset_id).shape[1]
    return match_labels(
        outputs, model_facts(model_id).card.class_names, data.class_names, data.labels
    )


@cached_result
def outcomes(model_id: str, dataset_id: str) -> pd.DataFrame:
    """One row an example that could be read: example, path, label, prediction, confidence (0 to 1),
    loss (cross-entropy, nats), correct. Without labels the last two and `label` are missing."""
    logs = log_probabilities(model_id, dataset_id)
    known = truth(model_id, dataset_id)
    guesses = np.concatenate([chunk.argmax(1) for chunk in _chunks(logs)])
    best = np.concatenate([chunk.max(1) for chunk in _chunks(logs)])
    if np.isnan(best).all():
        raise UserError(
            "No example has a prediction: either no picture could be read, or the network's "
            "outputs are not numbers. Check the mean, the standard deviation and the range in the "
            "model card, and the weights on the page Architecture."
        )
    table = pd.DataFrame(
        {
            "example": np.arange(len(logs)),
            "path": open_dataset(dataset_id).metadata["path"].astype(str).to_numpy(),
            "prediction": pd.Categorical.from_codes(guesses, known.class_names),
            "confidence": np.exp(best, dtype=np.float64),
        }
    )
    if known.labels is not None:
        right = np.where(known.labels == UNKNOWN, 0, known.labels)
        loss = -logs[np.arange(len(logs)), right].astype(np.float64)
        table.insert(2, "label", pd.Categorical.from_codes(known.labels, known.class_names))
        table["loss"] = np.where(known.labels == UNKNOWN, np.nan, loss)
        table["correct"] = known.labels == guesses
    return table[~np.isnan(best)].reset_index(drop=True)


def examples(model_id: str, dataset_id: str) -> pd.DataFrame:
    """What is known of each example: the rows of `outcomes`; of a network without classes only
    example, path and, where the data has labels, label."""
    if model_facts(model_id).card.has_classes:
        return outcomes(model_id, dataset_id)
    data, rows = open_dataset(dataset_id), np.flatnonzero(answered(model_id, dataset_id))
    paths = data.metadata["path"].astype(str).to_numpy()
    table = pd.DataFrame({"example": rows, "path": paths[rows]})
    if data.labels is not None:
        table["label"] = pd.Categorical.from_codes(data.labels[rows], unique(data.class_names))
    return table


def _chunks(array: np.ndarray, rows: int = 65536) -> Iterator[np.ndarray]:
    return (array[start : start + rows] for start in range(0, len(array), rows))


@cached_result
def scored(model_id: str, dataset_id: str) -> pd.DataFrame:
    """The rows of `outcomes` that have a label. Raises UserError if there is none."""
    table = outcomes(model_id, dataset_id)
    if "label" not in table:
        raise UserError(
            "This data has no labels, so nothing can be right or wrong. Use a folder with "
            "one sub-folder per class."
        )
    table = table[table["label"].notna()].reset_index(drop=True)
    if table.empty:
        raise UserError(
            "No label of this data is a class of this model. Choose data with the model's "
            "classes, or correct the class names in the model card."
        )
    return table
