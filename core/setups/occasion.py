"""Whether other set-ups are tried unasked, or offered to be."""

from enum import Enum

from core.cache import cached_result
from core.inference import input_spec
from core.library import open_dataset
from core.outcomes import truth
from core.setups.finder import EXAMPLES, planned, share_met, share_right
from core.setups.scores import sample

DOUBTFUL = 0.9  # share right below which other set-ups are tried unasked, if that is quick
MOST = 0.5  # share of labels that the network can know, below which others cannot help
QUICK = 128 * 128  # pixels of an input for which it is
SETUPS = 96  # alternatives that there are at most
ERRORS = 2.0  # standard errors above guessing that still are chance


class Occasion(Enum):
    """NONE: what is right speaks for the set-up. GUESSING: answers are no better than guesses, and
    trying others costs more than the pass did. UNASKED: others are tried at once."""

    NONE = 0
    GUESSING = 1
    UNASKED = 2


@cached_result
def occasion(model_id: str, dataset_id: str) -> Occasion:
    """What the answers of the pass give occasion to. May raise Working."""
    share = share_right(model_id, dataset_id)
    if share is None or share >= DOUBTFUL or share_met(model_id, dataset_id) < MOST:
        return Occasion.NONE
    spec, _ = input_spec(model_id, dataset_id)
    if spec.height * spec.width <= QUICK:
        return Occasion.UNASKED
    if not guesses(model_id, dataset_id):
        return Occasion.NONE
    cheap = runs(dataset_id) <= len(open_dataset(dataset_id))
    return Occasion.UNASKED if cheap else Occasion.GUESSING


@cached_result
def guesses(model_id: str, dataset_id: str) -> bool:
    """Whether no more of the sample is right than by guessing, or more by what chance explains."""
    outputs = len(truth(model_id, dataset_id).class_names)
    chance, number = 1 / outputs, tried_on(dataset_id)
    error = (chance * (1 - chance) / max(1, number)) ** 0.5
    share = share_right(model_id, dataset_id)
    return outputs > 1 and share is not None and share <= chance + ERRORS * error


def tried_on(dataset_id: str) -> int:
    """How many labelled examples the search looks at."""
    labels = open_dataset(dataset_id).labels
    return 0 if labels is None else len(sample(labels, EXAMPLES))


def runs(dataset_id: str) -> int:
    """How often the search runs the network at most; the pass did once an example."""
    return planned(SETUPS, tried_on(dataset_id))
