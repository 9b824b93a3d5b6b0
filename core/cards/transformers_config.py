"""Hugging Face's `config.json`: the network it names, and what no tensor tells, as one text.

That text is a card's architecture: "ViTForImageClassification (num_attention_heads 12, …)", with
the file's own keys, so that a person can correct it there.
https://huggingface.co/docs/transformers/main_classes/configuration
"""

import re
from typing import Any

TRANSFORMER = ("num_attention_heads", "layer_norm_eps", "hidden_act")
MOBILE = ("tf_padding", "layer_norm_eps", "hidden_act", "output_stride")
# Keys that change what runs though no tensor tells them, by the class that the file names.
SETTINGS = {
    "ViTForImageClassification": TRANSFORMER,
    "ViTMSNForImageClassification": TRANSFORMER,
    "DeiTForImageClassification": TRANSFORMER,
    "DeiTForImageClassificationWithTeacher": TRANSFORMER,
    "Dinov2ForImageClassification": TRANSFORMER,
    "Dinov2WithRegistersForImageClassification": TRANSFORMER,
    "MobileNetV1ForImageClassification": MOBILE,
    "MobileNetV2ForImageClassification": MOBILE,
    "EfficientNetForImageClassification": (
        "depthwise_padding", "batch_norm_eps", "hidden_act", "pooling_type"),
    "BeitForImageClassification": TRANSFORMER,
    "ResNetForImageClassification": (
        "hidden_act", "downsample_in_bottleneck", "downsample_in_first_stage"),
    "RegNetForImageClassification": ("hidden_act", "downsample_in_first_stage"),
    "ConvNextForImageClassification": ("layer_norm_eps", "hidden_act"),
    "ConvNextV2ForImageClassification": ("layer_norm_eps", "hidden_act"),
    "SwinForImageClassification": ("layer_norm_eps", "hidden_act"),
    "Swinv2ForImageClassification": (
        "window_size", "pretrained_window_sizes", "layer_norm_eps", "hidden_act"),
}
LISTS = ("depthwise_padding", "pretrained_window_sizes")  # of whole numbers, here 5-8-16
CLASSIFIER = "ForImageClassification"
UNNAMED = re.compile(r"LABEL_\d+")  # what the library writes where nobody named the classes


def architecture_of(said: dict) -> str | None:
    """The network that a config names, a backbone as the classifier whose it is; None where it is
    none of transformers' classifiers."""
    listed = said.get("architectures")
    name = listed[0] if isinstance(listed, list) and listed else None
    if isinstance(name, str) and (whole := name.removesuffix("Model") + CLASSIFIER) in SETTINGS:
        name = whole
    if not isinstance(name, str) or not re.fullmatch(r"\w{1,60}ForImageClassification\w{0,20}",
                                                     name):
        return None
    words = [f"{key} {_word(said[key])}" for key in SETTINGS.get(name, ())
             if isinstance(said.get(key), (bool, int, float, str))
             or (key in LISTS and _are_whole(said.get(key)))]
    return f"{name} ({', '.join(words)})" if words else name


def settings_of(architecture: str | None, names: tuple[str, ...]) -> dict[str, str]:
    """What a card's architecture says of a network of one of these names; empty of another."""
    name, _, inside = (architecture or "").removesuffix(")").partition(" (")
    if name not in names:
        return {}
    words = [word.partition(" ") for word in inside.split(", ") if word]
    return {key: value for key, _, value in words}


def input_of(said: dict) -> dict[str, Any]:
    """Channels and size of the pictures, as a card's input has them."""
    size = said.get("image_size")
    sides = size if isinstance(size, list) and len(size) == 2 else [size, size]
    found = {"channels": said.get("num_channels"), "height": sides[0], "width": sides[1]}
    return {key: value for key, value in found.items() if value is not None}


def _are_whole(value: object) -> bool:
    """Whether it is a short list of whole numbers."""
    return isinstance(value, list) and len(value) < 10 and all(
        isinstance(number, int) for number in value)


def _word(value: bool | float | str | list[int]) -> str:
    if isinstance(value, list):
        return "-".join(map(str, value))[:40] or "none"
    return re.sub(r"[^\w.-]", "", str(value).lower())[:40]
