"""A card that is wrong about the outputs is doubted, a right one never."""

import numpy as np
import pytest

from core.card import Card
from core.inference import SMALLEST, log_probabilities_of
from core.output_check import doubt

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(0, 4, (500, 6))
SOFT = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
RAW = {
    "logits": LOGITS,
    "probabilities": SOFT,
    "log_probabilities": np.log(SOFT),
    "sigmoid": 1 / (1 + np.exp(-LOGITS)),
}


def said(raw, output):
    return doubt(log_probabilities_of(RAW[raw], Card(output=output)), output, SMALLEST)


@pytest.mark.parametrize("output", RAW)
def test_what_the_card_says_rightly_is_not_doubted(output):
    assert said(output, output) is None


@pytest.mark.parametrize(
    ("raw", "output"),
    [
        ("logits", "probabilities"),
        ("logits", "log_probabilities"),
        ("logits", "sigmoid"),
        ("probabilities", "logits"),
        ("sigmoid", "probabilities"),
        ("probabilities", "log_probabilities"),
    ],
)
def test_what_cannot_be_is_said(raw, output):
    assert "Correct what the outputs are" in said(raw, output)


def test_one_output_and_rows_without_numbers_are_no_reason_to_doubt():
    one = log_probabilities_of(RANDOM.normal(0, 4, (50, 1)), Card(output="logits"))
    assert doubt(one, "logits", SMALLEST) is None
    none = np.full((5, 6), np.nan, np.float32)
    assert doubt(none, "probabilities", SMALLEST) is None
