"""Hard examples: the images a classifier gets most wrong."""

import numpy as np
import pandas as pd

from core.cache import cached_result
from core.inference import log_probabilities
from core.outcomes import scored, truth


def cross_entropy(logs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """-ln p(true class), in nats, 0 to 27.6."""
    return -logs[np.arange(len(labels)), labels]


def margin(logs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Probability of the best wrong class minus the true one's, -1 to 1; above 0 is a mistake."""
    rows, rivals = np.arange(len(labels)), np.exp(logs)
    true = rivals[rows, labels]
    rivals[rows, labels] = -np.inf
    return rivals.max(axis=1) - true


def entropy(logs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How undecided the answer is whatever the label, in nats, 0 to ln K."""
    return -(np.exp(logs) * logs).sum(axis=1)


# A score maps ln p (N, K) and labels (N,) to (N,); higher is harder.
SCORES = {"Cross-entropy": cross_entropy, "Margin": margin, "Entropy": entropy}


@cached_result
def hardest_examples(model_id: str, dataset_id: str, score: str, limit: int) -> pd.DataFrame:
    """The `limit` hardest examples, hardest first: the columns of core.outcomes.outcomes and
    `score`, see SCORES. Raises UserError if the data has no labels."""
    table = scored(model_id, dataset_id)
    rows = table["example"].to_numpy()
    labels = truth(model_id, dataset_id).labels[rows]
    table["score"] = SCORES[score](log_probabilities(model_id, dataset_id)[rows], labels)
    return table.nlargest(limit, "score").reset_index(drop=True)
