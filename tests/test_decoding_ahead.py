"""The pass decodes while the network computes, and only so far ahead that memory stays bounded."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from core.card import InputSpec
from core.dataset_formats import DataSet
from core.errors import UserError
from core.one_pass import forward_pass
from core.one_pass.batches import MOST_BETWEEN
from core.one_pass.decoder import Decoder
from core.one_pass.workers import Workers

EXAMPLES = 400
LONG = 20  # seconds until a test gives up; none takes that long unless it fails
SPEC = InputSpec(channels=1, height=2, width=2, channel_order="RGB", range=(0, 255), mean=(0.0,),
                 std=(1.0,), resize="stretch")


class Recorded:
    """A data set that knows which of its pictures were decoded; the first pixel is the row."""

    def __init__(self, unreadable=()):
        self.decoded = [threading.Event() for _ in range(EXAMPLES)]
        self.unreadable = unreadable
        self.data = DataSet("recorded", self.image, None, (),
                            pd.DataFrame({"path": [str(row) for row in range(EXAMPLES)]}))

    def image(self, row):
        self.decoded[row].set()
        if row in self.unreadable:
            raise UserError("damaged")
        return np.full((2, 2, 1), row % 256, np.uint8)

    def count(self):
        return sum(event.is_set() for event in self.decoded)


class Watching(nn.Module):
    """Gives each row's first pixel; `look` is called in the middle of each forward pass."""

    def __init__(self, look):
        super().__init__()
        self.look, self.sizes, self.lock = look, [], threading.Lock()

    def forward(self, inputs):
        with self.lock:
            self.sizes.append(len(inputs))
            self.look(self)
        return torch.stack([inputs[:, 0, 0, 0], inputs[:, 0, 0, 1]], 1)


def passed(recorded, look, monkeypatch, at_once):
    """The outputs of the pass on all examples, and the network."""
    @contextmanager
    def team():
        with ThreadPoolExecutor(at_once) as pool:
            yield Workers(at_once, pool if at_once > 1 else None)

    monkeypatch.setattr(forward_pass, "workers", team)
    with Decoder(recorded.data, SPEC) as decoder:
        model = Watching(lambda model: look(model, decoder))
        found = [outputs[""] for _, outputs in forward_pass.batches(
            model, decoder, EXAMPLES, {}, lambda done, total: None)]
    return np.concatenate(found), model


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_the_next_pictures_are_decoded_before_the_forward_pass_is_over(monkeypatch, at_once):
    recorded, waited = Recorded(), []

    def until_the_next_is_decoded(model, decoder):
        begun = sum(model.sizes)  # rows that are in this batch, before it, or beside it
        following = min(begun + at_once * model.sizes[-1], EXAMPLES) - 1
        assert all(waited), "waits once only"
        waited.append(recorded.decoded[following].wait(LONG))

    outputs, _ = passed(recorded, until_the_next_is_decoded, monkeypatch, at_once)
    assert waited
    assert all(waited)
    assert np.allclose(outputs[:, 0], np.arange(EXAMPLES) % 256, atol=1e-3)


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_a_fixed_number_of_batches_waits_however_slow_the_network(monkeypatch, at_once):
    recorded, most = Recorded(), []

    def when_decoding_has_stopped(model, decoder):
        for future in list(decoder.ahead.values()):
            future.result(LONG)
        waiting = recorded.count() - (sum(model.sizes) - model.sizes[-1])
        most.append(waiting / max(model.sizes))

    passed(recorded, when_decoding_has_stopped, monkeypatch, at_once)
    run = at_once * MOST_BETWEEN if at_once > 1 else 1
    rounds = run + max(forward_pass.BATCHES_AHEAD, run)  # those that run, and those ahead
    assert 1 < max(most) <= rounds + 1


def test_the_pictures_of_a_batch_that_is_done_are_let_go(monkeypatch):
    recorded = Recorded()

    def look(model, decoder):
        assert min(decoder.ahead, default=EXAMPLES) >= sum(model.sizes)

    passed(recorded, look, monkeypatch, 1)


def test_an_unreadable_picture_ahead_keeps_its_place(monkeypatch):
    outputs, _ = passed(Recorded(unreadable={17, 230}), lambda model, decoder: None, monkeypatch, 2)
    expected = np.arange(EXAMPLES) % 256
    expected[[17, 230]] = 0
    assert np.allclose(outputs[:, 0], expected, atol=1e-3)
