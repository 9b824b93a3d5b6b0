"""Each kind of finding on curves made for it, thirty seeds of noise each, and none on clean ones."""

import json
import math
import os
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from core import library
from core.findings.tag_names import by_the_run, is_learning_rate, must_fall
from core.logs import read_logs
from core.training_findings import AT_THE_END, KINDS, best_checkpoints, of_logs, what_happened
from core.ui.findings import shown_findings
from tests.event_files import NAME, scalar, write
from tests.test_logs import SAMPLES, SHARED

SEEDS = range(30)


def log(run="r", every=10, **tags):
    """A log table of one run; "__" in a name stands for a slash."""
    parts = [pd.DataFrame({"run": run, "tag": name.replace("__", "/"), "step":
                           np.arange(len(values)) * every, "wall_time": 1.7e9, "value": values})
             for name, values in tags.items()]
    return together(*parts)


def together(*parts):
    whole = pd.concat(parts, ignore_index=True)
    return whole.astype({"run": str, "tag": str}).astype({"run": "category", "tag": "category"})


def falling(chance, count=100, begin=2.3, end=0.1, speed=6.0, noise=0.03):
    """An exponential fall whose noise shrinks with the loss."""
    curve = end + (begin - end) * np.exp(-np.linspace(0, speed, count))
    return curve * (1 + noise * chance.normal(size=count))


def turning(chance, count=100, at=0.3, low=0.6, high=1.4, noise=0.02):
    turn = int(at * count)
    curve = np.concatenate([np.geomspace(2.3, low, turn), np.linspace(low, high, count - turn)])
    return curve + noise * chance.normal(size=count)


def swinging(chance, count, period, size=0.5):
    swing = size * np.sign(np.sin(2 * np.pi * (np.arange(count) + 0.25) / period))
    return falling(chance, count, end=1.0, noise=0.02) + swing


def spiky(chance):
    loss = falling(chance, 300)
    loss[[90, 150, 190, 260]] += [3, 2, 4, 2.5]
    return loss


def exploding(chance):
    loss = falling(chance, 200)
    loss[140:] = np.linspace(0.2, 2.2, 60) * (1 + 0.05 * chance.normal(size=60))
    return loss


def late(chance):
    """Stands still for the first 40 % of the run."""
    loss = np.concatenate([np.full(80, 2.3), 0.1 + 2.2 * np.exp(-np.linspace(0, 6, 120))])
    return loss * (1 + 0.005 * chance.normal(size=200))


# Kind -> tables that show it and nothing else.
FAULTY = {
    "overfitting": [
        lambda c: log(train_loss=falling(c), val_loss=turning(c)),
        lambda c: log(loss=falling(c, 20), val_loss=turning(c, 20)),
        lambda c: log(train__loss=falling(c, 2000, noise=0.3), val__loss=turning(c, 50)),
        lambda c: log(accuracy=100 - 40 * falling(c), val_accuracy=100 - 25 * turning(c)),
        lambda c: together(log("x/train", epoch_loss=falling(c)),
                           log("x/validation", epoch_loss=turning(c))),
        lambda c: log(train_loss=1000 * falling(c), val_loss=1000 * turning(c, noise=0.06)),
    ],
    "divergence": [
        lambda c: log(train_loss=np.concatenate([falling(c, 50), 80 * falling(c, 50)[::-1]])),
        lambda c: log(loss=exploding(c), val_loss=falling(c, 40)),
    ],
    "not finite": [
        lambda c: log(loss=np.where(np.arange(100) < 60, falling(c), math.nan)),
        lambda c: log(loss=np.where(np.arange(100) == 60, math.inf, falling(c))),
    ],
    "plateau": [
        lambda c: log(train_loss=2.3 * (1 + 0.02 * c.normal(size=60))),
        lambda c: log(train_loss=2.3 * (1 + 0.2 * c.normal(size=2000))),
        lambda c: log(loss=falling(c, 200, end=1.8, speed=40, noise=0.02)),
        lambda c: log(loss=late(c)),
    ],
    "learning rate too high": [
        lambda c: log(loss_epoch=swinging(c, 30, 2)),
        lambda c: log(loss=swinging(c, 400, 8)),
        lambda c: log(train_loss=falling(c, 40), val_loss=swinging(c, 40, 3)),
        lambda c: log(train_loss=spiky(c)),
    ],
    "learning rate too low": [
        lambda c: log(loss=np.linspace(2.3, 2.0, 100) + 0.02 * c.normal(size=100)),
        lambda c: log(loss=np.linspace(2.3, 1.9, 2000) + 0.3 * c.normal(size=2000)),
        lambda c: log(loss=np.linspace(0.23, 0.19, 30) + 0.001 * c.normal(size=30)),
    ],
    "gap": [
        lambda c: log(train_acc=1 - falling(c) / 3, val_acc=1 - falling(c, 40, end=1.0) / 3),
        lambda c: log(accuracy=100 - 30 * falling(c), val_accuracy=100 - 30 * falling(c, end=0.7)),
        lambda c: log(train_loss=falling(c), val_loss=falling(c, 40, end=1.2)),
    ],
    "stopped too early": [
        lambda c: log(train_loss=falling(c, speed=1.5), val_loss=falling(c, 40, speed=1.5)),
        lambda c: log(loss=falling(c, 500, speed=1.5, noise=0.05)),
        lambda c: log(train_acc=1 - falling(c) / 3, val_acc=1 - falling(c, speed=1.5) / 3),
    ],
}  # fmt: skip
CLEAN = [
    lambda c: log(train_loss=falling(c), val_loss=falling(c, 40, end=0.3),
                  train_acc=1 - falling(c) / 3, val_acc=1 - falling(c, 40, end=0.3) / 3,
                  lr=np.geomspace(0.1, 1e-4, 50), loss_scale=[1] * 50),
    lambda c: log(loss=falling(c, 10), val_loss=falling(c, 10, end=0.2)),
    lambda c: log(loss=falling(c, 5000, end=0.5, noise=0.4), val_loss=falling(c, 50, end=0.7)),
    lambda c: log(loss=10 / np.sqrt(np.arange(1, 3000)) + 2.5 + 0.1 * c.normal(size=2999)),
    lambda c: log(loss=1e6 * falling(c, 60), val_loss=1e6 * falling(c, 60, end=0.25)),
    lambda c: log(loss=np.abs(falling(c, 300, end=0.001) * c.gamma(1, size=300))),
    lambda c: log(loss=falling(c, 3), val_loss=falling(c, 3)),
    lambda c: log(loss=falling(c), accuracy=100 - 30 * falling(c), val_accuracy=95 - 30 * falling(c)),
    lambda c: log(train_loss=np.concatenate([falling(c, 100, end=0.5), falling(c, 50, 0.3, 0.2)])),
    lambda c: log(loss=falling(c, 200, end=1.8, speed=4)),
    lambda c: log(loss_discriminator=0.7 + 0.2 * c.normal(size=300),
                  policy_loss=c.normal(size=300)),
]  # fmt: skip


def cases(kinds):
    return [pytest.param(kind, number, id=f"{kind} {number}")
            for kind, tables in kinds.items() for number in range(len(tables))]


@pytest.mark.parametrize("kind, number", cases(FAULTY))
def test_a_fault_is_found_and_no_other(kind, number):
    found = [[f.kind for f in what_happened(FAULTY[kind][number](np.random.default_rng(seed)))]
             for seed in SEEDS]
    assert sum(kinds == [kind] for kinds in found) >= 29, found
    assert all(set(kinds) <= {kind} for kinds in found), found


@pytest.mark.parametrize("number", range(len(CLEAN)))
def test_clean_runs_are_silent(number):
    found = [what_happened(CLEAN[number](np.random.default_rng(seed))) for seed in SEEDS]
    assert [f.sentence for findings in found for f in findings] == []


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e9])
@pytest.mark.parametrize("kind, number", cases(FAULTY))
def test_no_finding_depends_on_the_unit(kind, number, unit):
    table = FAULTY[kind][number](np.random.default_rng(0))
    losses = table["tag"].str.contains("loss")
    scaled = table.assign(value=table["value"].where(~losses, table["value"] * unit))
    assert [f.kind for f in what_happened(scaled)] == [kind]


@pytest.mark.parametrize("kind, number", cases(FAULTY))
def test_steps_repeated_after_a_restart_change_nothing(kind, number):
    table = FAULTY[kind][number](np.random.default_rng(0))
    step = table.groupby(["run", "tag"], observed=True)["step"].transform("max") * 0.6
    lost = table.assign(value=7.5)[table["step"] >= step]  # what a crashed attempt had logged
    found = what_happened(pd.concat([lost, table], ignore_index=True))
    assert found == what_happened(table) != []


def test_evidence_lies_where_it_was_planted():
    chance = np.random.default_rng(0)
    (over,) = what_happened(FAULTY["overfitting"][0](chance))
    assert 250 <= over.step <= 350 and over.until == 990 and over.tag == "val_loss"
    assert abs(over.value - 0.6) < 0.1
    (blown,) = what_happened(FAULTY["divergence"][1](chance))
    assert 1400 <= blown.step <= 1600
    (odd,) = what_happened(FAULTY["not finite"][0](chance))
    assert (odd.step, odd.until, odd.value) == (600, 990, None)
    (still,) = what_happened(FAULTY["plateau"][3](chance))
    assert still.step < 100 and 600 <= still.until <= 900
    (leaps,) = what_happened(FAULTY["learning rate too high"][3](chance))
    assert (leaps.step, leaps.until) == (900, 2600)
    (early,) = what_happened(FAULTY["stopped too early"][0](chance))
    assert (early.tag, early.until) == ("val_loss", 390) and early.step >= 300


def test_percent_and_shares_are_told_alike():
    shares = log(train_acc=np.full(20, 0.99), val_acc=np.full(20, 0.7))
    percent = shares.assign(value=100 * shares["value"])
    said = {what_happened(table)[0].sentence for table in (shares, percent)}
    assert len(said) == 1 and "29 points below" in said.pop()


def test_one_cause_is_told_once_with_all_its_tags():
    chance = np.random.default_rng(0)
    up = turning(chance)
    (found,) = what_happened(log(
        train__box_loss=falling(chance), train__cls_loss=falling(chance), val__box_loss=up,
        val__cls_loss=up, train__acc=1 - falling(chance) / 3, val__acc=0.6 * np.ones(100)))
    assert found.kind == "overfitting" and found.tag == "val/box_loss"
    assert found.also == ("val/cls_loss",) and found.sentence.endswith("So for val/cls_loss.")


def test_the_learning_rate_is_told_with_what_it_may_have_caused():
    chance = np.random.default_rng(0)
    (found,) = what_happened(log(loss=2.3 + 0.01 * chance.normal(size=50), lr=[1e-6] * 50))
    assert found.sentence.endswith("The learning rate was 1e-06.")


def test_losses_and_rates_are_known_by_name():
    assert all(map(must_fall, ("loss", "train/box_loss", "cross_entropy_loss", "val_ppl")))
    assert not any(map(must_fall, ("g_loss", "loss/discriminator", "policy_loss", "accuracy")))
    assert all(map(is_learning_rate, ("lr", "lr-AdamW", "lr/pg0", "learning_rate", "train/lr")))
    assert not any(map(is_learning_rate, ("loss", "lr_loss", "learning")))
    assert by_the_run("x/validation") and not by_the_run("x/train_small") and not by_the_run("")


def test_best_checkpoint_is_of_the_validation_score():
    table = log(val_loss=[3, 1, 2, 2], val_acc=[0.1, 0.5, 0.7, 0.7], train_loss=[3, 2, 1, 0])
    (best,) = best_checkpoints(table)
    assert (best.tag, best.step, best.value, best.until) == ("val_acc", 20, 0.7, None)
    assert best.sentence == ("val_acc is highest at step 20: 0.7; "
                             "val_loss is lowest at step 10: 1.")
    (best,) = best_checkpoints(table[table["tag"] != "val_acc"])
    assert (best.tag, best.step) == ("val_loss", 10)
    assert best_checkpoints(table[table["tag"] == "train_loss"]) == []
    assert not KINDS[best.kind].fault


def test_a_value_is_told_as_logged_or_with_the_words_for_its_mean():
    chance = np.random.default_rng(4)
    up = turning(chance, noise=0.1)
    table = log(train_loss=falling(chance), val_loss=up)
    (over,), (best,) = what_happened(table), best_checkpoints(table)
    told = f"lowest at step {10 * up.argmin()} ({up.min():.4g})"
    assert told in over.sentence and best.sentence.endswith(f"{10 * up.argmin()}: {up.min():.4g}.")
    assert f"rises to {up[-10:].mean():.4g} (mean at the end)" in over.sentence
    scores = log(train_acc=1 - falling(chance) / 3, val_acc=1 - up / 3)
    (over,), (best,) = what_happened(scores), best_checkpoints(scores)
    assert f"highest at step {10 * up.argmin()} ({1 - up.min() / 3:.4g})" in over.sentence
    lost = np.concatenate([falling(chance, 50), np.linspace(0.1, 2.2, 50)])
    (blown,) = what_happened(log(train_loss=lost))
    assert f"had fallen to {lost.min():.4g} at step {10 * lost.argmin()}," in blown.sentence


@pytest.mark.parametrize("kind", sorted(set(FAULTY) - {"not finite"}))
def test_a_smoothed_figure_says_so(kind):
    """Each number of a sentence is a value that was logged, a step, or has its words."""
    smooth = ("(moving mean)", "(mean", "(median", "swings by", "leaps up",
              "points below")
    for number, make in enumerate(FAULTY[kind]):
        table = make(np.random.default_rng(7))
        for finding in what_happened(table):
            logged = {f"{value:.4g}" for value in table["value"]}
            logged |= {f"{step:,}" for step in table["step"]} | {f"{len(table):,}"}
            said = re.findall(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?", finding.sentence)
            odd = [word for word in said if word.rstrip(",") not in logged]
            assert not odd or any(words in finding.sentence for words in smooth), (
                number, odd, finding.sentence)


def cut_logs(folder, run, ending, keep):
    """A log of a loss that still falls, of which a share of the bytes is left; written long ago."""
    losses = list(enumerate(2.3 * np.exp(-np.arange(60) / 40)))
    path = folder / run / (NAME if ending == "events" else f"log.{ending}")
    if ending == "events":
        write(path, [scalar("val_loss", step, loss) for step, loss in losses])
    else:
        path.parent.mkdir(parents=True)
        rows = {"csv": ["step,epoch,val_loss", *(f"{step},{step},{loss}" for step, loss in losses)],
                "jsonl": [json.dumps({"step": step, "val_loss": loss}) for step, loss in losses]}
        path.write_text("\n".join([*rows[ending], ""]))
    whole = path.read_bytes()
    path.write_bytes(whole[:int(keep * len(whole))])
    os.utime(path, (1.7e9, 1.7e9))


@pytest.mark.parametrize("ending", ["csv", "jsonl", "events"])
def test_a_log_that_was_cut_off_is_told_first_and_not_its_end(ending, tmp_path):
    for run, keep in (("cut", 0.731), ("whole", 1.0)):
        cut_logs(tmp_path, run, ending, keep)
    found = of_logs(read_logs(tmp_path))
    by_run = {run: [f.kind for f in found if f.run == run] for run in ("cut", "whole")}
    assert by_run["whole"] == ["stopped too early", "best checkpoint"]
    assert by_run["cut"] == ["log not whole", "best checkpoint"] and found[0].run == "cut"
    for only in ("cut", "whole"):  # by itself its notes have no name before them
        alone = of_logs(read_logs(tmp_path / only))
        assert [f.kind for f in alone] == by_run[only]
        if only == "cut":
            assert alone[0].sentence == found[0].sentence and "\n" not in found[0].sentence
    assert not set(by_run["cut"]) & set(AT_THE_END)


def test_a_log_is_not_said_to_be_cut_off_as_long_as_it_is_being_written(tmp_path, monkeypatch):
    cut_logs(tmp_path, "live", "events", 0.731)
    os.utime(tmp_path / "live" / NAME)
    logs = library.logs_id(tmp_path)
    assert "log not whole" not in [f.kind for f in shown_findings(logs, ["live"])]
    monkeypatch.setattr("core.log_files.bytes.FRESH", 0.0)  # as when a minute has passed
    (found,) = (f for f in shown_findings(logs, ["live"]) if f.kind == "log not whole")
    assert "being written" not in found.sentence


HOSTILE = {
    "events.out.tfevents.truncated": "a record is cut off", "lines_cut.json": "cut off",
    "events.out.tfevents.bad_data_crc": "a record is damaged", "ragged.csv": "another number",
    "events.out.tfevents.bad_length_crc": "reading stopped", "unclosed_quote.csv": "is damaged",
    "events.out.tfevents.ok": "", "ok_json_lines.json": "", "semicolon_decimal_comma.csv": "",
    "numbers_odd.csv": "", "nan_literals.json": "",
    "events.out.tfevents.restart_backwards": "",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_lost_of_broken_files(name, tmp_path):
    if not (SHARED / "hostile" / "logs" / name).exists():
        pytest.skip("the shared files are not here")
    shutil.copy(SHARED / "hostile" / "logs" / name, tmp_path)
    os.utime(tmp_path / name, (1.7e9, 1.7e9))
    lost = [f.sentence for f in of_logs(read_logs(tmp_path)) if f.kind == "log not whole"]
    assert len(lost) == bool(HOSTILE[name]) and all(HOSTILE[name] in words for words in lost)


def test_every_rule_says_its_thresholds():
    for kind in KINDS.values():
        assert kind.hint.endswith(".") and all(len(rule.__doc__) > 60 for rule in kind.rules)
    of_values = {name for name, kind in KINDS.items() if kind.fault} - {"log not whole"}
    assert set(FAULTY) == of_values


def test_odd_tables():
    empty = log(loss=[1.0]).iloc[:0]
    assert what_happened(empty) == best_checkpoints(empty) == []
    for values in ([math.nan] * 20, [0.0] * 20, [-1.0] * 20, [1e300] * 20, [math.inf, -math.inf]):
        for finding in what_happened(log(loss=values, val_loss=values)):
            assert finding.kind in KINDS
    with np.errstate(all="raise", under="ignore"):
        what_happened(log(loss=[0.0] * 40, val_loss=[0.0] * 40, val_acc=[0.0] * 40))


REAL = {"phlippe_vit_overfitting/ViT": ["overfitting"]}  # every other run there went well


def test_real_runs():
    folder = SHARED / "real" / "logs"
    if not folder.exists():
        pytest.skip("the shared files are not here")
    table = read_logs(folder).table
    found = {run: [] for run in table["run"].cat.categories}
    for finding in what_happened(table):
        found[finding.run].append(finding.kind)
    assert found == {run: REAL.get(run, []) for run in found}
    best = {finding.run: finding for finding in best_checkpoints(table)}
    assert best["phlippe_cifar10_tensorboard/ResNet"].step == 56_861


@pytest.mark.parametrize("run, kinds", [
    ("digits/cnn", []), ("digits/keras-cnn", []), ("shapes/cnn", []), ("shapes/vit", []),
    ("shapes/cnn-few-examples", ["overfitting"]), ("shapes/cnn-rate-too-low", ["plateau"]),
    ("shapes/cnn-rate-too-high", ["not finite"])])  # fmt: skip
def test_sample_runs_are_told_as_they_were_planted(run, kinds):
    table = read_logs(SAMPLES / run).table
    assert [finding.kind for finding in what_happened(table)] == kinds
    assert len(best_checkpoints(table)) == 1
