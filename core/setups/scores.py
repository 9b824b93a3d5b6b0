"""Scores of several set-ups on a sample: each picture is decoded once, each input runs once."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from core.card import InputSpec
from core.errors import UserError
from core.inference import log_probabilities_of
from core.jobs import Progress
from core.labels import UNKNOWN
from core.library import open_dataset
from core.model_facts import model_facts
from core.preprocess import scaled
from core.samples import sample_rows
from core.setups.changes import Fits, fittings
from core.setups.setup import SetUp
from core.threads import side_by_side

if TYPE_CHECKING:
    import torch

MOST_BYTES = 256 << 20  # of pictures in memory
DECODERS = 4


def sample(labels: np.ndarray, limit: int) -> np.ndarray:
    """At most `limit` rows that have a label, stratified by class, always the same."""
    rows = np.flatnonzero(labels != UNKNOWN)
    return rows if len(rows) <= limit else rows[sample_rows(labels[rows], len(rows), limit)]


def pictures(
    dataset_id: str, spec: InputSpec, limit: int, progress: Progress
) -> tuple[Fits, np.ndarray, list[str]]:
    """The sample's pictures, each decoded once, in every way to the input's size; their rows."""
    data, ways = open_dataset(dataset_id), fittings(spec)
    size = len(ways) * spec.height * spec.width * spec.channels
    rows = sample(data.labels, max(1, min(limit, MOST_BYTES // size)))

    def decoded(row: int) -> list[np.ndarray] | None:
        try:
            picture = data.image(int(row))
        except UserError:
            return None  # counted in the notes
        return [setup.fitted(picture) for setup in ways.values()]

    found = []
    with side_by_side(DECODERS, "netlens-decode") as pool:
        for fitted in pool.map(decoded, rows):
            found.append(fitted)
            progress(0, 0)
    readable = np.array([fitted is not None for fitted in found], dtype=bool)
    if not readable.any():
        raise UserError(f"No picture of {data.title} could be read. Choose other data.")
    kept = [fitted for fitted in found if fitted is not None]
    notes = [f"{len(kept):,} of {int((data.labels != UNKNOWN).sum()):,} labelled examples were "
             "tried, stratified by class, always the same."]
    if lost := int((~readable).sum()):
        notes.append(f"{lost:,} pictures that could not be read are left out.")
    return dict(zip(ways, zip(*kept, strict=True), strict=True)), rows[readable], notes


class Scores:
    """Runs set-ups on pictures, each pair once; stands where the pass has its decoder."""

    def __init__(
        self, model_id: str, setups: Sequence[SetUp], fits: Fits, total: int, progress: Progress
    ) -> None:
        from core.one_pass.forward_pass import model_on_device

        self.model, self.card = model_on_device(model_id), model_facts(model_id).card
        self.setups, self.fits, self.progress = setups, fits, progress
        self.known: dict[tuple[int, int], np.ndarray] = {}
        self.plan: list[tuple[int, int]] = []
        self.ended, self.total = 0, total

    def logs(self, chosen: np.ndarray, examples: np.ndarray) -> np.ndarray:
        """ln p of the chosen set-ups on these examples, (A, n, K)."""
        from core.one_pass.forward_pass import batches

        self.plan = [(setup, example) for setup in chosen.tolist() for example in examples.tolist()
                     if (setup, example) not in self.known]
        for start, found in batches(self.model, self, len(self.plan), {}, self._told):
            for pair, logs in zip(self.plan[start:], log_probabilities_of(found[""], self.card),
                                  strict=False):
                self.known[pair] = logs
        self.ended += len(self.plan)
        return np.stack([[self.known[setup, example] for example in examples.tolist()]
                         for setup in chosen.tolist()])

    def _told(self, done: int, total: int) -> None:
        self.progress(self.ended + done, self.total)

    def take(self, start: int, size: int, _ahead: int = 0) -> list[tuple[int, int]]:
        """The next of what is planned."""
        return self.plan[start : start + size]

    def inputs(self, pairs: list[tuple[int, int]]) -> "torch.Tensor":
        """What the network gets for them, float32 (N, C, H, W)."""
        import torch

        return torch.cat([scaled(list(pictures), setup.spec)
                          for setup, pictures in self._by_setup(pairs)])

    def _by_setup(self, pairs: list[tuple[int, int]]) -> Iterator[tuple[SetUp, list[np.ndarray]]]:
        for number, group in groupby(pairs, key=lambda pair: pair[0]):
            setup = self.setups[number]
            fitted = self.fits[setup.fitting]
            yield setup, [setup.turned(fitted[example]) for _, example in group]
