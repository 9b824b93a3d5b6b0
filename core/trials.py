"""A network whose architecture is a guess, tried on a stratified sample of labelled data."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from core.card import Card, InputSpec
from core.dataset_formats import DataSet
from core.errors import UserError
from core.inference import log_probabilities_of
from core.labels import UNKNOWN, match_labels
from core.preprocess import completed, resized, scaled
from core.samples import sample_rows
from core.threads import side_by_side

if TYPE_CHECKING:
    from core.architectures import Built, Tensors

EXAMPLES = 256  # of the sample
BATCH = 64
DECODERS = 4


@dataclass(frozen=True)
class Trial:
    """right: for each example that has a label and a readable picture. loss: mean cross-entropy,
    nats. Both are None where the network does not run; `fault` says why."""

    right: list[bool] | None = None
    loss: float | None = None
    fault: str | None = None


class Sample:
    """A stratified sample of labelled data: its pictures as each input wants them."""

    def __init__(self, data: DataSet) -> None:
        self.data = data
        few = len(data) <= EXAMPLES
        self.rows = np.arange(len(data)) if few else sample_rows(data.labels, len(data), EXAMPLES)
        self.labels = data.labels[self.rows]
        self._pictures: dict[InputSpec, tuple[list[np.ndarray], np.ndarray]] = {}

    def pictures(self, spec: InputSpec) -> tuple[list[np.ndarray], np.ndarray]:
        """The pictures for one input, uint8 (H, W, C), and which of the rows could be read."""
        if spec not in self._pictures:
            self._pictures.clear()  # proposals of one size follow each other
            with side_by_side(DECODERS, "netlens-decode") as pool:
                found = list(pool.map(partial(self._picture, spec), self.rows))
            read = np.array([picture is not None for picture in found])
            self._pictures[spec] = [picture for picture in found if picture is not None], read
        return self._pictures[spec]

    def spec(self, card: Card) -> InputSpec:
        """How the pictures enter a network. Raises UserError where none can be read."""
        for row in self.rows:
            if (picture := self._read(row)) is not None:
                return completed(card.input, picture)[0]
        raise UserError(f"None of {len(self.rows)} pictures of {self.data.title} can be read.")

    def _picture(self, spec: InputSpec, row: int) -> np.ndarray | None:
        picture = self._read(row)
        return None if picture is None else resized(picture, spec)

    def _read(self, row: int) -> np.ndarray | None:
        """None where it cannot be read; how many those are is said beside the whole pass."""
        try:
            return self.data.image(int(row))
        except UserError:
            return None


def trial(built: "Built", tensors: "Tensors", sample: Sample) -> Trial:
    """A network on the meta device, tried with these weights, which are shared, not copied."""
    from core.explained_errors import FAULTS

    try:
        pictures, read = sample.pictures(spec := sample.spec(built.card))
        logs = log_probabilities_of(_outputs(built, tensors, pictures, spec), built.card)
    except (UserError, *FAULTS) as error:
        words = str(error).strip() or type(error).__name__
        return Trial(fault=words.splitlines()[0][:300])
    known = match_labels(logs.shape[1], built.card.class_names, sample.data.class_names,
                         sample.labels[read])
    usable = known.labels != UNKNOWN
    if not usable.any() or not np.isfinite(logs).all():
        return Trial(fault="its outputs are not numbers" if usable.any()
                     else "no label is a class of its outputs")
    labels, logs = known.labels[usable], logs[usable]
    loss = -logs[np.arange(len(labels)), labels].mean(dtype=np.float64)
    return Trial((logs.argmax(1) == labels).tolist(), float(loss))


def _outputs(built: "Built", tensors: "Tensors", pictures: list[np.ndarray],
             spec: InputSpec) -> np.ndarray:
    """Raw outputs (N, K) of a proposal, its weights shared with the opened network."""
    import torch

    from core.device import device, float_type
    from core.layers import first_tensor
    from core.weight_files.state_dicts import assigned

    module = assigned(built.module, tensors).to(device())
    found = []
    with torch.inference_mode():
        for start in range(0, len(pictures), BATCH):
            inputs = scaled(pictures[start:start + BATCH], spec)
            output = first_tensor(module(inputs.to(device(), float_type(module))))
            found.append(output.flatten(1).float().cpu())
    return torch.cat(found).numpy()
