"""Activations by the names that people and papers give them."""

import re
from collections.abc import Callable

from torch import nn

# The commonest first: the order in which they are proposed.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "ReLU": nn.ReLU,
    "Tanh": nn.Tanh,
    "Sigmoid": nn.Sigmoid,
    "LeakyReLU": nn.LeakyReLU,
    "GELU": nn.GELU,
    "ELU": nn.ELU,
    "SiLU": nn.SiLU,
    "SELU": nn.SELU,
}
ALIASES = {"Swish": "SiLU", "Leaky ReLU": "LeakyReLU", "leaky_relu": "LeakyReLU"}


def activation_in(text: str | None) -> str | None:
    """The activation that a text such as "ResNet (Tanh)" names, in any case; None where none is."""
    spelled = ALIASES | {name: name for name in ACTIVATIONS}
    for word in sorted(spelled, key=len, reverse=True):
        if text and re.search(rf"(?<![a-z]){re.escape(word)}(?![a-z])", text, re.IGNORECASE):
            return spelled[word]
    return None
