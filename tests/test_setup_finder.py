"""The set-up finder finds what was planted, stays silent where all fits, and its rule holds."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.optimize import linear_sum_assignment
from scipy.stats import binomtest
from streamlit.testing.v1 import AppTest

from core import library
from core.card import InputSpec
from core.cards.card_json import parse_card
from core.errors import UserError
from core.labels import UNKNOWN, match_labels
from core.outcomes import truth
from core.overview import summary
from core.preprocess import prepared
from core.setups.changes import alternatives, fittings
from core.setups.choice import chance, clearly_better
from core.setups.finder import planned, setup_search, share_right
from core.setups.occasion import SETUPS, Occasion, guesses, occasion
from core.setups.orders import LEAST_LOG, Answers, answers, cross_checked, orders, suggested
from core.setups.setup import SetUp

TEN = [str(digit) for digit in range(10)]
FROM_ONE = [str(digit + 1) for digit in range(10)]
MIXED = [TEN[i] for i in (3, 0, 7, 1, 9, 4, 2, 8, 6, 5)]
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
KEPT = "values 0–1, mean and std as they are"
HALF = "values 0–1, mean 0.5 and std 0.25"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Digits in other guises, and the digits network for coloured ones, by name."""
    from tests.conftest import ROOT

    folder, samples = tmp_path_factory.mktemp("set-ups"), ROOT / "sample_models"
    digits = library.open_dataset(library.dataset_id(samples / "digits-test.json"))
    pictures = np.stack([digits.image(row) for row in range(len(digits))])[..., 0]
    coloured = np.stack([pictures, np.roll(pictures, 1, 0), np.roll(pictures, 2, 0)], axis=-1)
    guises = {
        "digits": (pictures, digits.labels),
        "inverted": (255 - pictures, digits.labels),
        "transposed": (pictures.transpose(0, 2, 1), digits.labels),
        "both": (255 - pictures.transpose(0, 2, 1), digits.labels),
        "coloured": (coloured, digits.labels),
        "from one": (pictures, np.array([f"no. {label + 1}" for label in digits.labels])),
    }
    for name, (x, y) in guises.items():
        np.savez(folder / f"{name}.npz", x_test=x, y_test=y)
    state = load_file(samples / "digits-cnn.safetensors")
    card = json.loads((samples / "digits-cnn.card.json").read_text())
    state, card = for_colour(state, card)
    save_file(state, folder / "colour.safetensors")
    (folder / "colour.card.json").write_text(json.dumps(card))
    files = {path.stem: path for path in folder.glob("*.npz")}
    return files | {
        "colour-cnn": folder / "colour.safetensors",
        "digits-cnn": samples / "digits-cnn.safetensors",
        "shapes-cnn": samples / "shapes-cnn.safetensors",
        "shapes": samples / "shapes-test.json",
    }


def for_colour(state, card):
    """The digits network as one that reads the red channel, by ImageNet's mean and std."""
    kernel, (mean, std) = state["stage1.conv.weight"], (part[0] for part in IMAGENET)
    state["stage1.norm.running_mean"] -= kernel.sum((1, 2, 3)) * (mean - 0.5) / 0.25
    wide = torch.zeros(len(kernel), 3, 3, 3)
    wide[:, :1] = kernel * std / 0.25
    given = {"channels": 3, "mean": IMAGENET[0], "std": IMAGENET[1]}
    card = card | {"input": card["input"] | given, "data": "coloured.npz"}
    del card["logs"]
    return state | {"stage1.conv.weight": wide}, card


def opened(made, model, data, correction=None):
    card = parse_card(correction or {}, "The correction")
    return library.model_id(made[model], card), library.dataset_id(made[data])


PLANTED = {
    "0–255": ("digits-cnn", "digits", {"input": {"range": [0, 255]}}, {KEPT}),
    "−1–1": ("digits-cnn", "digits", {"input": {"range": [-1, 1]}}, {KEPT}),
    "no mean": ("digits-cnn", "digits", {"input": {"mean": 0, "std": 1}}, {HALF}),
    "MNIST": ("digits-cnn", "digits", {"input": {"mean": 0.1307, "std": 0.3081}}, {HALF}),
    "inverted": ("digits-cnn", "inverted", {}, {"inverted pictures"}),
    "transposed": ("digits-cnn", "transposed", {}, {"transposed pictures"}),
    "both": ("digits-cnn", "both", {}, {"inverted pictures", "transposed pictures"}),
    "classes": ("digits-cnn", "digits", {"class_names": MIXED}, {"class names sorted as text"}),
    "numbers": ("digits-cnn", "from one", {"class_names": [f"no. {n}" for n in sorted(FROM_ONE)]},
                {"class names sorted as numbers"}),
    "other names": ("digits-cnn", "from one", {"class_names": list("abcdefghij")},
                    {"class names sorted as numbers"}),
    "classes and range": ("digits-cnn", "digits",
                          {"class_names": MIXED, "input": {"range": [0, 255]}},
                          {KEPT, "class names sorted as text"}),
    "BGR": ("colour-cnn", "coloured", {"input": {"channel_order": "BGR"}},
            {"channels in the order RGB"}),
    "no ImageNet": ("colour-cnn", "coloured", {"input": {"mean": 0, "std": 1}},
                    {"values 0–1, ImageNet's mean and std"}),
    "BGR and range": ("colour-cnn", "coloured",
                      {"input": {"channel_order": "BGR", "range": [0, 255]}},
                      {"channels in the order RGB", KEPT}),
    "crop": ("digits-cnn", "digits", {"input": {"resize": {"shorter_side": 12, "crop": 8}}},
             {"stretched to the size"}),
    "shapes in 0–255": ("shapes-cnn", "shapes", {"input": {"range": [0, 255]}}, {KEPT}),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_was_planted_is_offered_first(made, name):
    model, data, correction, words = PLANTED[name]
    ids = opened(made, model, data, correction)
    found = setup_search(*ids)
    assert set(found.offer.words) == words
    assert found.offer.words == found.best[0].words
    assert found.right / found.examples == pytest.approx(share_right(*ids))
    unsaid = {"transposed pictures"} & words
    assert set(found.offer.open) == unsaid
    if words == unsaid:
        assert found.offer.correction is None
        return
    merged = correction | found.offer.correction
    merged["input"] = correction.get("input", {}) | found.offer.correction.get("input", {})
    applied = opened(made, model, data, merged)
    if not unsaid:  # what was promised is what the pass gives
        assert share_right(*applied) == pytest.approx(found.offer.right / found.examples)
        assert setup_search(*applied).offer is None


MATCHED = [("digits-cnn", "digits", {}), ("shapes-cnn", "shapes", {}),
           ("colour-cnn", "coloured", {}),
           ("digits-cnn", "inverted", {"input": {"range": [1, 0]}}),
           ("digits-cnn", "from one", {"class_names": [f"no. {name}" for name in FROM_ONE]})]


@pytest.mark.parametrize(("model", "data", "correction"), MATCHED)
def test_matched_set_ups_are_left_alone(made, model, data, correction):
    found = setup_search(*opened(made, model, data, correction))
    assert found.offer is None
    assert found.tried > 20


def test_an_order_that_only_the_predictions_know(made):
    named = [f"no. {number}" for number in FROM_ONE]
    ids = opened(made, "digits-cnn", "from one",
                 {"class_names": [named[i] for i in (4, 2, 8, 0, 9, 6, 1, 3, 7, 5)]})
    by_name = setup_search(*ids)
    assert by_name.offer.words == ("class names sorted as numbers",)
    shuffled = np.random.default_rng(3).permutation(10)
    digits = np.load(made["digits"])
    path = made["digits"].with_name("shuffled.npz")
    np.savez(path, x_test=digits["x_test"], y_test=shuffled[digits["y_test"]])
    ids = library.model_id(made["digits-cnn"]), library.dataset_id(path)
    found = setup_search(*ids)
    moved = int((shuffled != np.arange(10)).sum())
    assert found.offer.words == (f"{moved} of 10 classes meet another output",)
    wanted = [str(shuffled[output]) for output in range(10)]
    assert found.offer.correction == {"class_names": wanted}
    card = parse_card(found.offer.correction, "The correction")
    applied = library.model_id(made["digits-cnn"], card), ids[1]
    assert summary(*applied).accuracy == pytest.approx(
        summary(*opened(made, "digits-cnn", "digits")).accuracy)
    assert "by name" in truth(*applied).note


def test_data_without_labels_says_so(made):
    pictures = np.load(made["digits"])["x_test"]
    path = made["digits"].with_name("unlabelled.npz")
    np.savez(path, x_test=pictures)
    with pytest.raises(UserError, match="no labels"):
        setup_search(library.model_id(made["digits-cnn"]), library.dataset_id(path))


def test_few_examples_prove_nothing(made):
    digits = np.load(made["digits"])
    path = made["digits"].with_name("few.npz")
    np.savez(path, x_test=digits["x_test"][:8], y_test=digits["y_test"][:8])
    model = library.model_id(made["digits-cnn"], parse_card({"input": {"range": [0, 255]}}, ""))
    assert setup_search(model, library.dataset_id(path)).offer is None


def test_progress_counts_every_run_of_the_network():
    assert planned(80, 500) == 80 * 24 + 24 * 40 + 8 * 192
    assert planned(80, 50) == 80 * 24 + 24 * 26
    assert planned(5, 500) == 5 * 256


def test_a_set_up_prepares_pictures_as_the_pass_does():
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (9, 14, 3), np.uint8) for _ in range(5)]
    spec = InputSpec(3, 8, 8, "RGB", (0.0, 1.0), (0.5,), (0.25,), "stretch")
    fits = {way: [setup.fitted(picture) for picture in pictures]
            for way, setup in fittings(spec).items()}
    found = alternatives(spec, fits)
    assert found[0] == SetUp(spec)
    assert len({setup.words for setup in found}) == len(found)
    for setup in found:
        turned = [picture.transpose(1, 0, 2) if setup.transposed else picture
                  for picture in pictures]
        mine = np.stack([setup.turned(picture) for picture in fits[setup.fitting]])
        if setup.spec.resize == "stretch":  # the centre of an odd rest is on one side of it
            reference = prepared(turned, InputSpec(3, 8, 8, "RGB", (0.0, 255.0), (0.0,), (1.0,),
                                                   "stretch")).permute(0, 2, 3, 1).numpy()
            assert np.abs(mine - reference).max() <= 1  # 8-bit rounding between the two passes
    by_words = {setup.words: setup for setup in found}
    caffe = by_words["channels in the order BGR", "values 0–255, minus ImageNet's mean"].spec
    assert caffe.mean == (103.53, 116.28, 123.675)
    assert by_words["inverted pictures",].spec.range == (1.0, 0.0)


def test_the_data_s_own_mean_is_mirrored_where_pictures_are_inverted():
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 60, (8, 8, 1), np.uint8) for _ in range(5)]
    spec = InputSpec(1, 8, 8, "RGB", (0.0, 1.0), (0.0,), (1.0,), "stretch")
    fits = {way: [setup.fitted(picture) for picture in pictures]
            for way, setup in fittings(spec).items()}
    own = "values 0–1, the data's own mean and std"
    by_words = {setup.words: setup.spec for setup in alternatives(spec, fits)}
    mean = np.stack(pictures).mean() / 255
    assert by_words[own,].mean == pytest.approx((mean,), abs=1e-3)
    assert by_words["inverted pictures", own].mean == pytest.approx((1 - mean,), abs=1e-3)
    assert by_words["inverted pictures", own].std == by_words[own,].std


def random_answers(random, share, examples=256):
    right = random.random(examples) < share
    return Answers(right, np.where(right, 0.1, 3.0))


def entry(found):
    return SimpleNamespace(answers=found, right=int(found.right.sum()))


def test_the_test_is_the_exact_binomial_one():
    random = np.random.default_rng(0)
    for share in (0.3, 0.5, 0.7):
        one, other = random_answers(random, 0.5), random_answers(random, share)
        better = int((other.right & ~one.right).sum())
        either = int((other.right ^ one.right).sum())
        wanted = binomtest(better, either, alternative="greater").pvalue
        assert chance(other, one) == pytest.approx(wanted)
    assert chance(one, one) == 1


def test_where_nothing_is_better_almost_nothing_is_offered():
    random, offered, rounds, alternatives = np.random.default_rng(0), 0, 1000, 100
    for _ in range(rounds):
        now = entry(random_answers(random, 0.6))
        best = max((entry(random_answers(random, 0.6)) for _ in range(alternatives)),
                   key=lambda found: found.right)
        offered += clearly_better(best, now, alternatives)
    assert offered <= 0.02 * rounds


def test_what_is_better_by_much_is_offered_and_by_little_is_not():
    random = np.random.default_rng(0)
    now = random_answers(random, 0.6)
    assert clearly_better(entry(random_answers(random, 0.95)), entry(now), 200)
    almost = now.right.copy()
    almost[np.flatnonzero(~now.right)[:10]] = True  # never worse, but only 4 % more
    assert not clearly_better(entry(Answers(almost, now.loss)), entry(now), 1)


def logs_of(labels, classes, sure, random):
    """ln p (n, K) of a network whose output for a label is that label, mostly."""
    raw = random.normal(size=(len(labels), classes))
    raw[np.arange(len(labels)), labels] += sure
    return (raw - np.log(np.exp(raw).sum(1, keepdims=True))).astype(np.float32)


def test_suggested_is_the_best_assignment_and_held_out_chance_stays_chance():
    random = np.random.default_rng(0)
    labels = np.arange(200) % 10
    shuffled = random.permutation(10)
    logs = logs_of(shuffled[labels], 10, 4.0, random)
    share = np.stack([np.exp(logs[labels == label]).mean(0) for label in range(10)])
    rows, columns = linear_sum_assignment(share, maximize=True)
    found = suggested(logs, labels, np.arange(10))
    assert found.tolist() == columns[rows.argsort()].tolist() == shuffled.tolist()
    assert cross_checked(logs, labels, np.arange(10)).right.mean() > 0.8
    noise = logs_of(random.integers(0, 10, 200), 10, 4.0, random)
    fitted = suggested(noise, labels, np.arange(10))
    assert answers(noise, fitted[labels]).right.mean() > 0.15  # what it was made from flatters it
    assert cross_checked(noise, labels, np.arange(10)).right.mean() < 0.15


def test_more_classes_than_outputs_and_more_outputs_than_classes():
    random = np.random.default_rng(0)
    labels = np.arange(120) % 6
    logs = logs_of((labels + 2) % 4, 4, 5.0, random)
    found = suggested(logs, labels, np.array([0, 1, 2, 3, UNKNOWN, UNKNOWN]))
    assert sorted(found.tolist()) == [UNKNOWN, UNKNOWN, 0, 1, 2, 3]
    logs = logs_of(labels + 3, 12, 5.0, random)
    assert suggested(logs, labels, np.arange(6)).tolist() == [3, 4, 5, 6, 7, 8]


def test_outputs_that_are_no_numbers_are_wrong():
    logs = np.log(np.array([[0.9, 0.1], [np.nan, np.nan], [0.2, 0.8]], np.float32))
    found = answers(logs, np.array([0, 0, UNKNOWN]))
    assert found.right.tolist() == [True, False, False]
    assert found.loss == pytest.approx([-np.log(0.9), -LEAST_LOG, -LEAST_LOG], abs=1e-5)


def test_orders_that_names_and_counts_suggest():
    labels = np.array([0, 1, 2])
    data_names = ("10", "2", "9")
    known = match_labels(3, None, data_names, labels)
    found = orders(known, data_names)
    assert [(way.words, way.output_of.tolist()) for way in found] == [
        ("", [0, 1, 2]), ("class names sorted as numbers", [2, 0, 1])]
    assert found[1].class_names == ("2", "9", "10")
    known = match_labels(3, None, ("0", "1", "2", "3"), labels + 1)
    words = {way.words: way.output_of.tolist() for way in orders(known, ("0", "1", "2", "3"))}
    assert words["classes by index, counting from 1"] == [UNKNOWN, 0, 1, 2]
    known = match_labels(2, ("a", "b"), ("x", "X"), np.array([0, 1]))
    assert len(orders(known, ("x", "X"))) == 1  # a card could not tell them apart


def drawn(ids):
    """The two parts as a page of their own."""
    app = AppTest.from_string(
        "import streamlit as st\n"
        "from core.ui.setup import preprocessing_preview, setup_offer\n"
        "setup_offer(*st.session_state.ids)\n"
        "preprocessing_preview(*st.session_state.ids)\n", default_timeout=120)
    app.session_state.ids = ids
    app.run()
    assert not app.exception
    return app


def said(app):
    return " ".join(element.value for element in [*app.markdown, *app.warning, *app.caption])


def test_the_offer_on_the_page_and_its_correction(made):
    correction = {"input": {"range": [0, 255], "std": [0.25]}}
    ids = opened(made, "digits-cnn", "digits", correction)
    app = drawn(ids)
    offer = next(one.value for one in app.markdown if "right with" in one.value).replace("\\", "")
    one, = re.findall(r"([\d.]+) % right with values 0", offer)
    as_offered = opened(made, "digits-cnn", "digits", {"input": {"std": [0.25]}})
    assert float(one) == round(100 * share_right(*as_offered), 1)
    assert offer.count("%") == 1  # how many are right now stands above, of all examples
    labelled = len(library.open_dataset(ids[1]).labels)
    more = round(256 * (share_right(*as_offered) - share_right(*ids)))
    assert f"Of a sample of 256 of {labelled:,} labelled examples, {more} more than now" in offer
    assert "Try other set-ups" not in [button.label for button in app.button]
    app.session_state["card"] = json.dumps(correction)
    app.run()
    next(button for button in app.button if button.label == "Apply").click().run()
    assert json.loads(app.session_state["_next_card"]) == {
        "input": {"range": [0.0, 1.0], "std": [0.25]}}


def test_the_page_is_silent_where_all_fits_and_answers_who_asks(made):
    app = drawn(opened(made, "digits-cnn", "digits"))
    assert "right with" not in said(app)
    assert "8 × 8 grey, values 0 to 1, minus mean 0" in said(app).replace("\\", "")
    next(button for button in app.button if button.label == "Try other set-ups").click().run()
    assert "other set-ups is clearly better" in said(app)


def test_classes_that_differ_are_shown_with_ways_to_map_them(made):
    ids = opened(made, "digits-cnn", "from one", {"class_names": ["x", *TEN[1:]]})
    app = drawn(ids)
    assert "10 of the data" in said(app)
    next(button for button in app.button if button.label == "By index, as now").click().run()
    names = json.loads(app.session_state["_next_card"])["class_names"]
    assert names == sorted(f"no. {number}" for number in FROM_ONE)


def test_guessing_is_what_chance_explains(made):
    """By scipy's binomial distribution, of which two standard errors leave about 2.3 %."""
    ids = opened(made, "digits-cnn", "digits", {"input": {"mean": 1000}})
    assert guesses(*ids) and share_right(*ids) < 0.2
    assert not guesses(*opened(made, "digits-cnn", "digits"))
    some = round(256 * 0.25)
    assert binomtest(some, 256, 0.1, "greater").pvalue < 1e-6
    better = opened(made, "digits-cnn", "digits", {"input": {"range": [0, 255]}})
    assert share_right(*better) > some / 256 and not guesses(*better)


def test_a_network_that_guesses_gives_a_button_on_top_or_a_search_that_costs_less_than_the_pass(
        made, monkeypatch):
    from core.setups import occasion as module

    monkeypatch.setattr(module, "QUICK", 0)
    ids = opened(made, "digits-cnn", "digits", {"input": {"mean": 900, "std": 0.5}})
    assert occasion(*ids) is Occasion.GUESSING
    app = drawn(ids)
    assert "No better than guessing" in app.markdown[0].value
    assert f"up to {planned(SETUPS, 256):,} times" in said(app)
    button, = (button for button in app.button if button.label == "Try other set-ups")
    button.click().run()
    assert "right with" in said(app) and "No better than guessing" not in said(app)
    monkeypatch.setattr(module, "runs", lambda dataset_id: 1)
    others = opened(made, "digits-cnn", "digits", {"input": {"mean": 800, "std": 0.5}})
    assert occasion(*others) is Occasion.UNASKED
    assert "right with" in said(drawn(others))
    assert occasion(*opened(made, "digits-cnn", "digits")) is Occasion.NONE


def test_no_picture_has_more_alternatives_than_are_said():
    random = np.random.default_rng(0)
    for channels, stated in ((1, {}), (3, {}), (3, {"mean": (0.3, 0.2, 0.1), "std": (2.0,)})):
        spec = InputSpec(channels, 24, 24, "RGB", (0.0, 1.0), (0.0,), (1.0,), "stretch")
        spec = replace(spec, **stated)
        fits = {fitting: [setup.fitted(random.integers(0, 256, (40, 30, channels), np.uint8))
                          for _ in range(4)] for fitting, setup in fittings(spec).items()}
        assert len(alternatives(spec, fits)) <= SETUPS
