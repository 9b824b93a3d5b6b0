"""Which of several outputs of a frozen network are its scores, in every frozen form."""

import pytest
import torch
from torch import nn

from core.errors import UserError
from tests.exported_forms import FROZEN, opened, written


class Several(nn.Module):
    """Maps first, then the class, then its logits."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 6, 3), nn.Linear(6, 4)

    def forward(self, x):
        maps = self.conv(x)
        logits = self.head(maps.relu().mean((2, 3)))
        return maps, logits.argmax(1), logits


class OnlyTheClass(Several):
    """A network that gives the class alone, as those exported for phones do."""

    def forward(self, x):
        return self.head(self.conv(x).relu().mean((2, 3))).argmax(1)


@pytest.mark.parametrize("form", FROZEN)
def test_the_scores_are_told_from_maps_and_classes(form, tmp_path):
    torch.manual_seed(0)
    net, example = Several().eval(), torch.rand(2, 3, 12, 12)
    loaded = opened(written(net, form, tmp_path, example), example)
    with torch.no_grad():
        maps, classes, logits = net(example)
        scores, *others = loaded.module(example)
    torch.testing.assert_close(scores, logits)
    torch.testing.assert_close(others, [maps, classes])
    assert "has 3 outputs; number 3, of N × 4, is taken for its scores." in " ".join(loaded.notes)


@pytest.mark.parametrize("form", FROZEN)
def test_a_class_alone_is_not_taken_for_a_score(form, tmp_path):
    example = torch.rand(2, 3, 12, 12)
    path = written(OnlyTheClass().eval(), form, tmp_path, example)
    with pytest.raises(UserError, match=r"network\..*whole numbers.*no scores"):
        opened(path, example)
