"""Weights in several files and the index that lists them, as Hugging Face's libraries write both.

https://huggingface.co/docs/transformers/big_models
"""

from collections.abc import Callable
from pathlib import Path

from core.card import Card
from core.errors import UserError
from core.files.limits import current_limits
from core.files.text_of_files import shown
from core.model_formats import LoadedModel
from core.model_formats.shard_index import ENDING, PART, index_naming
from core.weight_files.checkpoint_weights import Weights, weights_in
from core.weight_files.checkpoints import read_checkpoint
from core.weight_files.safetensors_file import read_safetensors
from core.weight_files.shard_index import read_index
from core.weight_files.state_dicts import model_of

Forget = Callable[[], None]


def model_of_parts(path: Path, card: Card, weights: Weights, forget: Forget) -> LoadedModel:
    """The network of weights that were read from `path`, which may say that it is one of several
    files. Raises UserError."""
    loaded = model_of(weights.tensors, card.or_else(weights.card), path.name, forget)
    alone = PART.search(path.name)
    if alone and int(alone[2]) > 1 and not path.name.endswith(ENDING):
        weights.notes.append(
            f"Only this file was read. By its name it is part {int(alone[1])} of {int(alone[2])}; "
            "put the other parts and their .index.json beside it to open the whole.")
    return LoadedModel(loaded.module, loaded.card, (*weights.notes, *loaded.notes))


def model_of_whole(path: Path, card: Card) -> LoadedModel | None:
    """The network of all the files of the index that names this one; None where none lies beside
    it. Raises UserError."""
    index = index_naming(path)
    return model_of_index(index, card) if index else None


def model_of_index(index: Path, card: Card) -> LoadedModel:
    """The network whose weights are in the files that an index lists. Raises UserError."""
    places = read_index(index)
    _all_there(index, sorted(set(places.values())))
    read = {name: _part(index.with_name(name)) for name in sorted(set(places.values()))}
    weights = _joined(index.name, places, {name: part for name, (part, _) in read.items()})

    def forget() -> None:
        for _, one in read.values():
            one()

    return model_of_parts(index, card, weights, forget)


def _all_there(index: Path, names: list[str]) -> None:
    """Raises UserError that names the files which are missing or empty."""
    found = [name for name in names if index.with_name(name).is_file()]
    for said, those in (("missing beside it", [name for name in names if name not in found]),
                        ("empty", [name for name in found
                                   if not index.with_name(name).stat().st_size])):
        if those:
            listed = ", ".join(shown(name) for name in those[:8])
            more = f" and {len(those) - 8:,} more" if len(those) > 8 else ""
            raise UserError(
                f"{index.name} lists {len(names):,} files of weights, of which {len(those):,} are "
                f"{said}: {listed}{more}. Put them into the same folder, or copy them again.")
    total, limit = sum(index.with_name(name).stat().st_size for name in names), (
        current_limits().unpacked_bytes)
    if total > limit:
        raise UserError(f"{index.name}: its files have {total:,} bytes together, the limit is "
                        f"{limit:,}. Put them into one of the server's own folders.")


def _part(path: Path) -> tuple[Weights, Forget]:
    with path.open("rb") as file:
        head = file.read(9)
    if head[8:] == b"{":
        return read_safetensors(path)
    if head[:2] == b"PK" or head[:1] == b"\x80":
        checkpoint = read_checkpoint(path)
        return weights_in(checkpoint, path.name), checkpoint.forget
    raise UserError(f"{path.name} holds neither safetensors nor a checkpoint of torch, though an "
                    "index lists it as weights. Copy or download it again.")


def _joined(index: str, places: dict[str, str], parts: dict[str, Weights]) -> Weights:
    """Each tensor from the file that the index names. Raises UserError where it is not there."""
    lost = [key for key, name in places.items() if key not in parts[name].tensors]
    if lost:
        raise UserError(
            f"{index} does not fit its files: {len(lost):,} tensors are not where it says, such as "
            f"{shown(lost[0])} in {shown(places[lost[0]])}. Copy or download all of them again.")
    whole = Weights({key: parts[name].tensors[key] for key, name in places.items()})
    _within_limits(index, whole)
    others = [key for name, part in parts.items() for key in part.tensors
              if places.get(key) != name]
    whole.notes.append(f"{len(places):,} tensors read from the {len(parts):,} files that {index} "
                       "lists.")
    if others:
        few = ", ".join(shown(key) for key in others[:5])
        whole.notes.append(f"Left out, since the index does not list them: {len(others):,} tensors "
                           f"({few}).")
    whole.notes += dict.fromkeys(note for part in parts.values() for note in part.notes)
    return whole


def _within_limits(index: str, whole: Weights) -> None:
    limits, tensors = current_limits(), whole.tensors.values()
    elements = sum(tensor.numel() for tensor in tensors)
    if len(tensors) > limits.tensors or elements > limits.elements:
        raise UserError(f"{index}: its files hold {len(tensors):,} tensors of {elements:,} numbers "
                        f"together, the limits are {limits.tensors:,} and {limits.elements:,}. Put "
                        "them into one of the server's own folders.")
