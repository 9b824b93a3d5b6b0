"""Hard examples: the images that a classifier gets most wrong, or is least sure of."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.cache import cached_result
from core.inference import log_probabilities
from core.outcomes import outcomes, scored, standing, truth


@dataclass(frozen=True)
class Score:
    """One measure of hardness. of: ln p (N, K) and labels (N,) -> (N,), higher is harder; without
    labels they are None. words: what it says, for a person. unit: of its values, or none."""

    of: Callable[[np.ndarray, np.ndarray | None], np.ndarray]
    words: str
    needs_labels: bool = False
    unit: str = ""


def cross_entropy(logs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """-ln p(true class), in nats, 0 to 27.6."""
    return -logs[np.arange(len(labels)), labels]


def margin(logs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Probability of the best wrong class minus the true one's, -1 to 1; above 0 is a mistake."""
    rows, rivals = np.arange(len(labels)), np.exp(logs)
    true = rivals[rows, labels]
    rivals[rows, labels] = -np.inf
    return rivals.max(axis=1) - true


def entropy(logs: np.ndarray, _labels: np.ndarray | None) -> np.ndarray:
    """How undecided the answer is whatever the label, in nats, 0 to ln K."""
    return -(np.exp(logs) * logs).sum(axis=1)


def doubt(logs: np.ndarray, _labels: np.ndarray | None) -> np.ndarray:
    """1 minus the answer's probability, 0 to 1."""
    return 1 - np.exp(logs.max(axis=1))


def close_second(logs: np.ndarray, _labels: np.ndarray | None) -> np.ndarray:
    """Probability of the second class minus the answer's, -1 to 0; 0 is a tie."""
    ordered = np.sort(np.exp(logs), axis=1)
    return (ordered[:, -2] if logs.shape[1] > 1 else 0.0) - ordered[:, -1]


SCORES = {
    "Cross-entropy": Score(cross_entropy, "how little the true class was believed", True, "nats"),
    "Margin": Score(margin, "how far a wrong class was ahead of the true one", True),
    "Entropy": Score(entropy, "how undecided the answer is, whatever the label", unit="nats"),
    "Doubt": Score(doubt, "how unsure of its answer the network is, whatever the label"),
    "Close second": Score(close_second, "how near the second class comes, whatever the label"),
}


def scores_for(model_id: str, dataset_id: str) -> list[str]:
    """The names in SCORES that apply: without labels that this model knows, some do not."""
    known = standing(model_id, dataset_id).scored
    return [name for name, score in SCORES.items() if known or not score.needs_labels]


@cached_result
def hardest_examples(model_id: str, dataset_id: str, score: str, limit: int) -> pd.DataFrame:
    """The `limit` hardest examples, hardest first: the columns of core.outcomes.outcomes and
    `score`, see SCORES; of data with labels those that have one. Raises UserError if the score
    needs labels and there are none."""
    measure, labels = SCORES[score], None
    if measure.needs_labels or standing(model_id, dataset_id).scored:
        table = scored(model_id, dataset_id)
        labels = truth(model_id, dataset_id).labels[table["example"]]
    else:
        table = outcomes(model_id, dataset_id)
    logs = log_probabilities(model_id, dataset_id)[table["example"].to_numpy()]
    table["score"] = measure.of(logs, labels)
    return table.nlargest(limit, "score").reset_index(drop=True)
