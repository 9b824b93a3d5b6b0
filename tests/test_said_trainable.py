"""What a file says about training: Keras's frozen layers, parameters that were pickled as such."""

import pytest
import torch
from torch import nn

from core.architecture import architecture
from core.keras.package import keras_on_torch
from core.library import model_id


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 3), nn.Linear(3, 2)
        self.body.requires_grad_(False)


def test_a_frozen_keras_layer_is_said_to_be(tmp_path):
    keras = keras_on_torch()

    model = keras.Sequential([
        keras.layers.Input((8, 8, 1)), keras.layers.Conv2D(3, 3, name="frozen"),
        keras.layers.Flatten(), keras.layers.Dense(2, name="head")])
    model.get_layer("frozen").trainable = False
    model.save(tmp_path / "m.keras")
    found = architecture(model_id(tmp_path / "m.keras"))
    table = found.table.set_index("name")
    assert table.trainable["frozen"] == 0
    assert table.trainable["head"] == table.parameters["head"] > 0
    assert found.totals["trainable"] == table.parameters["head"]


@pytest.mark.parametrize("kept", [True, False])
def test_parameters_that_were_pickled_say_whether_they_were_trained(tmp_path, kept):
    """keep_vars keeps them parameters; a plain state dict holds tensors, which do not say it."""
    torch.save(Small().state_dict(keep_vars=kept), tmp_path / "m.pt")
    found = architecture(model_id(tmp_path / "m.pt"))
    assert found.totals.get("trainable") == (8 if kept else None)
    if kept:
        assert found.table.set_index("name").trainable[["body", "head"]].tolist() == [0, 8]


def test_a_whole_pickled_module_says_it_too(tmp_path):
    torch.save(nn.Sequential(nn.Linear(4, 3).requires_grad_(False), nn.ReLU(), nn.Linear(3, 2)),
               tmp_path / "m.pt")
    found = architecture(model_id(tmp_path / "m.pt"))
    assert found.totals["trainable"] == 8
