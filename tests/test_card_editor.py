"""The model card in the sidebar: a correction that cannot be read stays, is said, and is mended."""

import json
import shutil

import pytest

from core.files import found_files
from core.ui.card_editor import _parsed
from tests.app import PAGES, faults, finished, opened, words
from tests.conftest import ROOT

DIGITS = {"model": "digits-cnn.safetensors", "data": "digits-test.json"}


def field(app, label):
    widgets = [*app.sidebar.text_input, *app.sidebar.selectbox, *app.sidebar.text_area]
    return next(widget for widget in widgets if widget.label == label)


def press(app, label):
    return finished(next(b for b in app.sidebar.button if b.label == label).click().run())


def said(app):
    return "".join(faults(app)).replace("\\", "")


@pytest.fixture
def own_models(tmp_path, monkeypatch):
    """A folder whose models are listed beside the samples."""
    monkeypatch.setenv("NETLENS_MODELS", str(tmp_path))
    found_files.folders.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    found_files.folders.cache_clear()


@pytest.mark.parametrize("page", [PAGES[0], PAGES[1], PAGES[4]])
def test_a_broken_card_beside_a_model_is_said_on_the_page_once(page, own_models):
    shutil.copy(ROOT / "sample_models" / "digits-cnn.safetensors", own_models / "net.safetensors")
    (own_models / "net.card.json").write_text('{"title": ')
    app = opened(page, model="net.safetensors", data="digits-test.json")
    assert said(app).count("net.card.json is not readable JSON") == 1
    assert len(app.main.error) == 1, "not in the sidebar, which may be folded"
    captions = [caption.value for caption in app.sidebar.caption]
    assert "Not opened: the page says why." in captions
    assert not [words for words in captions if "kB" in words], "as if it were open"
    assert "for the reason given above" not in words(app)


@pytest.mark.parametrize(
    ("card", "names"),
    [
        ('{"input":{"mean":"x"}}', "'input.mean'"),
        ('{"foo":1}', "'foo'"),
        ('{"output":"x"}', "'output'"),
        ('{"title":null}', "'title'"),
        ('{"input":{"std":0}}', "'input.std'"),
        ("{bad", "JSON object such as"),
        ("[1,2]", "JSON object such as"),
        ("[" * 5000, "JSON object such as"),
        ('{"title":"' + "x" * 20_000 + '"}', "20,000 characters"),
        ('{"output": "probabilities"', "JSON object such as"),
    ],
)
def test_a_correction_that_is_no_card_is_said_and_can_be_mended(card, names):
    app = opened(**DIGITS, card=card)
    assert len(app.error) == 1 and names in said(app) and "Model card" in said(app)
    app = finished(app.switch_page("pages/2_Architecture.py").run())
    assert len(app.error) == 1 and names in said(app)
    assert app.sidebar.text_input(key="card").value == card
    app = finished(app.switch_page(PAGES[0]).run())
    app = finished(app.sidebar.text_input(key="card").set_value('{"title":"Mine"}').run())
    assert faults(app) == [] and "Mine · " in words(app)
    app = finished(app.sidebar.text_input(key="card").set_value(card).run())
    assert names in said(app)
    app = press(app, "Undo corrections")
    assert faults(app) == [] and "of 504 right" in words(app)


@pytest.mark.parametrize(
    ("key", "typed", "stated"),
    [
        ("input.range", "[0, 1]", [0, 1]),
        ("input.range", "0, 1", [0, 1]),
        ("input.range", "-1;1", [-1, 1]),
        ("input.mean", "0.5", [0.5]),
        ("input.mean", "[0.1, 0.2, 0.3]", [0.1, 0.2, 0.3]),
        ("input.std", " 0.1 , 0.2 ", [0.1, 0.2]),
        ("input.resize", "stretch", "stretch"),
        ("input.resize", '"stretch"', "stretch"),
        ("input.resize", "256, 224", {"shorter_side": 256, "crop": 224}),
        ("input.resize", "[256, 224]", {"shorter_side": 256, "crop": 224}),
        ("input.resize", '{"shorter_side": 256, "crop": 224}', {"shorter_side": 256, "crop": 224}),
        ("input.resize", "256, 224, down",
         {"shorter_side": 256, "crop": 224, "longer_side": "down"}),
        ("input.resize", "256, 224, down, 9", "256, 224, down, 9"),
        ("input.height", "64", 64),
        ("class_names", "a\n b \n\n[1]", ["a", "b", "[1]"]),
    ],
)
def test_what_may_be_typed_in_a_field(key, typed, stated):
    assert _parsed(key, typed) == stated


def test_the_spellings_that_a_message_names_are_taken():
    app = opened(**DIGITS)
    field(app, "Pixel values 0 to 255 become").set_value("0")
    app = press(app, "Apply")
    assert "such as [0, 1]. Correct what stands in the field." in said(app)
    field(app, "Pixel values 0 to 255 become").set_value("[0, 2]")
    field(app, "Fitting the size").set_value('{"shorter_side": 16, "crop": 8}')
    app = press(app, "Apply")
    assert faults(app) == []
    assert json.loads(app.sidebar.text_input(key="card").value) == {
        "input": {"range": [0, 2], "resize": {"shorter_side": 16, "crop": 8}}}
    assert "224" in field(app, "Fitting the size").help


@pytest.mark.parametrize(("label", "empty"), [
    ("Mean", ""), ("Height", " "), ("Outputs are", ""), ("Architecture", ""), ("Class names", "")])
def test_an_emptied_field_that_the_file_states_is_said(label, empty):
    app = opened(**DIGITS)
    shown = f"{label}, one a line" if label == "Class names" else label
    field(app, shown).set_value(empty)
    app = press(app, "Apply")
    assert f'"{label}" is stated by the model file or the card beside it' in said(app)
    assert not app.sidebar.text_input(key="card").value


def test_an_emptied_field_takes_its_correction_back():
    app = opened(**DIGITS, card='{"output":"probabilities","title":"T"}')
    field(app, "Outputs are").set_value("")
    app = press(app, "Apply")
    assert faults(app) == []
    assert app.sidebar.text_input(key="card").value == '{"title":"T"}'
    assert field(app, "Outputs are").value == "logits", "as the card beside the file says"


@pytest.mark.parametrize("card", [{"mean": 1e308, "std": 1e-300}, {"range": [-1e308, 1e308]}])
def test_a_card_that_makes_all_outputs_no_numbers_is_named_as_a_cause(card):
    app = opened(**DIGITS, card=json.dumps({"input": card}))
    assert "Check the mean, the standard deviation and the range in the model card" in said(app)


def test_the_sample_opens_where_corrections_keep_it_closed():
    app = opened(PAGES[5], model="shapes-cnn.safetensors", data="shapes-test.json", card="{bad")
    assert said(app).count("is not readable") == 1
    app = finished(next(b for b in app.main.button if b.label == "Open the sample").click().run())
    assert faults(app) == [] and "Choose a model" not in words(app)
