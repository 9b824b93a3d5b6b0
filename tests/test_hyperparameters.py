"""Hyperparameters: the table of runs, brushes, rank statistics and bands, against other sources."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from streamlit.testing.v1 import AppTest

from core.library import logs_id
from core.runs.groups import COLUMNS, NOT_STATED, band, groups_by
from core.runs.hyperparameters import (
    constants,
    default_metrics,
    of_kind,
    of_one_run,
    run_table,
    table_of_runs,
    varying,
    what_mattered,
)
from core.runs.parallel_axes import axis, brushes_of, kept, scale_of
from core.runs.rank_association import CORRELATION, ETA, associations, together
from core.runs.table import settings_table
from core.training_curves import summary
from tests.test_training_curves import log

CHANCE = np.random.default_rng(0)
SETTINGS = {
    "b": {"epochs": 5.0, "lr": 0.1, "name": "adam", "fast": True},
    "a": {"epochs": 5.0, "lr": 0.01, "name": "sgd", "fast": False, "odd": "x"},
    "c": {"epochs": 5.0, "lr": 1.0, "name": "adam", "odd": 2.0},
}
CURVES = {"a__loss/val": [3, 1, 2], "b__loss/val": [2, math.nan], "d__rate": [1, 1]}


def frame(**columns):
    return pd.DataFrame(columns)


def test_a_table_of_runs_is_typed_and_misses_what_is_not_stated():
    table = table_of_runs(SETTINGS, summary(log(**CURVES)))
    stated = of_kind(table, "hyperparameter")
    assert list(table.index) == ["a", "b", "c", "d"]
    assert list(stated) == ["fast", "lr", "name", "odd", "epochs"]
    assert stated["lr"].dtype == float and stated["fast"].dtype == "boolean"
    assert stated["lr"].tolist()[:3] == [0.01, 0.1, 1.0] and math.isnan(stated["lr"]["d"])
    assert stated["name"].tolist()[:3] == ["sgd", "adam", "adam"]
    assert stated["fast"].tolist() == [False, True, pd.NA, pd.NA]
    assert stated["odd"].isna().tolist() == [False, True, False, True]
    assert stated["odd"].dropna().tolist() == ["x", "2.0"]
    assert constants(stated) == {"epochs": 5.0}
    assert list(varying(stated)) == ["fast", "lr", "name", "odd"] and of_one_run(stated) == {}


def test_what_one_run_alone_states_does_not_differ():
    alone = {run: said | ({"note": "x"} if run == "c" else {}) for run, said in SETTINGS.items()}
    stated = of_kind(table_of_runs(alone, summary(log(**CURVES))), "hyperparameter")
    assert list(stated) == ["fast", "lr", "name", "odd", "epochs", "note"]
    assert list(varying(stated)) == ["fast", "lr", "name", "odd"]
    assert of_one_run(stated) == {"note": "c"} and constants(stated) == {"epochs": 5.0}
    _, differing = settings_table(alone, ["a", "b", "c", "d"])
    assert differing == 4  # the list of runs says the same
    assert of_one_run(stated.loc[["c", "d"]]) == {}  # a single run that says anything says it all


def test_metrics_are_last_and_best_and_count_their_points():
    table = table_of_runs(SETTINGS, summary(log(**CURVES)))
    assert list(of_kind(table, "best")) == ["loss/val"]  # which way is better of a rate, none knows
    assert table["best", "loss/val"].tolist()[:2] == [1, 2]
    assert table["last", "loss/val"]["a"] == 2 and math.isnan(table["last", "loss/val"]["b"])
    assert table["points", "loss/val"].tolist() == [3, 2, pd.NA, pd.NA]
    assert default_metrics(table) == [("best", "loss/val")]
    values = axis("loss", table["last", "loss/val"], table["points", "loss/val"]).values
    assert values == [2.0, "NaN", "missing", "missing"]


def test_logs_without_hyperparameters_or_points_still_make_a_table():
    silent = table_of_runs({}, summary(log(a__loss=[1])))
    assert list(silent.index) == ["a"] and not len(of_kind(silent, "hyperparameter").columns)
    empty = table_of_runs({"a": {"lr": 1.0}}, summary(log(a__loss=[])))
    assert empty["hyperparameter", "lr"].tolist() == [1.0] and default_metrics(empty) == []


def test_what_add_hparams_wrote_is_read(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    rates = [10.0**-k for k in range(12)]
    for number, rate in enumerate(rates):
        with SummaryWriter(str(tmp_path / f"run-{number:02d}")) as writer:
            stated = {"lr": rate, "optimizer": "adam" if number % 2 else "sgd", "wide": number > 5}
            writer.add_scalar("loss/val", number + 1.0, 7)
            writer.add_hparams(stated, {"hparam/accuracy": 1 / (number + 1)}, run_name="1700000000.5")
    chosen = logs_id(tmp_path)
    table = run_table(chosen)
    assert table["hyperparameter", "lr"].tolist() == rates
    assert table["hyperparameter", "wide"].tolist() == [number > 5 for number in range(12)]
    assert table["best", "loss/val"].tolist() == list(range(1, 13))
    found, notes = what_mattered(chosen, ("best", "loss/val"), tuple(table.index))
    assert found["hyperparameter"].iloc[0] == "lr" and found["value"].iloc[0] == pytest.approx(-1)
    assert found["p"].iloc[0] == 1 / 2000
    assert any("lr and wide" in note for note in notes)


@pytest.mark.parametrize("values, scale", [
    ([1, 100], "log"), ([1e-4, 1e-2], "log"), ([1, 99], "linear"), ([0, 1e9], "linear"),
    ([-1, 1000], "linear"), ([5], "linear"), ([math.nan], "linear"),
    ([1, 1000, math.nan, math.inf], "log")])
def test_a_scale_is_logarithmic_from_two_decades_on(values, scale):
    assert scale_of(pd.Series(values, dtype=float)) == scale


def test_an_axis_has_places_for_categories_and_words_for_what_is_no_number():
    rate = axis("lr", pd.Series([0.1, math.nan, math.inf, -math.inf]))
    assert (rate.scale, rate.values) == ("linear", [0.1, "missing", "∞", "−∞"])
    name = axis("name", pd.Series(["b", None, "a", "b"], dtype="str"))
    assert (name.categories, name.values) == (["a", "b"], [1, "missing", 0, 1])
    flag = axis("fast", pd.Series([True, None, False], dtype="boolean"))
    assert (flag.categories, flag.values) == (["False", "True"], [1, "missing", 0])
    mixed = axis("size", pd.Series(["10", "9", "big"], dtype="str"))
    assert mixed.categories == ["9", "10", "big"]


def test_brushes_keep_the_rows_that_meet_all_of_them():
    axes = [axis("lr", pd.Series([0.1, 0.2, 0.3, math.nan])),
            axis("name", pd.Series(["missing", "b", "b", None], dtype="str"))]
    for brushes, rows in [
        ({}, [0, 1, 2, 3]), ({"lr": {"range": [0.1, 0.2]}}, [0, 1]),
        ({"lr": {"words": ["missing"]}}, [3]),
        ({"lr": {"range": [0.2, 9], "words": ["missing"]}}, [1, 2, 3]),
        ({"name": {"among": ["missing"]}}, [0]), ({"name": {"words": ["missing"]}}, [3]),
        ({"lr": {"range": [0.2, 1]}, "name": {"among": ["b"]}}, [1, 2]),
        ({"absent": {"range": [5, 6]}}, [0, 1, 2, 3]), ({"lr": {"range": [0.2]}}, []),
        ({"lr": {"range": ["a", None]}}, []), ({"lr": {"words": "missing"}}, [])]:
        assert np.flatnonzero(kept(axes, brushes)).tolist() == rows, brushes


@pytest.mark.parametrize("view", ["", "{", "[]", "1", "null", '{"brushes": 3}', '{"brushes": {"a": 1}}',
                                  "[" * 100_000])
def test_an_address_that_is_no_view_has_no_brushes(view):
    assert brushes_of(view) == {}


def test_rank_statistics_are_scipys():
    n = 60
    words = CHANCE.choice(["adam", "sgd", "lion"], n)
    stated = frame(lr=10 ** CHANCE.uniform(-5, -1, n), batch=CHANCE.choice([32.0, 64.0, 128.0], n),
                   fast=pd.array(CHANCE.random(n) > 0.5, dtype="boolean"),
                   name=pd.array(words, dtype="str"))
    stated.loc[[3, 9], "lr"] = math.nan
    metric = pd.Series(np.log10(stated["lr"].fillna(1)) + (words == "sgd") * 2 + CHANCE.normal(size=n)).round(1)
    metric[5], metric[7] = math.nan, math.inf
    found, notes = associations(stated, metric)
    assert found["value"].abs().is_monotonic_decreasing
    found = found.set_index("hyperparameter")
    for name in ("lr", "batch", "fast"):
        both = metric.notna() & stated[name].notna()
        expected = stats.spearmanr(stated[name][both].astype(float), metric[both])
        assert found.loc[name, "measure"] == CORRELATION
        assert found.loc[name, "value"] == pytest.approx(expected.statistic, abs=1e-12)
        assert found.loc[name, "p"] == pytest.approx(expected.pvalue, abs=0.03)
        assert found.loc[name, "n"] == both.sum()
    groups = [metric[metric.notna() & (words == word)] for word in set(words)]
    expected = stats.kruskal(*groups)
    assert found.loc["name", "measure"] == ETA and found.loc["name", "n"] == n - 1
    assert found.loc["name", "value"] == pytest.approx(expected.statistic / (n - 2), abs=1e-12)
    assert found.loc["name", "p"] == pytest.approx(expected.pvalue, abs=0.03)
    assert notes == ["Left out: 1 of 60 runs where the metric is NaN or missing. What made a run "
                     "fail is not seen here."]


def test_p_values_of_no_relation_are_spread_evenly():
    metric = pd.Series(CHANCE.normal(size=30))
    stated = pd.DataFrame(CHANCE.normal(size=(30, 100))).rename(columns=str)
    for number in range(50):
        stated[str(number)] = pd.array(CHANCE.choice(["a", "b", "c"], 30), dtype="str")
    found = associations(stated, metric)[0]
    for _, part in found.groupby("measure"):
        assert len(part) == 50 and stats.kstest(part["p"], "uniform").pvalue > 0.001


def test_two_runs_are_too_few_to_measure():
    found, notes = associations(frame(lr=[0.1, 0.2]), pd.Series([1.0, 2.0]))
    assert found.empty and notes == ["Not measured, as fewer than 3 runs have both: lr."]


def test_few_runs_and_what_varies_together_are_said():
    stated = frame(lr=[1.0, 2, 3, 4, 5], decay=[10.0, 8, 6, 4, 2], name=pd.array(list("aabbb"), dtype="str"),
                   twin=pd.array(list("xxyyy"), dtype="str"), unlike=pd.array(list("vwxyz"), dtype="str"))
    assert together(stated) == [("lr", "decay"), ("name", "twin")]
    found, notes = associations(stated, pd.Series([1.0, 2, 3, 5, 4]))
    assert "As few as 5 runs" in notes[0]
    assert "lr and decay; name and twin" in notes[1]
    assert "unlike" in notes[2] and "unlike" not in set(found["hyperparameter"])
    assert associations(stated, pd.Series([1.0] * 5))[0].empty
    assert associations(stated, pd.Series([math.nan] * 5))[0].empty


def test_bands_are_numpys_where_all_runs_log_the_same_steps():
    values = CHANCE.normal(size=(6, 40))
    curves = log(**{f"r{k}__loss": row for k, row in enumerate(values)})
    group_of = {f"r{k}": "even" if k % 2 == 0 else "odd" for k in range(6)}
    found = band(curves, group_of, "std")
    assert list(found) == COLUMNS and list(found["group"].unique()) == ["even", "odd"]
    for group, rows in (("even", values[::2]), ("odd", values[1::2])):
        part = found[found["group"] == group]
        np.testing.assert_array_equal(part["step"], np.arange(40) * 10)
        np.testing.assert_allclose(part["mean"], rows.mean(axis=0))
        np.testing.assert_allclose(part["high"] - part["mean"], rows.std(axis=0, ddof=1))
        np.testing.assert_allclose(part["mean"] - part["low"], rows.std(axis=0, ddof=1))
        assert (part["n"] == 3).all()
    extremes = band(curves, group_of, "min-max")
    np.testing.assert_allclose(extremes["low"][:40], values[::2].min(axis=0))
    np.testing.assert_allclose(extremes["high"][40:], values[1::2].max(axis=0))


def test_runs_are_interpolated_within_their_own_steps_only():
    curves = pd.DataFrame({
        "run": list("aaabbc"), "tag": "loss", "step": [0, 10, 20, 5, 15, 40],
        "value": [0.0, 1, 2, 3, 5, 9]}).astype({"run": "category", "tag": "category"})
    found = band(curves, {"a": "g", "b": "g", "c": "g"}, "min-max")
    assert found["step"].tolist() == [0, 5, 10, 15, 20, 40]
    assert found["n"].tolist() == [1, 2, 2, 2, 1, 1]
    np.testing.assert_allclose(found["mean"], [0, 1.75, 2.5, 3.25, 2, 9])
    spread = band(curves, {"a": "g", "b": "g"}, "std")
    assert spread["low"].isna().tolist() == [True, False, False, False, True]
    few = band(curves, {"a": "g", "b": "g", "c": "g"}, "std", points=5)
    assert few["step"].tolist() == [0, 10, 20, 40]  # at 30 no run says anything
    np.testing.assert_allclose(few["mean"], [0, 2.5, 2, 9])


def test_bands_leave_out_what_is_no_number_and_count_the_last_of_a_repeated_step():
    curves = pd.DataFrame({
        "run": ["a"] * 5 + ["b"] * 3, "tag": "loss", "step": [0, 10, 20, 10, 30, 0, 10, 30],
        "value": [1.0, 99, math.nan, 3, 7, 5, 5, 5]})
    found = band(curves, {"a": "g", "b": "g"}, "min-max")
    assert found["step"].tolist() == [0, 10, 20, 30] and found["n"].tolist() == [2, 2, 1, 2]
    assert found["mean"].tolist() == [3, 4, 5, 6]


def test_long_curves_are_drawn_on_a_grid_as_numpy_interpolates():
    steps = np.sort(CHANCE.choice(100_000, 3000, replace=False))
    values = CHANCE.normal(size=3000)
    curves = pd.DataFrame({"run": "a", "tag": "loss", "step": steps, "value": values})
    found = band(curves, {"a": "g"}, "min-max", points=200)
    np.testing.assert_allclose(found["step"], np.linspace(steps[0], steps[-1], 200))
    np.testing.assert_allclose(found["mean"], np.interp(found["step"], steps, values), atol=1e-9)


def test_groups_are_named_by_the_value():
    table = table_of_runs(SETTINGS, summary(log(**CURVES)))
    stated = of_kind(table, "hyperparameter")
    assert groups_by(stated["lr"]) == {"a": "0.01", "b": "0.1", "c": "1", "d": NOT_STATED}
    assert groups_by(stated["fast"])["b"] == "True" and groups_by(stated["name"])["a"] == "sgd"
    assert band(log(**CURVES), {}, "std").empty and list(band(log(**CURVES), {}, "std")) == COLUMNS


def draw():
    import os
    from pathlib import Path

    import streamlit as st

    from core.library import logs_id
    from core.training_curves import tags_and_runs
    from core.ui.hyperparameters import hyperparameters

    chosen = logs_id(Path(os.environ["HYPERPARAMETER_LOGS"]))
    st.text(f"kept {hyperparameters(chosen, tags_and_runs(chosen)[1])}")


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """The page's part on Lightning's logs of so many runs, each with the settings given for it."""
    def opened(settings, **address):
        for number, lines in enumerate(settings):
            folder = tmp_path / f"run-{number}"
            folder.mkdir()
            (folder / "metrics.csv").write_text(f"epoch,step,val_loss\n0,1,3\n1,2,{number + 1}\n")
            (folder / "hparams.yaml").write_text(lines)
        monkeypatch.setenv("HYPERPARAMETER_LOGS", str(tmp_path))
        app = AppTest.from_function(draw, default_timeout=60)
        for name, value in address.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception
        return app
    return opened


def test_logs_that_state_nothing_say_how_to_log(drawn):
    app = drawn(["", ""])
    assert "add_hparams" in app.code[0].value and app.text[0].value == "kept None"


def test_one_run_and_equal_runs_are_not_compared(drawn):
    app = drawn(["lr: 0.1\n'a*b*': 32\n"])
    assert "lr 0\\.1" in app.markdown[0].value and "second run" in app.caption[0].value
    assert not app.multiselect and app.text[0].value == "kept None"


def test_equal_runs_are_not_compared(drawn):
    app = drawn(["lr: 0.1\n"] * 3)
    assert any("No hyperparameter differs" in caption.value for caption in app.caption)


def test_the_scatter_begins_with_what_mattered_until_a_person_chooses(drawn):
    settings = [f"a: {k * 7 % 12}\nbatch: {10 - k}\nz: {k // 3 % 2}\n" for k in range(12)]
    app = drawn(settings)  # the loss grows with k, so it falls with batch alone
    assert app.selectbox(key="against").value == "batch"
    app = app.selectbox(key="against").set_value("z").run()
    app = app.multiselect(key="parallel_metrics").set_value(["val_loss · last"]).run()
    assert app.selectbox(key="against").value == "z" and not app.exception


def test_what_a_run_states_alone_is_told_in_words(drawn):
    app = drawn(["lr: 0.1\n", "lr: 0.2\n", "lr: 0.3\nnote: 7\n"])
    assert app.multiselect(key="hyperparameters").options == ["lr"]
    assert any(r"by one run only: note 7 \(run\-2\)" in caption.value for caption in app.caption)


def test_a_view_in_the_address_keeps_its_runs(drawn):
    settings = [f"lr: {10.0 ** -k}\noptimizer: {'adam' if k % 2 else 'sgd'}\n" for k in range(12)]
    view = json.dumps({"brushes": {"lr": {"range": [1e-3, 0.1]}, "optimizer": {"among": ["adam"]}}})
    app = drawn(settings, parallel=view, against="optimizer")
    assert app.text[0].value == "kept ['run-1', 'run-3']"
    assert app.multiselect(key="hyperparameters").value == ["lr", "optimizer"]
    assert app.multiselect(key="parallel_metrics").value == ["val_loss · best"]
    assert app.selectbox(key="against").value == "optimizer"
    app = app.multiselect(key="hyperparameters").set_value(["optimizer"]).run()
    assert app.text[0].value == f"kept {sorted(f'run-{k}' for k in range(1, 12, 2))}"
    app = app.multiselect(key="parallel_metrics").set_value([]).run()
    app = app.multiselect(key="hyperparameters").set_value([]).run()
    assert not app.exception and app.text[0].value == "kept None"


def test_brushes_filter_by_what_the_axes_show():
    view = json.dumps({"brushes": {"lr": {"range": [0.05, 2]}}})
    assert kept([axis("lr", pd.Series([0.01, 0.1, 1.0]))], brushes_of(view)).tolist() == [False, True, True]
