"""Saliency: which pixels moved the score of a class, and how far a map is to be trusted.

What was computed once is kept on disk and shown again without opening the model, or torch.
"""

from contextlib import suppress
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from core import store
from core.cache import cached_result
from core.errors import UserError
from core.inference import input_spec, pass_key
from core.library import open_model
from core.saliency import Description, Explanation, Option
from core.trusted_code import kept


def methods() -> dict[str, Description]:
    """Every method, by the name that links and the command line use."""
    said = kept(store.key(what="methods", code=store.code()), _described)
    return {name: Description(**one | {"options": {
        key: Option(**option) for key, option in one["options"].items()}})
        for name, one in said.items()}


def _described() -> dict[str, dict[str, Any]]:
    from core.saliency.explained import methods as with_functions

    own = [field.name for field in fields(Description)]
    return {name: {key: value for key, value in asdict(method).items() if key in own}
            for name, method in with_functions().items()}


@cached_result
def layers_with_maps(model_id: str, dataset_id: str) -> list[str]:
    """Layers that lie over the image, in the order in which they run. Raises UserError."""
    spec, _ = input_spec(model_id, dataset_id)
    shape = (1, spec.channels, spec.height, spec.width)

    def found() -> list[str]:
        from core.saliency.maps import map_layers

        return list(map_layers(open_model(model_id).module, shape))

    return kept(store.key(what="map layers", model=model_id, shape=shape, code=store.code()), found)


@cached_result
def why_not(model_id: str, dataset_id: str, example: int, method: str,
            layer: str | None) -> str | None:
    """One sentence on why a method does not apply, None where it does."""

    def said() -> list[str | None]:
        from core.one_pass.forward_pass import model_on_device
        from core.saliency.explained import methods as with_functions
        from core.saliency.explained import model_input

        image = model_input(model_id, dataset_id, example)
        return [with_functions()[method].applies_to(model_on_device(model_id), layer, image)]

    key = pass_key(model_id, dataset_id, why_not=example, method=method, layer=layer,
                   own=store.code())
    return kept(key, said)[0]


@cached_result
def explanation(model_id: str, dataset_id: str, example: int, method: str,
                target: int | None = None, layer: str | None = None,
                options: tuple[tuple[str, float], ...] = ()) -> Explanation:
    """What `method` says of an example; without a target, of the most probable class; without a
    layer, of the default one. Raises UserError."""
    if method not in methods():
        raise UserError(f"There is no method {method!r}. Choose one of {', '.join(methods())}.")
    key = pass_key(model_id, dataset_id, example=example, method=method, target=target,
                   layer=layer, options=options, own=store.code())
    if (said := store.read_json(key)) is not None:
        said["prediction"] = tuple(map(tuple, said["prediction"]))
        said["notes"] = tuple(said["notes"])
        return Explanation(np.array(store.read(key)["map"]), **said)
    from core.saliency.explained import explained

    found = explained(model_id, dataset_id, example, method, target, layer, dict(options))
    said = {name: value for name, value in vars(found).items() if name != "map"}
    with suppress(UserError):  # a cache that cannot be written
        store.write_json(key, said, map=found.map)
    return found
