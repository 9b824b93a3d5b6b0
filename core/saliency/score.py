"""The number that every gradient method explains: the network's output for one class."""

import torch
from torch import nn

from core.errors import UserError
from core.layers import first_tensor


def target_score(model: nn.Module, image: torch.Tensor, target: int) -> torch.Tensor:
    """The network's raw output for a class, as the file gives it: a logit, or a probability where
    the network ends in one. Raises UserError where no gradient can be taken of it."""
    scores = first_tensor(model(image))
    if scores is None or scores.dim() < 2 or not 0 <= target < scores[0].numel():
        shape = None if scores is None else tuple(scores.shape)
        raise UserError(f"The network gives {shape}, which has no class {target}. "
                        "Choose another class.")
    score = scores.flatten(1)[0, target]
    if not score.requires_grad:
        raise UserError("The score of the class does not depend on what is explained, or the "
                        "network rounds, thresholds or detaches on the way. Choose another layer "
                        "or method.")
    return score
