"""Checkpoints that torch.save wrote, as a zip or, before torch 1.6, as a row of pickles."""

from pathlib import Path

from core.card import Card
from core.dataset_files.archives import member_names
from core.model_formats import Format, LoadedModel

PROGRAMS = ("code/", "models/", "constants.pkl", "serialized_")  # TorchScript and torch.export


def matches(path: Path) -> bool:
    """A zip with data.pkl that is no program, or a pickle from its first bytes."""
    if names := member_names(path):
        return "data.pkl" in names and not any(name.startswith(PROGRAMS) for name in names)
    with path.open("rb") as file:
        head = file.read(3)
    return (head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
            and head[2:] != b"\0")  # which no pickle has there, and lengths of safetensors do


def load(path: Path, card: Card) -> LoadedModel:
    """The network whose weights the file holds, alone or with the other files of its index; or
    the weights alone. Raises UserError."""
    from core.weight_files.checkpoint_weights import weights_in
    from core.weight_files.checkpoints import read_checkpoint
    from core.weight_files.shards import model_of_parts, model_of_whole

    if whole := model_of_whole(path, card):
        return whole
    checkpoint = read_checkpoint(path)
    return model_of_parts(path, card, weights_in(checkpoint, path.name), checkpoint.forget)


FORMAT = Format("PyTorch checkpoint", matches, load)
