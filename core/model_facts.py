"""What a model file turned out to be, kept on disk: known again without opening it, or torch."""

import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from core import store
from core.cache import shared_resource
from core.card import Card, InputSpec, ShorterSide
from core.jobs import Progress, Working, audience, demand
from core.library import is_large, open_model, open_outline
from core.places import path_of

if TYPE_CHECKING:
    from torch import nn

    from core.model_formats import LoadedModel

SOON = 2.0  # seconds in which a page draws what an outline tells, before the whole is read
FEATURE_LAYERS = 4  # captured with the first pass, so that maps of them need no second one


@dataclass(frozen=True)
class Facts:
    """card, notes: of the opened model. parameters: numbers, each tensor once. layers: names in
    the order of definition. feature_layers: the last few stages before the output, where what a
    network tells apart takes shape. weights_only: there is no network, so nothing can be run."""

    card: Card
    notes: tuple[str, ...]
    parameters: int
    layers: tuple[str, ...]
    feature_layers: tuple[str, ...]
    weights_only: bool


def model_facts(model_id: str) -> Facts:
    """The facts of the model behind an id. May raise Working; UserError if it cannot be opened.

    While a large file is being read, what its names and shapes tell: then the notes say nothing of
    its numbers.
    """
    if not is_large(model_id):
        return _known(model_id, False)
    outline = _known(model_id, True)
    try:
        return _known(model_id, False)
    except Working:
        return outline


@shared_resource(entries=32)
def _known(model_id: str, outline: bool) -> Facts:
    key = store.key(facts=model_id, outline=outline, code=store.code())
    title = f"Opening {path_of(model_id).name}"
    later = SOON if audience.get() and is_large(model_id) and not outline else 0.0
    find, keep = partial(store.read_json, key), partial(_keep, key, model_id, outline, later)
    return _from_json(demand(key, title, "", find, keep, "files"))


def _keep(key: str, model_id: str, outline: bool, later: float, progress: Progress) -> None:
    time.sleep(later)
    store.write_json(key, _facts((open_outline if outline else open_model)(model_id)))


def _facts(model: "LoadedModel") -> dict[str, Any]:
    from core.layers import layer_names
    from core.weight_files.weights_only import WeightsOnly

    return {
        "card": asdict(model.card) | {"inferred": sorted(model.card.inferred)},
        "notes": model.notes,
        "parameters": sum(parameter.numel() for parameter in model.module.parameters()),
        "layers": layer_names(model.module),
        "feature_layers": feature_layers(model.module),
        "weights_only": isinstance(model.module, WeightsOnly),
    }


def _from_json(said: dict[str, Any]) -> Facts:
    card = dict(said["card"])
    spec = InputSpec(**{key: _frozen(value) for key, value in card.pop("input").items()})
    known = {key: _frozen(value) for key, value in card.items()}
    inferred = frozenset(known.pop("inferred"))
    return Facts(
        Card(**known, input=spec, inferred=inferred),
        **{key: _frozen(value) for key, value in said.items() if key != "card"},
    )


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return ShorterSide(**value)
    return tuple(value) if isinstance(value, list) else value


def feature_layers(model: "nn.Module") -> list[str]:
    """The last few stages of a network before its output."""
    stages, prefix = list(model.named_children()), ""
    while len(stages) == 1 and len(list(stages[0][1].children())) > 1:
        prefix += f"{stages[0][0]}."
        stages = list(stages[0][1].named_children())
    return [prefix + name for name, _ in stages][:-1][-FEATURE_LAYERS:]
