"""The card: read strictly, merged in order, written back as it was."""

import json

import pytest

from core.card import Card, InputSpec, ShorterSide
from core.cards.card_json import parse_card
from core.cards.cards_beside import card_beside
from core.errors import UserError

FULL = {
    "title": "My net",
    "architecture": "resnet18",
    "class_names": ["a", "b"],
    "output": "logits",
    "input": {
        "channels": 3,
        "height": 224,
        "width": 224,
        "channel_order": "BGR",
        "range": [0, 1],
        "mean": [0.1, 0.2, 0.3],
        "std": 0.5,
        "resize": {"shorter_side": 256, "crop": 224},
    },
    "data": "pictures",
    "logs": "logs",
}


def test_round_trip():
    card = parse_card(FULL, "x")
    assert card.input.resize == ShorterSide(256, 224)
    again = parse_card(json.loads(json.dumps(card.to_json())), "x")
    assert again == card
    assert card.to_json() == FULL | {"input": FULL["input"] | {"std": [0.5]}}


def test_every_key_is_optional():
    assert parse_card({}, "x") == Card()
    assert Card().to_json() == {}


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ([], "JSON object"),
        ({"colour": 1}, "'colour'"),
        ({"inferred": ["x"]}, "'inferred'"),
        ({"output": "odds"}, "'output'"),
        ({"input": {"height": 0}}, "height"),
        ({"input": {"height": 1e9}}, "height"),
        ({"input": {"height": True}}, "height"),
        ({"input": {"std": 0}}, "std"),
        ({"input": {"mean": "x"}}, "mean"),
        ({"input": {"mean": [float("nan")]}}, "mean"),
        ({"input": {"range": [1, 1]}}, "range"),
        ({"input": {"resize": "squash"}}, "resize"),
        ({"input": {"resize": {"shorter_side": 100, "crop": 200}}}, "resize"),
        ({"input": 3}, "'input'"),
        ({"input": {"channels": 3, "mean": [1, 2]}}, "3 channels"),
        ({"class_names": "cat"}, "class_names"),
        ({"class_names": []}, "class_names"),
        ({"title": 3}, "'title'"),
        ({"input": {"depth": 3}}, "input.depth"),
        ({"input": {"mean": 10**400}}, "mean"),
        ({"input": {"std": [10**400]}}, "std"),
        ({"input": {"range": [0, -(10**400)]}}, "range"),
        ({"title": "\ud800"}, "'title'"),
        ({"class_names": ["a", "\udfff"]}, "class_names"),
        ({"class_names": [["a"]]}, "class_names"),
        ({"class_names": ["a", None]}, "class_names"),
        ({"class_names": [{"x": 1}]}, "class_names"),
        ({"class_names": [True]}, "class_names"),
        ({"\ud800": 1}, "is not one of"),
        ({"input": {"\ud800": 1}}, "is not one of"),
        ({"output": "\ud800"}, "'output'"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(said, names):
    with pytest.raises(UserError, match=r"my\.card\.json") as error:
        parse_card(said, "my.card.json")
    assert names in str(error.value)
    assert not isinstance(said, dict) or "remove the key" in str(error.value), "what to do"
    str(error.value).encode()  # it can be written


def test_class_names_are_text_or_numbers():
    assert parse_card({"class_names": ["ä", 0, 1.5]}, "x").class_names == ("ä", "0", "1.5")


def test_a_key_is_named_with_the_label_that_the_editor_gives_it():
    for said, names in (
        ({"input": {"channels": 3, "mean": [1, 2]}}, "\"Mean\" ('input.mean') has 2 numbers"),
        ({"input": {"height": 0}}, "\"Height\" ('input.height') is a whole number"),
        ({"input": {"resize": {"shorter_side": 0, "crop": 1}}},
         "\"Fitting the size\" ('input.resize.shorter_side') is"),
        ({"input": {"range": [0]}}, "\"Pixel values 0 to 255 become\" ('input.range') is two"),
        ({"class_names": []}, "\"Class names\" ('class_names') is a list"),
        ({"title": 3}, "card: 'title' is a text"),
    ):
        with pytest.raises(UserError) as error:
            parse_card(said, "The card")
        assert names in str(error.value)


def test_the_first_card_wins_and_guesses_are_marked():
    first = Card(output="logits", input=InputSpec(height=32))
    second = Card(output="probabilities", title="t", input=InputSpec(height=64, width=64))
    merged = first.or_else(second).infer(input_channels=3, output="sigmoid", architecture=None)
    assert (merged.output, merged.title) == ("logits", "t")
    assert (merged.input.height, merged.input.width, merged.input.channels) == (32, 64, 3)
    assert merged.inferred == {"input.channels"}


def test_a_guess_loses_its_mark_when_a_card_states_it():
    guessed = Card().infer(output="logits", title="x")
    stated = Card(output="logits").or_else(guessed)
    assert stated.inferred == {"title"}


def test_cards_beside_a_model(tmp_path):
    model = tmp_path / "net.pt"
    (tmp_path / "net.card.json").write_text('{"title": "by stem", "output": "logits"}')
    (tmp_path / "net.pt.card.json").write_text('{"title": "by name"}')
    card, notes = card_beside(model)
    assert (card.title, card.output) == ("by name", "logits")
    assert len(notes) == 2


@pytest.mark.parametrize("model", ["model.safetensors.index.json",
                                   "model-00002-of-00003.safetensors"])
@pytest.mark.parametrize("name", ["model", "model.safetensors", "model.safetensors.index.json"])
def test_the_card_of_weights_in_several_files(model, name, tmp_path):
    (tmp_path / f"{name}.card.json").write_text('{"title": "the whole", "output": "logits"}')
    card, notes = card_beside(tmp_path / model)
    assert (card.title, len(notes)) == ("the whole", 1)
    (tmp_path / f"{model}.card.json").write_text('{"title": "its own"}')
    assert card_beside(tmp_path / model)[0].title == "its own"


@pytest.mark.parametrize("model", ["model.safetensors", "model-of-mine.pt", "model-1.pt"])
def test_a_model_in_one_file_has_no_card_of_a_whole(model, tmp_path):
    (tmp_path / "model.safetensors.index.json.card.json").write_text('{"title": "another"}')
    (tmp_path / "model-of.card.json").write_text('{"title": "another"}')
    assert card_beside(tmp_path / model) == (Card(), ())


def test_hugging_face_and_timm_files(tmp_path):
    (tmp_path / "config.json").write_text(
        json.dumps({"id2label": {"1": "dog", "0": "cat"}, "architecture": "resnet50"})
    )
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "do_center_crop": True,
                "crop_size": {"height": 224, "width": 224},
                "size": {"shortest_edge": 256},
                "do_rescale": True,
                "rescale_factor": 1 / 255,
                "do_normalize": True,
                "image_mean": [0.485, 0.456, 0.406],
                "image_std": [0.229, 0.224, 0.225],
            }
        )
    )
    card, notes = card_beside(tmp_path / "model.safetensors")
    assert card.class_names == ("cat", "dog")
    assert (card.architecture, card.input.resize, card.input.range) == (
        "resnet50",
        ShorterSide(256, 224, "down"),
        (0.0, 1.0),
    )
    assert card.input.std == (0.229, 0.224, 0.225)
    assert len(notes) == 2


def test_timm_pretrained_configuration(tmp_path):
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "architecture": "vit_tiny",
                "pretrained_cfg": {
                    "input_size": [3, 224, 224],
                    "crop_pct": 0.875,
                    "mean": [0.5, 0.5, 0.5],
                    "std": [0.5, 0.5, 0.5],
                },
            }
        )
    )
    card, _ = card_beside(tmp_path / "model.safetensors")
    assert (card.input.channels, card.input.height, card.input.resize) == (
        3, 224, ShorterSide(256, 224, "down"))


def test_what_hugging_face_switches_off_is_off(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "do_rescale": False,
                "do_normalize": False,
                "image_mean": [0.5] * 3,
                "size": {"height": 32, "width": 32},
            }
        )
    )
    card, _ = card_beside(tmp_path / "model.safetensors")
    assert (card.input.range, card.input.mean, card.input.std) == ((0.0, 255.0), (0.0,), (1.0,))


def test_somebody_elses_config_does_not_keep_a_model_closed(tmp_path):
    (tmp_path / "config.json").write_text("{ not json")
    card, notes = card_beside(tmp_path / "model.safetensors")
    assert card == Card()
    assert "config.json beside the model was not used" in notes[0]


def test_a_broken_card_is_named(tmp_path):
    (tmp_path / "net.card.json").write_text("{")
    with pytest.raises(UserError, match=r"net\.card\.json is not readable JSON"):
        card_beside(tmp_path / "net.pt")
