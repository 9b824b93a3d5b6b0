"""The cards that lie beside a model file: ours, `NAME.card.json`, and those that people already
have, Hugging Face's `config.json` and `preprocessor_config.json`, and timm's."""

import json
import math
from pathlib import Path
from typing import Any

from core.card import Card
from core.cards.card_json import parse_card
from core.cards.transformers_config import UNNAMED, architecture_of, input_of
from core.errors import UserError, cannot_be_read
from core.model_formats.shard_index import ENDING, whole_name

LARGEST_CARD = 16 << 20  # bytes
STRETCHED = 384  # pixels from which on transformers' ConvNextImageProcessor cuts nothing off


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
    readers = {"preprocessor_config.json": _preprocessor_config, "config.json": _config}
    for name, reader in readers.items():
        if (path := model.with_name(name)).is_file():
            try:
                found = parse_card(
                    reader(said) if isinstance(said := read_json(path), dict) else {}, name
                )
            except (
                UserError
            ) as error:  # it may be another program's, so it does not keep the model closed
                notes.append(f"{name} beside the model was not used: {error}")
                continue
            if found.values().keys() - card.values().keys():
                notes.append(f"{name} (Hugging Face) read for what the model card leaves open.")
            card = card.or_else(found)
    return card, tuple(notes)


def _card_names(model: Path) -> list[str]:
    """`model.card.json` and the like, also for `model-00001-of-00003.safetensors` and the index."""
    whole = whole_name(model.name)
    own = [model.name, model.stem]
    shared = [] if whole == model.name else [f"{whole}{ENDING}", whole, Path(whole).stem]
    return [f"{name}.card.json" for name in dict.fromkeys([*own, *shared])]


def _preprocessor_config(said: dict) -> dict:
    """Hugging Face's image processor as a card; keys that are absent are left out."""
    spec: dict[str, Any] = {}
    crop, size = _sides(said.get("crop_size")), _sides(said.get("size"))
    shorter = size[0] if size and size[0] == size[1] else None
    if isinstance(said.get("size"), dict):
        shorter = said["size"].get("shortest_edge")
    if type(shorter) is int and "ConvNext" in _processor(said):
        crop, size, shorter = _as_for_convnext(shorter, said.get("crop_pct"))
        said = said | {"do_center_crop": crop is not None}
    if said.get("do_center_crop") and crop and shorter and crop[0] <= shorter:
        spec |= {
            "height": crop[0],
            "width": crop[1],
            "resize": {"shorter_side": shorter, "crop": crop[0], "longer_side": "down"},
        }
    elif size:
        spec |= {"height": size[0], "width": size[1], "resize": "stretch"}
    factor = said.get("rescale_factor", 1 / 255) if said.get("do_rescale", True) else 1
    spec["range"] = [0, round(255 * factor, 6) if isinstance(factor, (int, float)) else 1]
    if not said.get("do_normalize", True):
        spec |= {"mean": 0, "std": 1}
    spec |= {
        key: said[f"image_{key}"]
        for key in ("mean", "std")
        if key not in spec and said.get(f"image_{key}")
    }
    return {"input": spec}


def _processor(said: dict) -> str:
    return str(said.get("image_processor_type") or said.get("feature_extractor_type"))


def _as_for_convnext(side: int, share: Any) -> tuple[
        tuple[int, int] | None, tuple[int, int], int]:
    """The crop, the size and the shorter side: small pictures are cut from the middle, for ResNet
    too, large ones stretched."""
    share = share if isinstance(share, float) and 0 < share <= 1 else 224 / 256
    if side >= STRETCHED:
        return None, (side, side), side
    return (side, side), (side, side), int(side / share)


def _sides(size: Any) -> tuple[int, int] | None:
    if isinstance(size, dict) and {"height", "width"} <= size.keys():
        return size["height"], size["width"]
    return (size, size) if isinstance(size, int) else None


def _config(said: dict) -> dict:
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
    trained = said.get("pretrained_cfg") if isinstance(said.get("pretrained_cfg"), dict) else {}
    if isinstance(shape := trained.get("input_size"), list) and len(shape) == 3:
        channels, height, width = shape
        spec = {"channels": channels, "height": height, "width": width, "range": [0, 1]}
        spec |= {key: trained[key] for key in ("mean", "std") if trained.get(key)}
        if isinstance(share := trained.get("crop_pct"), (int, float)) and 0 < share <= 1:
            side = math.floor(height / share)
            spec["resize"] = {"shorter_side": side, "crop": height, "longer_side": "down"}
        card["input"] = spec
    return card
