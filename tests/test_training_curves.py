"""Smoothing, domains, sums, thinning and findings, against plain loops and made-up runs."""

import math

import numpy as np
import pandas as pd
import pytest

from core import training_curves
from core.findings.tag_names import direction, measured, pairs, split_of
from core.log_formats import Logs
from core.logs import read_logs
from core.training_curves import extremes, outlier_domain, smoothed, summary, visible_domain
from core.training_findings import what_happened
from tests.test_logs import SAMPLES, SHARED

CHANCE = np.random.default_rng(0)


def log(**series):
    """A log table of one run "r" from tag=values, or run__tag=values; steps 0, 10, 20 …"""
    parts = [pd.DataFrame({"run": name.rpartition("__")[0] or "r", "tag": name.rpartition("__")[2],
                           "step": np.arange(len(values)) * 10,
                           "wall_time": 1.7e9 + np.arange(len(values)) * 0.5,
                           "value": np.asarray(values, float)})
             for name, values in series.items()]
    return pd.concat(parts, ignore_index=True).astype({"run": "category", "tag": "category"})


def by_loop(values, weight):
    """TensorBoard's smoothing, word for word from its description."""
    constant = all(value == values[0] for value in values)
    last, count, result = 0.0, 0, []
    for value in values:
        if constant or not math.isfinite(value):
            result.append(value)
            continue
        last = last * weight + (1 - weight) * value
        count += 1
        result.append(last / (1 - weight**count))
    return result


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.6, 0.99, 0.999])
@pytest.mark.parametrize("values", [
    CHANCE.normal(size=500), [1.0, 5.0], [2.0], [0.1] * 40, [math.nan] * 3, [1.0, math.nan, 1.0],
    [3.0, math.inf, -math.inf, math.nan, 4.0, 5.0], [1e308, 1e308, -1e308], [5e-324, 0.0]])
def test_smoothing_is_tensorboards(values, weight):
    found = smoothed(np.array(values), weight)
    np.testing.assert_allclose(found, by_loop(values, weight), rtol=1e-15, equal_nan=True)


def test_smoothing_of_a_known_series():
    # 0.4·1/0.4; (0.6·0.4 + 0.4·2)/(1 − 0.36); (0.6·1.04 + 0.4·4)/(1 − 0.216)
    np.testing.assert_allclose(smoothed(np.array([1.0, 2.0, 4.0])), [1, 1.625, 2.224 / 0.784])


@pytest.mark.parametrize("values, domain", [
    (range(101), (5, 95)), ([7.0, 1000.0], (7, 1000)), ([3.0], (3, 3)), ([], None),
    ([math.nan, math.inf], None), ([*range(20), 1e9], (1, 19)), ([1, 2, 3], (2, 2))])
def test_outlier_domain_is_tensorboards(values, domain):
    assert outlier_domain(np.array(list(values), float)) == domain


@pytest.mark.parametrize("count", [1, 2, 3, 10, 20])
def test_nothing_of_a_curve_of_few_points_is_an_outlier(count):
    values = CHANCE.normal(size=count)
    known = values.min(), values.max()
    assert visible_domain(values, np.zeros(count, int)) == known
    raw = values + 1
    assert visible_domain(values, np.zeros(count, int), raw) == (known[0], raw.max())


def test_curves_of_enough_points_keep_tensorboards_domain():
    values, short = CHANCE.normal(size=400), np.array([-2.0, 9.0, math.nan, 0.0])
    curve = np.repeat([0, 1], 200)
    assert visible_domain(values, curve, values * 5) == outlier_domain(values)
    far = np.append(values, [9e27, 0.0, 1.0])  # of a short run that blew up
    assert visible_domain(far, np.append(curve, [2] * 3)) == outlier_domain(far)
    both = np.concatenate([values, short])
    low, _ = outlier_domain(both)
    assert visible_domain(both, np.append(curve, [2] * 4)) == (min(low, -2.0), 9.0)
    band = np.stack([values - 1, values, values + 1], axis=1)  # a point with its band counts once
    assert visible_domain(band[:21], np.zeros(21, int)) == outlier_domain(band[:21].ravel())
    assert visible_domain(band[:20], np.zeros(20, int)) == (band[:20].min(), band[:20].max())
    assert visible_domain(np.full(3, math.nan), np.zeros(3, int)) is None
    assert visible_domain(np.empty(0), np.empty(0, int)) is None


def test_summary():
    table = summary(log(loss=[3, 1, math.nan, 2], val_accuracy=[0.1, 0.9, 0.9, 0.5], lr=[1, 1]))
    rows = table.set_index("tag").to_dict("index")
    assert rows["loss"] == {"run": "r", "points": 4, "first_step": 0, "last_step": 30, "last": 2.0,
                            "better": "lower", "best": 1.0, "best_step": 10, "duration": 1.5,
                            "not_finite": 1}
    assert (rows["val_accuracy"]["best"], rows["val_accuracy"]["best_step"]) == (0.9, 10)
    assert rows["lr"]["better"] == "" and math.isnan(rows["lr"]["best"])
    assert table["best_step"].dtype == "Int64" and pd.isna(rows["lr"]["best_step"])


@pytest.mark.parametrize("tag, better", [
    ("loss", "lower"), ("val/error_rate", "lower"), ("valLoss", "lower"),
    ("top1 accuracy", "higher"), ("metrics/mAP50", ""), ("f1_macro", "higher"), ("loss_scale", ""),
    ("lr-AdamW", ""), ("epoch", ""), ("glossy", "")])
def test_direction_is_read_from_the_words_of_a_tag(tag, better):
    assert direction(tag) == better


@pytest.mark.parametrize("train, validation", [
    ("loss/train", "loss/validation"), ("train_loss", "val_loss"), ("train/loss", "val/loss"),
    ("loss", "val_loss"), ("trainLoss", "validLoss"), ("Loss/train", "Loss/test"),
    ("train_loss_epoch", "val_loss"), ("train/cls_loss", "eval/cls_loss")])
def test_tags_of_training_and_validation_are_paired(train, validation):
    others = [("r", "val_acc"), ("s", validation), ("r", "other_loss")]
    found = pairs([("r", validation), ("r", train), *others])
    assert [(pair.train, pair.validation) for pair in found] == [(("r", train), ("r", validation))]


def test_keras_runs_are_paired_and_validation_is_preferred_to_test():
    found = pairs([("x/train", "epoch_loss"), ("x/validation", "epoch_loss"),
                   ("x/train", "epoch_acc")])
    assert [pair.validation for pair in found] == [("x/validation", "epoch_loss")]
    found = pairs([("r", "train_loss"), ("r", "test_loss"), ("r", "val_loss")])
    assert [pair.validation for pair in found] == [("r", "val_loss")]
    assert split_of("evaluate") == "" and measured("train/loss") == measured("loss")


def test_thinning_keeps_every_peak_and_gap():
    values = CHANCE.normal(size=100_000)
    values[[33_333, 71_234]] = 50, -50
    values[55_555] = math.nan
    places = extremes(values, 1000)
    assert len(places) <= 1000 and {0, 33_333, 55_555, 71_234, 99_999} <= set(places.tolist())


@pytest.mark.parametrize("count", [8, 9, 10, 11, 25, 26, 1000, 1001])
def test_thinning_keeps_the_envelope(count):
    values = CHANCE.normal(size=count)
    places = extremes(values, 8)
    assert len(places) <= 8 and len(set(places)) == len(places)
    assert {values.argmin(), values.argmax(), 0, count - 1} <= set(places.tolist())


def test_nothing_to_sum_up():
    whole = log(loss=[1, 2, 3])
    assert summary(whole.iloc[:0]).empty and what_happened(whole.iloc[:0]) == []


def falling(end, count=200, begin=2.3, noise=0.02):
    factors = 1 + noise * np.random.default_rng(1).normal(size=count)
    return end + (begin - end) * np.exp(-np.linspace(0, 6, count)) * factors


def test_clean_run_is_silent():
    assert what_happened(log(
        train_loss=falling(0.1), val_loss=falling(0.3, 40), train_acc=1 - falling(0.1) / 3,
        lr=[0.1] * 50, loss_scale=[1] * 50)) == []


def test_noise_is_not_overfitting():
    noisy = falling(0.5, 60) + np.random.default_rng(2).normal(0, 0.1, 60)
    assert what_happened(log(train_loss=falling(0.1), val_loss=noisy)) == []


def test_overfitting_is_found_where_it_begins():
    turn = np.concatenate([np.linspace(2.3, 0.6, 30), np.linspace(0.6, 1.4, 70)])
    found, = what_happened(log(train_loss=falling(0.01, 100), val_loss=turn))
    assert (found.run, found.tag, found.kind) == ("r", "val_loss", "overfitting")
    assert 270 <= found.step <= 330
    assert "0.6" in found.sentence and "1.3" in found.sentence


def test_both_losses_rising_is_not_overfitting():
    up = np.concatenate([np.linspace(2.3, 0.6, 30), np.linspace(0.6, 1.4, 70)])
    assert [f.kind for f in what_happened(log(train_loss=up, val_loss=up))] == []


@pytest.mark.parametrize("odd, what", [(math.nan, "NaN"), (math.inf, "infinite")])
def test_earliest_non_finite_value_is_told_once_a_run(odd, what):
    loss = [2.0, 1.5, odd, odd, odd]
    found, = what_happened(log(loss=loss, accuracy=[0.1, 0.2, 0.3, odd, odd]))
    assert (found.tag, found.step) == ("loss", 20)
    assert found.sentence == f"loss is {what} at step 20 and never finite again (3 of 5 values)."
    found, = what_happened(log(loss=[2.0, odd, 1.0]))
    assert "finite again later" in found.sentence


def test_plateau_is_told_of_training_losses_only():
    flat = 2.3 + np.random.default_rng(3).normal(0, 0.01, 50)
    found, = what_happened(log(train_loss=flat, val_loss=flat, error_scale=flat))
    assert (found.tag, found.step, found.kind) == ("train_loss", 0, "plateau")
    assert "hardly fell" in found.sentence


def test_divergence_is_told_where_it_begins():
    loss = np.concatenate([np.linspace(2.3, 2, 50), np.full(50, 80.0)])
    found, = what_happened(log(train_loss=loss))
    assert (found.kind, found.tag) == ("divergence", "train_loss") and found.step == 500
    assert found.sentence.startswith("train_loss diverged: 2.")


def test_restarted_steps_count_once():
    table = log(loss=falling(0.1, 100))
    again = table.iloc[50:].assign(value=lambda rows: rows["value"] / 2)
    before = table.assign(value=table["value"].where(table.index < 50, math.nan))
    joined = pd.concat([before, again], ignore_index=True)
    assert what_happened(joined) == []


def test_real_overfitting_is_found():
    folder = SHARED / "real" / "logs" / "phlippe_vit_overfitting"
    if not folder.exists():
        pytest.skip("the shared files are not here")
    found, = what_happened(read_logs(folder).table)
    assert found.kind == "overfitting"
    assert 7_000 < found.step < 21_000  # of 70,199; val_loss itself is lowest at 11,933


@pytest.fixture
def opened(monkeypatch):
    table = log(loss=[3, 1, math.nan, 2], a__loss=CHANCE.normal(size=500), acc=[1, 2])
    monkeypatch.setattr(training_curves, "open_logs", lambda logs_id: Logs(table, ("said",)))
    for cached in ("run_summary", "tags_and_runs", "loading_report", "runs_without_points"):
        getattr(training_curves, cached).clear()
    return table


def test_what_else_a_page_asks(opened):
    assert training_curves.tags_and_runs("id") == (["acc", "loss"], ["a", "r"])
    assert len(training_curves.run_summary("id")) == 3
    assert training_curves.runs_without_points("id") == []
    assert training_curves.loading_report("id") == ("said",)


@pytest.mark.parametrize("run, kinds", [
    ("digits/cnn", [[]]), ("digits/keras-cnn", [[]]), ("shapes/cnn", [[]]), ("shapes/vit", [[]]),
    ("shapes/cnn-few-examples", [["overfitting"]]), ("shapes/cnn-rate-too-low", [["plateau"]]),
    ("shapes/cnn-rate-too-high", [["not finite"], ["divergence"]])])
def test_samples_tell_their_stories(run, kinds):
    if not (SAMPLES / run).exists():
        pytest.skip("python -m sample_models.make has not written this run yet")
    assert [finding.kind for finding in what_happened(read_logs(SAMPLES / run).table)] in kinds


def test_a_flat_curve_does_not_hide_a_short_one():
    values = np.append(np.full(400, 0.001), np.linspace(0.1, 0.01, 10))
    curve = np.append(np.zeros(400, int), np.ones(10, int))
    assert visible_domain(values, curve) == (0.001, 0.1)
