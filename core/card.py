"""The model card: what a model wants as input, what its outputs mean, and who says so.

A card is a small JSON beside a model file, `NAME.card.json`; every key is optional. Cards that
people already have (Hugging Face `config.json`, `preprocessor_config.json`, timm) are read too.
"""

import json
import math
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from core.errors import UserError

OUTPUTS = ("logits", "probabilities", "log_probabilities", "sigmoid")
CHANNEL_ORDERS = ("RGB", "BGR")
LARGEST_SIDE = 4096
LARGEST_CARD = 16 << 20  # bytes


@dataclass(frozen=True)
class InputSpec:
    """How a picture becomes an input; None where nobody has said.

    range: what pixel values 0 to 255 are mapped to before mean and std, one number each or one
    a channel. resize: "stretch", or {"shorter_side": 256, "crop": 224}.
    """

    channels: int | None = None
    height: int | None = None
    width: int | None = None
    channel_order: str | None = None
    range: tuple[float, float] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    resize: str | tuple[int, int] | None = None  # (shorter side, crop)


@dataclass(frozen=True)
class Card:
    """What is known of a model. `inferred` names the keys that nobody stated, such as "output"
    or "input.height"; `data` and `logs` are names relative to the card's own folder."""

    title: str | None = None
    architecture: str | None = None
    class_names: tuple[str, ...] | None = None
    input: InputSpec = field(default_factory=InputSpec)
    output: str | None = None
    data: str | None = None
    logs: str | None = None
    inferred: frozenset[str] = frozenset()

    def values(self) -> dict[str, Any]:
        """What is known by dotted key, "input.mean" and the like."""
        flat = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name not in ("input", "inferred")
        }
        flat |= {f"input.{key}": value for key, value in vars(self.input).items()}
        return {key: value for key, value in flat.items() if value is not None}

    def or_else(self, other: "Card") -> "Card":
        """This card, with what it leaves open taken from `other`."""
        mine = self.values()
        taken = {key: value for key, value in other.values().items() if key not in mine}
        inferred = self.inferred | (other.inferred & taken.keys())
        return _with_values(self, taken, inferred)

    def infer(self, **guesses: Any) -> "Card":
        """This card, with what it leaves open filled by guesses, marked as inferred.

        Keys of the input are written input_height for "input.height".
        """
        dotted = {key.replace("input_", "input."): value for key, value in guesses.items()}
        known = self.values()
        taken = {k: v for k, v in dotted.items() if k not in known and v is not None}
        return _with_values(self, taken, self.inferred | taken.keys())

    def to_json(self) -> dict[str, Any]:
        """The card as its JSON says it, without what is unknown."""
        said = {key: value for key, value in asdict(self).items() if value is not None}
        del said["inferred"]
        spec = {key: value for key, value in said.pop("input").items() if value is not None}
        if isinstance(spec.get("resize"), (tuple, list)):
            spec["resize"] = dict(zip(("shorter_side", "crop"), spec["resize"], strict=True))
        return json.loads(json.dumps(said | ({"input": spec} if spec else {})))


def _with_values(card: Card, values: dict[str, Any], inferred: frozenset[str]) -> Card:
    spec = {key.removeprefix("input."): v for key, v in values.items() if key.startswith("input.")}
    rest = {key: value for key, value in values.items() if not key.startswith("input.")}
    return replace(card, **rest, input=replace(card.input, **spec), inferred=frozenset(inferred))


def parse_card(said: Any, source: str) -> Card:
    """A card from its JSON. Raises UserError that names `source` and the key."""
    if not isinstance(said, dict):
        raise UserError(f'{source}: a model card is a JSON object such as {{"output": "logits"}}.')
    unknown = said.keys() - {f.name for f in fields(Card)} | {"inferred"} & said.keys()
    if unknown:
        known = ", ".join(f.name for f in fields(Card) if f.name != "inferred")
        raise UserError(f"{source}: the key {min(unknown)!r} is not one of {known}.")
    try:
        return Card(
            **{
                key: _text(said[key], key)
                for key in ("title", "architecture", "data", "logs")
                if key in said
            },
            **({"class_names": _class_names(said["class_names"])} if "class_names" in said else {}),
            **({"output": _choice(said["output"], "output", OUTPUTS)} if "output" in said else {}),
            input=_input(said.get("input", {})),
        )
    except ValueError as error:
        raise UserError(f"{source}: {error}. Correct the card, or remove the key.") from error


def _input(said: Any) -> InputSpec:
    if not isinstance(said, dict):
        raise ValueError("'input' is an object with keys such as 'height'")
    readers = {
        "channels": lambda v: _count(v, "channels", 4096),
        "height": lambda v: _count(v, "height", LARGEST_SIDE),
        "width": lambda v: _count(v, "width", LARGEST_SIDE),
        "channel_order": lambda v: _choice(v, "channel_order", CHANNEL_ORDERS),
        "range": _range,
        "mean": lambda v: _numbers(v, "mean"),
        "std": _std,
        "resize": _resize,
    }
    if unknown := said.keys() - readers.keys():
        raise ValueError(f"the key 'input.{min(unknown)}' is not one of {', '.join(readers)}")
    spec = InputSpec(**{key: readers[key](value) for key, value in said.items()})
    for key in ("mean", "std"):
        numbers = getattr(spec, key)
        if numbers and spec.channels and len(numbers) not in (1, spec.channels):
            raise ValueError(
                f"'input.{key}' has {len(numbers)} numbers for {spec.channels} channels"
            )
    return spec


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise ValueError(f"'{key}' is a text of at most 1,000 characters")
    return value


def _choice(value: Any, key: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"'{key}' is one of {', '.join(allowed)}, not {str(value)[:40]!r}")
    return value


def _count(value: Any, key: str, largest: int) -> int:
    if type(value) is not int or not 1 <= value <= largest:
        raise ValueError(f"'input.{key}' is a whole number from 1 to {largest:,}")
    return value


def _class_names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or len(value) > 100_000:
        raise ValueError("'class_names' is a list of names in the order of the outputs")
    return tuple(str(name)[:200] for name in value)


def _numbers(value: Any, key: str) -> tuple[float, ...]:
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(type(n) in (int, float) and math.isfinite(n) for n in numbers):
        raise ValueError(f"'input.{key}' is one finite number, or a list of one a channel")
    return tuple(float(n) for n in numbers)


def _std(value: Any) -> tuple[float, ...]:
    numbers = _numbers(value, "std")
    if min(numbers) <= 0:
        raise ValueError("'input.std' is above 0")
    return numbers


def _range(value: Any) -> tuple[float, float]:
    numbers = _numbers(value, "range")
    if len(numbers) != 2 or numbers[0] == numbers[1]:
        raise ValueError("'input.range' is two different numbers, such as [0, 1]")
    return numbers


def _resize(value: Any) -> str | tuple[int, int]:
    if value == "stretch":
        return value
    if isinstance(value, dict) and value.keys() == {"shorter_side", "crop"}:
        side, crop = (
            _count(value[k], f"resize.{k}", LARGEST_SIDE) for k in ("shorter_side", "crop")
        )
        if crop <= side:
            return side, crop
    raise ValueError(
        '\'input.resize\' is "stretch" or {"shorter_side": 256, "crop": 224}, '
        "the crop no larger than the side"
    )


def read_json(path: Path) -> Any:
    """The JSON in a small file. Raises UserError that names the file."""
    try:
        if path.stat().st_size > LARGEST_CARD:
            raise UserError(f"{path.name}: larger than 16 MB, which no card is.")
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path.name} is not readable JSON ({type(error).__name__}).") from error


def card_beside(model: Path) -> tuple[Card, tuple[str, ...]]:
    """What the files beside a model file say of it, and a note on each that was read.

    `FILE.card.json` or `STEM.card.json` first; where the folder holds one model, Hugging Face's
    and timm's files too. A key that several state comes from the first.
    """
    card, notes = Card(), []
    for name in (f"{model.name}.card.json", f"{model.stem}.card.json"):
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


def _preprocessor_config(said: dict) -> dict:
    """Hugging Face's image processor as a card; keys that are absent are left out."""
    spec: dict[str, Any] = {}
    crop, size = _sides(said.get("crop_size")), _sides(said.get("size"))
    shorter = size[0] if size and size[0] == size[1] else None
    if isinstance(said.get("size"), dict):
        shorter = said["size"].get("shortest_edge")
    if said.get("do_center_crop") and crop and shorter and crop[0] <= shorter:
        spec |= {
            "height": crop[0],
            "width": crop[1],
            "resize": {"shorter_side": shorter, "crop": crop[0]},
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
    if isinstance(said.get("architecture"), str):
        card["architecture"] = said["architecture"]
    trained = said.get("pretrained_cfg") if isinstance(said.get("pretrained_cfg"), dict) else {}
    if isinstance(shape := trained.get("input_size"), list) and len(shape) == 3:
        channels, height, width = shape
        spec = {"channels": channels, "height": height, "width": width, "range": [0, 1]}
        spec |= {key: trained[key] for key in ("mean", "std") if trained.get(key)}
        if isinstance(share := trained.get("crop_pct"), (int, float)) and 0 < share <= 1:
            spec["resize"] = {"shorter_side": math.floor(height / share), "crop": height}
        card["input"] = spec
    return card
