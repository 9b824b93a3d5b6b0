"""Hugging Face's `preprocessor_config.json` as a card: what its image processor does.

The classes read the same keys differently, and have defaults of their own.
https://github.com/huggingface/transformers/tree/main/src/transformers/models
"""

from typing import Any

from core.cards.fitting import (
    Reading,
    Sides,
    fitted,
    left_open,
    number,
    numbers,
    resampling,
    unfollowed,
    whole,
)

# A size that is one number: both sides with these, the shorter side with those.
SQUARE = {"Beit", "Blip", "DINOv3ViT", "DeiT", "EfficientNet", "Pvt", "ViT"}
SHORTER = {
    "Bit",
    "CLIP",
    "ChineseCLIP",
    "ConvNext",
    "Levit",
    "MobileNetV1",
    "MobileNetV2",
    "MobileViT",
    "PoolFormer",
    "Siglip",
}
CROP = {"do_center_crop": True, "crop_size": {"height": 224, "width": 224}}
DEFAULTS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("Bit", "CLIP", "ChineseCLIP", "DeiT", "MobileNetV1", "MobileNetV2"), CROP),
    "ConvNext": {"crop_pct": 224 / 256},
    "EfficientNet": {"include_top": True},
    "Levit": CROP | {"crop_pct": 224 / 256},
    "MobileViT": {
        "do_center_crop": True,
        "crop_size": {"height": 256, "width": 256},
        "do_flip_channel_order": True,
    },
    "PoolFormer": CROP | {"crop_pct": 0.9},
}
STRETCHED = 384  # pixels from which on ConvNextImageProcessor cuts nothing off
FOLLOWED = {  # or of no concern: do_reduce_labels is for maps of labels
    "do_resize",
    "do_center_crop",
    "do_rescale",
    "do_normalize",
    "do_flip_channel_order",
    "do_convert_rgb",
    "do_reduce_labels",
}


def read_processor(said: dict) -> Reading:
    """The input that the file describes; what it does not say is left out."""
    name = _processor(said)
    said = DEFAULTS.get(name, {}) | {key: v for key, v in said.items() if v is not None}
    unread: list[str] = []
    spec, notes = _fitting(said, name, unread)
    if said.get("do_flip_channel_order"):
        spec["channel_order"] = "BGR"
    spec |= _range(said, unread) | _normalization(said, name, unread)
    ignored = resampling(said.get("resample"), "resample") + [
        key for key, v in said.items() if key.startswith("do_") and v and key not in FOLLOWED
    ]
    if isinstance(said.get("size"), dict) and "longest_edge" in said["size"]:
        ignored.append("longest_edge")
    if name and name not in SQUARE | SHORTER:
        notes.append(
            f"its class, {name[:40]}, is not one whose own steps are known here, so "
            "only the usual ones are followed."
        )
    return Reading({"input": spec}, notes + unfollowed(ignored, unread))


def _processor(said: dict) -> str:
    """The class without its ending: "ViT" for ViTImageProcessorFast and ViTFeatureExtractor."""
    name = said.get("image_processor_type") or said.get("feature_extractor_type")
    if not isinstance(name, str):
        return ""
    return name.removesuffix("Fast").removesuffix("ImageProcessor").removesuffix("FeatureExtractor")


def _fitting(said: dict, name: str, unread: list[str]) -> tuple[dict[str, Any], list[str]]:
    size, crop = said.get("size"), None
    if said.get("do_center_crop"):
        crop = _sides(said.get("crop_size"))
        if crop is None:
            unread.append("crop_size")
    stretched = _sides(size)
    shorter = whole(size.get("shortest_edge")) if isinstance(size, dict) else None
    notes = []
    if type(size) is int and (name in SHORTER or (crop and name not in SQUARE)):
        stretched, shorter = None, whole(size)
        if name not in SHORTER:
            notes.append("size is taken for that of the shorter side; some processors stretch.")
    if size is not None and not stretched and not shorter:
        unread.append("size")
    if not said.get("do_resize", True):
        spec, _ = fitted(None, None, crop or stretched)
        return spec, [left_open("are not resized (do_resize is false)")]
    if name in ("ConvNext", "Levit", "PoolFormer"):
        stretched, shorter, crop = _by_share(said, name, stretched, shorter, crop)
    spec, more = fitted(stretched, shorter, crop)
    return spec, notes + more


def _by_share(
    said: dict, name: str, stretched: Sides | None, shorter: int | None, crop: Sides | None
) -> tuple[Sides | None, int | None, Sides | None]:
    """What is stretched, brought and cut where the size is a share of the shorter side."""
    share = number(said["crop_pct"])
    share = share if share and 0.05 <= share <= 1 else DEFAULTS[name]["crop_pct"]
    if name == "PoolFormer" and stretched and stretched[0] == stretched[1]:
        shorter, stretched = stretched[0], None
    if shorter is None:
        return stretched, shorter, crop
    if name == "ConvNext" and shorter >= STRETCHED:
        return (shorter, shorter), None, crop
    if name == "ConvNext":  # which ResNet and RegNet have too
        crop = crop or (shorter, shorter)
    return None, int(shorter / share), crop


def _sides(size: Any) -> Sides | None:
    if isinstance(size, dict):
        size = [size.get("height"), size.get("width")]
    sides = size if isinstance(size, list) else [size, size]
    if len(sides) != 2 or not all(map(whole, sides)):
        return None
    return sides[0], sides[1]


def _range(said: dict, unread: list[str]) -> dict[str, Any]:
    """What 0 to 255 become, before mean and std."""
    if not said.get("do_rescale", True):
        return {"range": [0, 255]}
    factor = number(said.get("rescale_factor", 1 / 255))
    low = -1.0 if said.get("rescale_offset") else 0.0
    high = number(f"{255 * factor + low:.9g}") if factor else None
    if high is None or high == low:
        unread.append("rescale_factor")
        return {}
    return {"range": [low, high]}


def _normalization(said: dict, name: str, unread: list[str]) -> dict[str, Any]:
    """Mean and std. MobileViT never normalizes; include_top divides by std once more."""
    spec: dict[str, Any] = {}
    normalizes = said.get("do_normalize", True) and name != "MobileViT"
    if not normalizes:
        spec = {"mean": 0, "std": 1}
    elif "image_mean" in said:
        spec["mean"] = numbers(said["image_mean"])
    top = said.get("include_top")
    if "image_std" in said and (normalizes or top):
        std = numbers(said["image_std"], positive=True) or []
        twice = normalizes and top
        spec["std"] = numbers([part * part if twice else part for part in std], positive=True)
    unread += [f"image_{key}" for key, value in spec.items() if value is None]
    return {key: value for key, value in spec.items() if value is not None}
