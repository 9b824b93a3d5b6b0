"""Hugging Face's and timm's preprocessing as a card: the same tensor as their own code gives."""

import json

import numpy as np
import pytest
from PIL import Image

from core.card import Card, ShorterSide
from core.cards.cards_beside import card_beside
from core.cards.image_processors import DEFAULTS, SHORTER, SQUARE
from core.preprocess import completed, prepared

SQUARE_224, SQUARE_256 = ({"height": side, "width": side} for side in (224, 256))
SAYS_ALL = {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}


def picture(width=410, height=300):
    coarse = np.random.default_rng(0).integers(0, 255, (30, 41, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def ours(folder, image):
    card, notes = card_beside(folder / "model.safetensors")
    pixels = np.array(image)
    spec, _ = completed(card.input, pixels)
    return prepared([pixels], spec), spec, " ".join(notes)


def theirs(name, image, folder, **keys):
    library = pytest.importorskip("transformers")
    processor = getattr(library, f"{name}ImageProcessor")(**{"resample": 2} | keys)
    processor.save_pretrained(folder)
    return processor(image, return_tensors="pt")["pixel_values"]


def close(left, right, spec, levels=0.01):
    """Whether they agree to so many grey levels of the picture."""
    level = (spec.range[1] - spec.range[0]) / 255 / min(spec.std)
    return left.shape == right.shape and float((left - right).abs().max()) < levels * level


def written(folder, said, name="preprocessor_config.json"):
    (folder / name).write_text(json.dumps(said))
    card, notes = card_beside(folder / "model.safetensors")
    return card, " ".join(notes)


@pytest.mark.parametrize("name", sorted((SQUARE | SHORTER) - {"DeiT", "MobileViT"}))
def test_what_a_processor_does_unasked(name, tmp_path):
    expected = theirs(name, picture(), tmp_path)
    found, spec, notes = ours(tmp_path, picture())
    # DINOv3's resizes numbers, not 8-bit pixels: the others agree to rounding.
    assert close(found, expected, spec, 1.01 if name == "DINOv3ViT" else 0.01)
    assert notes.count("preprocessor_config.json") == 1


@pytest.mark.parametrize("name, keys", [
    ("ConvNext", {"size": {"shortest_edge": 224}}),
    ("ConvNext", {"size": {"shortest_edge": 256}, "crop_pct": 0.8}),
    ("DeiT", {"size": SQUARE_224}),
    ("DeiT", {"size": {"height": 200, "width": 224}, "do_center_crop": False}),
    ("EfficientNet", {"include_top": False}),
    ("EfficientNet", {"rescale_offset": True, "rescale_factor": 1 / 127.5}),
    ("EfficientNet", {"rescale_offset": True, "rescale_factor": 1 / 127.5, "do_normalize": False}),
    ("MobileViT", {"size": {"shortest_edge": 288}}),
    ("MobileViT", {"size": {"shortest_edge": 288}, "do_flip_channel_order": False}),
    ("PoolFormer", {"size": SQUARE_224, "crop_pct": 0.875}),
    ("ViT", {"do_rescale": False}),
])
def test_what_a_processor_is_told(name, keys, tmp_path):
    expected = theirs(name, picture(), tmp_path, **keys)
    found, spec, _ = ours(tmp_path, picture())
    assert close(found, expected, spec)


@pytest.mark.parametrize("name", ["Beit", "DeiT", "ViT", "CLIP", "MobileNetV2"])
def test_a_size_that_is_one_number_is_read_as_its_class_does(name, tmp_path):
    said = {"size": 256, "crop_size": 224, "do_center_crop": True, **SAYS_ALL}
    square = picture(300, 300)
    for image in (square, picture()):
        expected = theirs(name, image, tmp_path, **said)
        named = {"feature_extractor_type": f"{name}FeatureExtractor"}  # as older files do
        written(tmp_path, said | named)
        found, spec, notes = ours(tmp_path, image)
        assert spec.resize == ShorterSide(256, 224, "down")
        stretches = name in SQUARE
        assert ("stretched to 256 × 256 first" in notes) == stretches
        assert close(found, expected, spec) == (image is square or not stretches)


def test_every_classifier_s_processor_reads_a_number_as_here():
    library = pytest.importorskip("transformers")
    for name in SQUARE | SHORTER:
        processor = getattr(library, f"{name}ImageProcessor")
        assert processor.default_to_square == (name in SQUARE), name
        for key, value in {"do_center_crop": False, **DEFAULTS.get(name, {})}.items():
            if (name, key) != ("Levit", "crop_pct"):  # a number amid its code
                assert (getattr(processor, key, None) or False) == value, (name, key)


@pytest.mark.parametrize("name, keys, said", [
    ("DeiT", {}, "stretched to 256 × 256 first"),
    ("MobileViT", {}, "brought to 224 and the middle 256 × 256 cut out"),
    ("CLIP", {"crop_size": {"height": 200, "width": 224}}, "and the middle 224 × 200 cut out"),
    ("Bit", {"do_center_crop": False}, "brought to 224 and nothing cut off"),
    ("ViT", {"do_resize": False}, "do_resize is false"),
    ("ViT", {"resample": 3}, "not followed here: resample (bicubic; here bilinear)"),
    ("Perceiver", {}, "its class, Perceiver, is not one"),
])
def test_what_a_card_cannot_say_is_said(name, keys, said, tmp_path):
    theirs(name, picture(), tmp_path, **keys)
    assert said in " ".join(card_beside(tmp_path / "model.safetensors")[1])


@pytest.mark.parametrize("crop", [{"height": 200, "width": 224}, SQUARE_256])
def test_a_crop_that_a_card_cannot_say_is_not_invented(crop, tmp_path):
    said = {"do_center_crop": True, "crop_size": crop, "size": {"shortest_edge": 224}}
    card, _ = written(tmp_path, said)
    assert (card.input.height, card.input.width) == tuple(crop.values())
    assert card.input.resize is None


def test_what_is_no_number_is_named_and_the_rest_read(tmp_path):
    said = {"size": SQUARE_224, "rescale_factor": "1/255", "image_mean": [10**400] * 3,
            "image_std": ["0.5", 0.25, 1], "do_pad": True, "resample": 9}
    card, notes = written(tmp_path, said)
    assert (card.input.range, card.input.mean, card.input.std) == (None, None, (0.5, 0.25, 1.0))
    assert "a value that can be used: rescale_factor, image_mean." in notes
    assert "not followed here: resample (9; here bilinear), do_pad." in notes
    card, _ = written(tmp_path, {"rescale_factor": "0.00392156862745098"})
    assert card.input.range == (0.0, 1.0)


@pytest.mark.parametrize("odd", [
    10**400, -1, 0, 1e308, float("nan"), True, "x", [], [10**400], [3, 10**400, 0.5], {},
    {"height": 10**400, "width": 1}, {"shortest_edge": "x"}, {"shortest_edge": 10**400}])
def test_another_programs_file_never_keeps_a_model_closed(odd, tmp_path):
    keys = ("size", "crop_size", "rescale_factor", "image_mean", "image_std", "resample",
            "crop_pct", "image_processor_type", "do_resize")
    timm = ("input_size", "crop_pct", "mean", "std", "interpolation", "crop_mode")
    for usual in ({}, {"do_center_crop": True, "size": 224, "image_processor_type": "PoolFormer"}):
        for key in keys:
            written(tmp_path, usual | {key: odd})
        written(tmp_path, dict.fromkeys(keys, odd))
    usual = {"architecture": "net", "input_size": [3, 224, 224]}
    for key in timm:
        written(tmp_path, usual | {key: odd}, "config.json")
        written(tmp_path, {"pretrained_cfg": usual | {key: odd}}, "config.json")
    assert written(tmp_path, [odd], "config.json")[0].architecture is None


TIMM = {"input_size": [3, 160, 160], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6],
        "interpolation": "bilinear", "crop_pct": 0.95, "crop_mode": "center"}


@pytest.mark.parametrize("keys, note", [
    ({}, None),
    ({"crop_pct": None}, None),
    ({"crop_pct": 1.0, "crop_mode": "squash"}, None),
    ({"crop_pct": 1.0, "crop_mode": "squash", "input_size": [3, 160, 128]}, None),
    ({"crop_mode": "squash"}, "stretched to 168 × 168 first"),
    ({"crop_mode": "border"}, "crop_mode border"),
    ({"input_size": [3, 160, 128]}, "in proportion and the middle 128 × 160 cut out"),
    ({"interpolation": "bicubic"}, "interpolation (bicubic; here bilinear)"),
    ({"crop_border_pixels": 8}, "not followed here: crop_border_pixels."),
])
@pytest.mark.parametrize("flat", [False, True])
def test_timm_s_evaluation_transform(keys, note, flat, tmp_path):
    data = pytest.importorskip("timm.data")
    trained = TIMM | keys
    said = {"architecture": "resnet18"} | (trained if flat else {"pretrained_cfg": trained})
    _, notes = written(tmp_path, said, "config.json")
    assert (note or "config.json (Hugging Face) read") in notes
    usual = data.resolve_data_config(pretrained_cfg=trained)
    expected = data.create_transform(**usual)(picture())[None]
    found, spec, _ = ours(tmp_path, picture())
    assert found.shape == expected.shape
    if note is None:
        assert notes.count("config.json") == 1
        assert close(found, expected, spec, 1.01)  # Pillow rounds after each direction


def test_a_config_without_architecture_is_not_timm_s(tmp_path):
    assert written(tmp_path, TIMM, "config.json")[0] == Card()
