"""timm's `config.json`: what its evaluation transform does with a picture, as a card's input.

https://github.com/huggingface/pytorch-image-models/blob/main/timm/data/transforms_factory.py
"""

import math
from typing import Any

from core.cards.fitting import fitted, left_open, number, numbers, resampling, unfollowed, whole

USUAL_SHARE = 0.875  # where the file has no crop_pct


def timm_input(said: dict) -> tuple[dict[str, Any], list[str]]:
    """A card's input, empty where the file is not timm's, and notes on what a card cannot say.

    Older files have the keys of `pretrained_cfg` beside "architecture"."""
    trained = said.get("pretrained_cfg")
    if not isinstance(trained, dict):
        trained = said if isinstance(said.get("architecture"), str) else {}
    shape = trained.get("input_size")
    if not isinstance(shape, list) or len(shape) != 3:
        return {}, []
    if not all(map(whole, shape)):
        return {}, unfollowed([], ["input_size"])
    unread: list[str] = []
    spec, notes = _fitting(trained, (shape[1], shape[2]), unread)
    spec |= {"channels": shape[0], "range": [0, 1]}
    for key in ("mean", "std"):
        if trained.get(key):
            spec[key] = numbers(trained[key], positive=key == "std")
    unread += [key for key, value in spec.items() if value is None]
    ignored = resampling(trained.get("interpolation"), "interpolation") + [
        key for key in ("crop_border_pixels",) if trained.get(key)
    ]
    spec = {key: value for key, value in spec.items() if value is not None}
    return spec, notes + unfollowed(ignored, unread)


def _fitting(
    trained: dict, sides: tuple[int, int], unread: list[str]
) -> tuple[dict[str, Any], list[str]]:
    share = number(trained.get("crop_pct") or USUAL_SHARE)
    if share is None or not 0.05 <= share <= 20:
        unread.append("crop_pct")
        return fitted(None, None, sides)[0], []
    height, width = (math.floor(side / share) for side in sides)
    mode = trained.get("crop_mode")
    if mode == "squash":
        return fitted((height, width), None, sides)
    if mode == "border":
        return fitted(None, None, sides)[0], [left_open("get a border (crop_mode border)")]
    return fitted(None, height if height == width else None, sides)
