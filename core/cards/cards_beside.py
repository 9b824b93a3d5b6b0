"""The cards that lie beside a model file: ours, `NAME.card.json`, and those that people already
have, Hugging Face's `config.json` and `preprocessor_config.json`, and timm's."""

import json
from pathlib import Path
from typing import Any

from core.card import Card
from core.cards.card_json import parse_card
from core.cards.fitting import Reading
from core.cards.image_processors import read_processor
from core.cards.timm_config import timm_input
from core.cards.transformers_config import UNNAMED, architecture_of, input_of
from core.errors import UserError, cannot_be_read
from core.model_formats.shard_index import ENDING, whole_name

LARGEST_CARD = 16 << 20  # bytes


def read_json(path: Path) -> Any:
    """The JSON in a small file. Raises UserError that names the file and says why not."""
    try:
        if path.stat().st_size > LARGEST_CARD:
            raise UserError(f"{path.name}: larger than 16 MB, which no card is.")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise cannot_be_read(path.name, error) from error
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path.name} is not readable JSON ({_why_no_json(error)}). Correct it, or choose "
            "another card."
        ) from error


def _why_no_json(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    if isinstance(error, UnicodeDecodeError):
        return "it is no text in UTF-8"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def card_beside(model: Path) -> tuple[Card, tuple[str, ...]]:
    """What the files beside a model file say of it, and a note on each that was read.

    `FILE.card.json` or `STEM.card.json` first, then those of the whole where the model lies in
    several files; where the folder holds one model, Hugging Face's and timm's files too. A key
    that several state comes from the first.
    """
    card, notes = Card(), []
    for name in _card_names(model):
        if (path := model.with_name(name)).is_file():
            card = card.or_else(parse_card(read_json(path), name))
            notes.append(f"Model card read from {name}.")
    readers = {"preprocessor_config.json": read_processor, "config.json": _config}
    for name, reader in readers.items():
        if (path := model.with_name(name)).is_file():
            try:
                said = read_json(path)
                spoken, more = reader(said) if isinstance(said, dict) else Reading({}, [])
                found = parse_card(spoken, name)
            except (
                UserError
            ) as error:  # it may be another program's, so it does not keep the model closed
                notes.append(f"{name} beside the model was not used: {error}")
                continue
            new = found.values().keys() - card.values().keys()
            if new:
                notes.append(f"{name} (Hugging Face) read for what the model card leaves open.")
            if new or not found.values():
                notes += [f"{name}: {note}" for note in more]
            card = card.or_else(found)
    return card, tuple(notes)


def _card_names(model: Path) -> list[str]:
    """`model.card.json` and the like, also for `model-00001-of-00003.safetensors` and the index."""
    whole = whole_name(model.name)
    own = [model.name, model.stem]
    shared = [] if whole == model.name else [f"{whole}{ENDING}", whole, Path(whole).stem]
    return [f"{name}.card.json" for name in dict.fromkeys([*own, *shared])]


def _config(said: dict) -> Reading:
    """Hugging Face's or timm's `config.json` as a card."""
    card: dict[str, Any] = {}
    names = said.get("id2label")
    if isinstance(names, dict) and all(str(i) in names for i in range(len(names))):
        card["class_names"] = [names[str(i)] for i in range(len(names))]
    elif isinstance(said.get("label_names"), list):
        card["class_names"] = said["label_names"]
    if card and all(UNNAMED.fullmatch(str(name)) for name in card["class_names"]):
        del card["class_names"]
    if isinstance(said.get("architecture"), str):
        card["architecture"] = said["architecture"]
    elif named := architecture_of(said):
        card |= {"architecture": named, "input": input_of(said)}
    spec, notes = timm_input(said)
    return Reading(card | ({"input": spec} if spec else {}), notes)
