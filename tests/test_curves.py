"""The curves of a page: axes, gaps, thinning, zoom, hover, bands and files, each against plain code."""

import io
import json
import math
import re
import xml.etree.ElementTree as ET
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core import training_curves, training_findings
from core.curves import charts, together
from core.curves import points as curve_points
from core.curves.axes import epochs_of, unit_of_time
from core.curves.downloads import as_json, file_name, long_csv, shown_points, wide, wide_csv, zipped
from core.curves.figure import figure
from core.curves.hover import nearest, places
from core.curves.paper import dashed, png, svg
from core.curves.picture import picture
from core.curves.points import Settings, limit_for, points
from core.curves.ticks import ticks, written
from core.curves.together import Grouping
from core.errors import UserError
from core.findings.kinds import Finding
from core.log_formats import Logs
from core.runs import table as run_table
from core.runs.filter import found
from core.runs.table import durations, first_metrics, settings_table
from core.training_curves import outlier_domain, smoothed
from core.ui.curve_chart import chart
from core.ui.curve_colours import DASHES, dashes, run_colours
from core.ui.curve_downloads import vega_lite
from tests.test_training_curves import log

CHANCE = np.random.default_rng(0)


@pytest.fixture
def opened(monkeypatch):
    """Makes a table the logs that are open."""
    def opening(table, stated=None):
        logs = Logs(table.astype({"run": "category", "tag": "category"}), ("said",), stated or {})
        for module in (curve_points, together, run_table, training_curves,
                       training_findings):
            monkeypatch.setattr(module, "open_logs", lambda logs_id: logs)
        for cached in (curve_points.points, curve_points._placed, curve_points._epochs,
                       curve_points.time_unit, picture, charts.margin_picture,
                       training_curves.tags_and_runs, run_table.runs_of):
            cached.clear()
        training_findings._found.clear()
        return logs
    return opening


def steps_of(table, steps):
    return table.assign(step=steps)


@pytest.mark.parametrize("weight", [0.1, 0.6, 0.95])
def test_smoothing_is_the_adjusted_ewm_of_pandas(weight):
    values = CHANCE.normal(size=300)
    by_pandas = pd.Series(values).ewm(alpha=1 - weight, adjust=True).mean()
    np.testing.assert_allclose(smoothed(values, weight), by_pandas, rtol=1e-12)


def test_lines_are_split_where_steps_go_back_and_around_nan(opened):
    opened(steps_of(log(loss=[5, 4, 3, 3.5, math.nan, 2, math.nan, 1, 0.5]),
                    [0, 1, 2, 1, 2, 3, 4, 5, 6]))
    lines = picture("id", ("loss",), ("r",), Settings(smoothing=0)).lines
    pieces = [part["y"].tolist() for _, part in lines.groupby("piece")]
    assert pieces == [[5, 4, 3], [3.5], [2], [1, 0.5]]
    assert lines.loc[lines["alone"], "y"].tolist() == [3.5, 2]


def test_nan_is_marked_at_the_last_value_before_it_and_inside_the_domain(opened):
    values = [math.nan, 1, math.inf, *np.linspace(1, 2, 50), 99, math.nan]
    opened(log(loss=values))
    found = picture("id", ("loss",), ("r",), Settings(smoothing=0))
    assert found.odd["words"].tolist() == ["NaN", "infinite", "NaN"]
    _, high = found.domains["left"]
    assert found.odd["y"].tolist() == [max(1, found.domains["left"][0])] * 2 + [high] and high < 3
    whole = picture("id", ("loss",), ("r",), Settings(smoothing=0, outliers=True))
    assert whole.domains["left"] is None and whole.odd["y"].tolist() == [1, 1, 99]
    assert "3 values NaN or infinite" in " ".join(found.notes)


def test_more_points_than_pixels_and_all_of_them_on_zoom(opened):
    values = CHANCE.normal(size=50_000)
    values[31_234] = 40
    opened(log(loss=values))
    part = points("id", "loss", ("r",), Settings(), 1000)
    assert len(part.drawn) <= 1000 and part.total == 50_000
    assert 40 in part.full["value"].iloc[part.drawn].tolist()
    said = picture("id", ("loss",), ("r",), Settings()).notes[0]
    assert said.startswith(f"Showing {len(part.drawn):,} of 50,000 points")
    near = points("id", "loss", ("r",), Settings(stretch=(312_000, 313_000)), 1000)
    inside = near.full[near.full["x"].between(312_000, 313_000)]
    np.testing.assert_array_equal(inside["value"], values[31_200:31_301])
    assert near.total == 101 and len(near.full) == 103
    said = picture("id", ("loss",), ("r",), Settings(stretch=(312_000, 313_000))).notes[0]
    assert said == "Showing all 101 points."
    np.testing.assert_array_equal(inside["smoothed"], smoothed(values)[31_200:31_301])
    assert near.domain == outlier_domain(inside["smoothed"].to_numpy())


@pytest.mark.parametrize("grouping", [None, Grouping("lr", "lowest to highest")])
def test_all_of_a_run_of_ten_epochs_is_in_sight(opened, grouping):
    falls = np.geomspace(2.3, 0.1, 10)
    opened(log(a__loss=falls, b__loss=falls + 1), {"a": {"lr": 1.0}, "b": {"lr": 1.0}})
    found = picture("id", ("loss",), ("a", "b"), Settings(), (), grouping)
    low, high = found.ends("left")
    drawn = found.lines[["y", "raw", "low", "high"]].to_numpy(float)
    assert low < np.nanmin(drawn) and np.nanmax(drawn) < high
    assert "outside" not in " ".join(found.notes)


def test_a_line_that_only_passes_through_the_stretch_is_drawn(opened):
    opened(log(loss=[1, 2, 3]))
    part = points("id", "loss", ("r",), Settings(stretch=(12, 18)))
    assert part.full["x"].tolist() == [10, 20] and part.total == 0


def test_many_runs_share_the_points_of_a_chart():
    assert limit_for(1) == limit_for(16) == 1000 and limit_for(100) == 160
    assert limit_for(10_000) == curve_points.FEWEST_OF_A_SERIES >= 8


def test_axes(opened):
    table = pd.concat([log(a__loss=[3, 2, 1], b__loss=[1, 2]), log(a__epoch=[0, 1, 2])],
                      ignore_index=True)
    table.loc[table["tag"].eq("epoch"), "step"] = [0, 15, 20]
    table.loc[table["run"].eq("b"), "wall_time"] = [0.0, math.nan]
    opened(table)

    def along(axis):
        part = points("id", "loss", ("a", "b"), Settings(axis=axis))
        return part.full["x"].tolist(), " ".join(part.notes)

    assert along("step") == ([0, 10, 20, 0, 10], "")
    assert along("index") == ([0, 1, 2, 0, 1], "")
    x, said = along("epoch")
    np.testing.assert_allclose(x, np.interp([0, 10, 20], [0, 15, 20], [0, 1, 2]))
    assert said.startswith("2 points of 1 run without an epoch")
    assert along("relative time")[0] == [0, 0.5, 1]
    assert "2 points of 1 run without a wall time" in along("relative time")[1]
    assert along("wall time")[0] == [1.7e12, 1.7e12 + 500, 1.7e12 + 1000]


def test_what_each_tag_lacks_is_told_of_that_tag(opened):
    opened(log(a=[-1, 2, math.nan], b=[1, math.nan, 3]))
    said = picture("id", ("a", "b"), ("r",), Settings(smoothing=0, log=True)).notes
    assert [note.partition(" point")[0] for note in said if "logarithmic" in note] == ["a: 1"]
    odd = [note.partition(" NaN")[0] for note in said if "NaN" in note]
    assert odd == ["a: 1 value", "b: 1 value"]
    assert not any(":" in note for note in picture("id", ("a",), ("r",), Settings(log=True)).notes)


def test_steps_that_are_epochs_are_places_along_epochs(opened):
    logs = opened(log(keras__loss=[3, 2, 1], torch__loss=[3, 2, 1]))
    object.__setattr__(logs, "by_epoch", frozenset({"keras"}))
    found = points("id", "loss", ("keras", "torch"), Settings(axis="epoch"))
    assert found.full[["run", "x"]].to_numpy().tolist() == [["keras", 0], ["keras", 10],
                                                            ["keras", 20]]
    assert [note for note in found.notes if note.startswith("3 points of 1 run without an epoch")]


def test_epochs_of_a_counter_are_fractions_between_its_changes():
    table = log(epoch=[0, 0, 1, 1, 2, 2])
    steps, epochs = epochs_of(table)["r"]
    found = np.interp([0, 10, 20, 30, 40, 50], steps, epochs)
    np.testing.assert_allclose(found, [0, 0.5, 1, 1.5, 2, 2.5])


def test_the_unit_of_relative_time_suits_the_longest_series():
    assert unit_of_time(log(loss=[1, 2, 3])) == ("seconds", 1.0)
    long = log(loss=range(3)).assign(wall_time=[1.7e9, 1.7e9 + 60, 1.7e9 + 40_000])
    assert unit_of_time(long) == ("hours", 3600.0)
    assert unit_of_time(long.assign(wall_time=math.nan)) == ("seconds", 1.0)


def test_what_a_logarithmic_axis_cannot_show_is_said(opened):
    opened(log(loss=[3, 0, -1, 2]))
    part = points("id", "loss", ("r",), Settings(smoothing=0, log=True))
    assert part.full["value"].tolist() == [3, 2]
    assert "2 points of 0 or below" in part.notes[0]
    part = points("id", "loss", ("r",), Settings(smoothing=0, log_x=True))
    assert part.full["x"].tolist() == [10, 20, 30] and "1 point at 0 or before" in part.notes[0]


def test_a_tag_that_is_absent(opened):
    opened(log(loss=[1]))
    with pytest.raises(UserError, match="no tag 'lost'"):
        points("id", "lost", ("r",), Settings())


def test_nearest_points_are_those_of_a_plain_search():
    x = CHANCE.integers(0, 50, 80).astype(float)
    at = np.linspace(-5, 60, 101)
    for place, row in zip(at, nearest(x, at), strict=True):
        assert abs(x[row] - place) == np.abs(x - place).min()
    assert nearest(np.array([5.0, 5.0, 9.0]), np.array([5.0])).tolist() == [1]
    assert nearest(np.array([4.0]), at).tolist() == [0] * 101


def test_places_of_the_pointer():
    assert places(np.array([3.0, 1, 1, math.nan])).tolist() == [1, 3]
    spaced = places(np.arange(1.0, 1001), logarithmic=True, most=4)
    np.testing.assert_allclose(spaced, [1, 10, 100, 1000])


def test_the_pointer_tells_all_runs_at_their_nearest_steps(opened):
    opened(log(a__loss=[4, 3, 2], b__loss=[1]))
    found = picture("id", ("loss",), ("a", "b"), Settings(smoothing=0))
    assert found.series == ("a", "b")
    assert found.pointer["s0"].tolist() == ["4", "3", "2"]
    assert found.pointer["s1"].tolist() == ["1", "1 at 0", "1 at 0"]
    assert found.pointer["place"].tolist() == ["0", "10", "20"]
    smooth = picture("id", ("loss",), ("a",), Settings())
    assert smooth.pointer["s0"].tolist() == ["4", "3.375 (3)", "2.673 (2)"]


def test_the_domain_of_several_tags_covers_each(opened):
    opened(log(loss=np.linspace(0, 1, 101), acc=np.linspace(5, 6, 101)))
    found = picture("id", ("acc", "loss"), ("r",), Settings(smoothing=0))
    np.testing.assert_allclose(found.domains["left"], (0.05, 5.95))
    split = picture("id", ("acc", "loss"), ("r",), Settings(smoothing=0), ("acc",))
    np.testing.assert_allclose(split.domains["right"], (5.05, 5.95))
    np.testing.assert_allclose(split.domains["left"], (0.05, 0.95))


def test_groups_have_the_mean_and_the_band_of_numpy(opened):
    values = CHANCE.uniform(1, 2, size=(4, 30))
    names = ["a", "b", "c", "d"]
    opened(log(**{f"{name}__loss": row for name, row in zip(names, values, strict=True)}),
           {name: {"lr": rate} for name, rate in zip(names, [10.0, 10.0, 10.0, 9.0], strict=True)})
    found = picture("id", ("loss",), tuple(names), Settings(smoothing=0), (), Grouping("lr"))
    assert found.names == ("lr = 9", "lr = 10")
    ten = found.lines[found.lines["name"] == "lr = 10"]
    np.testing.assert_allclose(ten["y"], values[:3].mean(axis=0))
    np.testing.assert_allclose(ten["high"] - ten["y"], values[:3].std(axis=0, ddof=1))
    assert found.lines.loc[found.lines["name"] == "lr = 9", "low"].isna().all()
    ends = picture("id", ("loss",), tuple(names), Settings(smoothing=0), (),
                   Grouping("lr", "lowest to highest")).lines
    np.testing.assert_array_equal(ends[ends["name"] == "lr = 10"]["low"], values[:3].min(axis=0))
    assert chart(found, "t")["layer"][0]["layer"][0]["mark"]["type"] == "area"


def test_a_group_says_where_a_run_does_not_count(opened):
    opened(log(a__loss=[1, math.nan, 1], b__loss=[3, 3, 3]), {"a": {"lr": 1.0}, "b": {"lr": 1.0}})
    found = picture("id", ("loss",), ("a", "b"), Settings(smoothing=0), (), Grouping("lr"))
    assert found.lines["y"].tolist() == [2, 3, 2] and found.odd.empty
    said = " ".join(found.notes)
    assert "1 value NaN or infinite, not counted there" in said and "▲" not in said


def test_findings_are_marked_where_they_are(opened):
    opened(log(loss=[3, 2, math.nan, 1]))
    found = training_findings.all_findings("id")
    marks = picture("id", ("loss",), ("r",), Settings(axis="index"), findings=found).marks
    assert marks[["name", "x"]].to_numpy().tolist() == [["r", 2]]


def test_marks_that_come_later_change_the_data_and_not_the_chart(opened):
    opened(log(loss=[3, 2, math.nan, 1]))
    found = training_findings.all_findings("id")
    before, after = (chart(picture("id", ("loss",), ("r",), Settings(), findings=findings), "loss")
                     for findings in ((), found))
    marks = [spec.pop("datasets")["marks"] for spec in (before, after)]
    assert before == after and [len(table) for table in marks] == [0, 1]
    assert marks[0].dtypes.equals(marks[1].dtypes)


def test_long_logs_are_looked_through_when_asked_and_then_known(opened, monkeypatch):
    opened(log(loss=[3, 2, math.nan, 1]))
    monkeypatch.setattr(training_findings, "SHORT", 3)
    assert training_findings.findings_so_far("id") is None
    said = training_findings.all_findings("id")
    assert training_findings.findings_so_far("id") == said and said[0].kind == "not finite"


def test_no_more_findings_are_kept_than_said(opened, monkeypatch):
    opened(log(loss=[3, 2, 1]))
    monkeypatch.setattr(training_findings, "KEPT", 2)
    for name in "abc":
        training_findings.all_findings(name)
    assert list(training_findings._found) == ["b", "c"]


def test_a_box_sets_the_left_axis_exactly_and_counts_what_is_outside(opened):
    opened(log(loss=list(range(100)), acc=list(range(100))))
    settings = Settings(smoothing=0, vertical=(10.5, 20.5))
    found = picture("id", ("loss", "acc"), ("r",), settings, ("acc",))
    assert found.ends("left") == [10.5, 20.5] and found.ends("right")[1] > 90
    assert "90 of them lie above or below what is zoomed on." in picture(
        "id", ("loss",), ("r",), settings).notes
    near = replace(settings, stretch=(105, 255))  # points stand at 110, 120 … with 11, 12 …
    assert "5 of them lie above or below what is zoomed on." in picture(
        "id", ("loss",), ("r",), near).notes
    y = chart(picture("id", ("loss",), ("r",), settings), "t")["layer"][0]["layer"][0]["encoding"]
    assert y["y"]["scale"]["domain"] == [10.5, 20.5]


def test_values_stand_in_the_band_of_their_bounds_at_the_same_step(opened):
    opened(log(mean=[1, 2, math.nan, 4], low=[0, 1, 2, 3], high=[2, 3, 4, 9]))
    what = charts.Chart("band", ("mean", "low", "high"), margins=(("mean", "low", "high"),))
    found = charts.picture_of("id", what, ("r",), Settings(smoothing=0.9, outliers=True))
    assert found.lines[["y", "low", "high"]].to_numpy().tolist() == [[1, 0, 2], [2, 1, 3],
                                                                    [4, 3, 9]]
    assert found.pointer["s0"].tolist()[:2] == ["1 (0 to 2)", "2 (1 to 3)"]
    assert found.pointer["s0"].iat[2] == "NaN (2 to 4)" and found.tags == ("mean",)
    drawn = chart(found, "band")["layer"][0]["layer"]
    assert [layer["mark"]["type"] for layer in drawn[:2]] == ["area", "line"]


def test_bounds_that_lack_a_step_leave_a_gap(opened):
    table = log(mean=[1, 2, 3], low=[0, 1, 2], high=[2, 3, 4])
    opened(table[~(table["tag"].eq("low") & table["step"].eq(10))])
    what = charts.Chart("band", ("mean", "low", "high"), margins=(("mean", "low", "high"),))
    lines = charts.picture_of("id", what, ("r",), Settings()).lines
    assert lines["low"].isna().tolist() == [False, True, False]


def test_colours_belong_to_runs_and_thirty_differ():
    names = [f"run{i:02}" for i in range(30)]
    colours = run_colours(names)
    assert len(set(colours.values())) == 30
    assert all(re.fullmatch("#[0-9A-Fa-f]{6}", colour) for colour in colours.values())
    assert run_colours(names[:7]) == {name: colours[name] for name in names[:7]}
    assert dashes(["a", "b"]) == {"a": DASHES[0], "b": DASHES[1]}


def test_a_chart_has_the_colours_of_all_runs_whichever_are_shown(opened):
    opened(log(a__loss=[4, 3], b__loss=[1, 2], c__loss=[1, 2]))
    spec = chart(picture("id", ("loss",), ("c",), Settings()), "loss")
    scale = spec["layer"][0]["layer"][0]["encoding"]["color"]["scale"]
    assert scale == {"domain": ["c"], "range": [run_colours(["a", "b", "c"])["c"]]}
    faint = spec["layer"][0]["layer"][0]
    assert faint["mark"]["opacity"] == 0.25 and faint["encoding"]["y"]["field"] == "raw"


def test_a_chart_is_small(opened):
    opened(log(loss=np.linspace(3, 1, 50_000)))
    spec = chart(picture("id", ("loss",), ("r",), Settings()), "loss")
    lines = spec["datasets"]["lines_left"]
    assert len(lines) <= 1000 and lines["x"].dtype == np.int32 and lines["y"].dtype == np.float32
    huge = log(loss=[1e300, 1e-300])
    opened(huge)
    spec = chart(picture("id", ("loss",), ("r",), Settings()), "loss")
    assert spec["datasets"]["lines_left"]["y"].dtype == np.float64


# ── regular expressions ──

NAMES = ["loss/train", "loss/val", "acc/train", "a.b", "A" * 60]


@pytest.mark.parametrize("pattern", ["loss", "loss|acc", "^acc", r"train$", "LOSS", ".*loss.*train.*",
                                     r"[a-z]+/(train|val)", r"a\.b", "", "(?:loss)?/val", "a{2,5}"])
def test_names_are_found_as_re_finds_them(pattern):
    by_re = [name for name in NAMES if re.search(pattern, name, re.IGNORECASE)]
    assert found(pattern, NAMES) == (by_re, "")


@pytest.mark.parametrize("pattern, why", [
    ("(a+)+$", "can itself match in several ways"), ("(a|aa)+$", "can itself match"),
    ("(a?){30}a{30}", "can itself match"), ("(.*)*x", "can itself match"),
    (r"(a)\1", "refers back"), ("a?" * 40 + "a" * 40, "too many repetitions"),
    (".*" * 12 + "x", "too many repetitions"), ("(?=(a+)+b)", "can itself match"),
    ("loss(", "no regular expression"), ("*", "no regular expression"), ("[", "no regular")])
def test_a_pattern_that_is_invalid_or_slow_is_plain_text(pattern, why):
    names, said = found(pattern, [*NAMES, f"has {pattern} in it"])
    assert names == [f"has {pattern} in it"] and why in said and said.endswith("plain text.")


# ── the table of runs ──

def test_hyperparameters_that_differ_come_first():
    stated = {"a": {"lr": 0.1, "seed": 1.0, "model": "cnn"}, "b": {"lr": 0.2, "model": "cnn"}}
    table, differing = settings_table(stated, ["a", "b", "c"])
    assert list(table.columns) == ["lr", "model", "seed"] and differing == 1  # c states nothing
    table, differing = settings_table(stated | {"c": {"seed": 1.0}}, ["a", "b", "c"])
    assert list(table.columns) == ["lr", "model", "seed"] and differing == 3
    table, differing = settings_table(stated, ["a", "b"])
    assert list(table.columns) == ["lr", "model", "seed"] and differing == 1
    assert table["lr"].tolist() == [0.1, 0.2] and table["model"].tolist() == ["cnn", "cnn"]
    mixed, _ = settings_table({"a": {"x": True}, "b": {"x": 3.0}}, ["a", "b"])
    assert mixed["x"].tolist() == ["True", "3.0"]


def test_runs_side_by_side():
    table = log(a__loss=[3, 1, 2], b__loss=[4, 5])
    stated = {"a": {"lr": 0.1, "run": 7.0}, "c": {"lr": 0.2}}
    found = run_table.run_table(table, stated, ["loss"])
    assert list(found.columns) == ["run", "lr", "loss last", "loss best", "loss step of best",
                                   "duration", "points", "setting run"]
    rows = found.set_index("run")
    assert rows.loc["a", ["loss last", "loss best", "loss step of best"]].tolist() == [2, 1, 10]
    assert rows.loc["a", "duration"] == 1.0 and rows["points"].tolist() == [3, 2, 0]
    assert math.isnan(rows.loc["c", "duration"]) and rows.loc["c", "lr"] == 0.2


def test_durations_need_two_times():
    table = log(a__loss=[3, 1], a__acc=[1, 2, 3], b__loss=[1])
    assert durations(table).to_dict()["a"] == 1.0 and math.isnan(durations(table)["b"])
    assert durations(table.assign(wall_time=0.0)).isna().all()
    assert first_metrics(["lr", "loss", "acc"]) == ["loss", "acc"] and first_metrics(["x"]) == ["x"]
    assert first_metrics(["acc_epoch", "eval_f1", "train_loss", "val_acc", "val_loss", "lr"]) == [
        "val_loss", "val_acc", "eval_f1", "acc_epoch"]


# ── files ──

def test_files_hold_every_point_of_the_stretch(opened):
    values = CHANCE.normal(size=3000)
    opened(log(a__loss=values, b__loss=[1, math.nan, math.inf], a__acc=[1]))
    table = shown_points("id", ["loss"], ["a", "b"], Settings())
    again = pd.read_csv(io.StringIO(long_csv(table, "step")))
    assert list(again.columns) == ["run", "tag", "step", "wall_time", "value", "smoothed"]
    assert len(again) == 3003
    np.testing.assert_array_equal(again["value"][:3000], values)  # to the last bit
    assert again["value"].iloc[-1] == math.inf
    curves = json.loads(as_json(table, Settings()))["curves"]
    assert curves[0]["value"] == values.tolist()
    assert curves[1]["value"] == [1, "NaN", "Infinity"]
    zoomed = shown_points("id", ["loss"], ["a"], Settings(stretch=(100, 200)))
    assert zoomed["step"].tolist() == list(range(100, 201, 10))


def test_wide_files_have_a_column_a_curve(opened):
    opened(pd.concat([log(a__loss=[1, math.nan, 3], b__loss=[5]), log(a__acc=[7, 8]),
                      log(a__loss=[9]).assign(step=20)], ignore_index=True))
    table = shown_points("id", ["loss", "acc"], ["a", "b"], Settings())
    found = wide(table)
    assert list(found.columns) == ["a · loss", "b · loss", "a · acc"]
    assert found.loc[20, "a · loss"] == 9  # the last of that step
    lines = wide_csv(table).splitlines()
    assert lines[0] == "step,a · loss,b · loss,a · acc"
    assert lines[2] == "10,NaN,,8.0"


def test_a_figure_is_where_the_values_are(opened):
    opened(log(a__loss=[1, 3, 2], b__loss=[2]))
    found = picture("id", ("loss",), ("a", "b"), Settings(smoothing=0, outliers=True))
    drawn = figure(found, "x <loss> & y", run_colours(found.names), dashes(found.tags))
    root = ET.fromstring(svg(drawn))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "x <loss> & y" and {"a", "b", "step"} <= set(texts)
    line = next(element for element in root.iter("{http://www.w3.org/2000/svg}polyline")
                if element.get("stroke-width") == "1.8")
    x, y = np.array([pair.split(",") for pair in line.get("points").split()], float).T
    left, top, right, bottom = drawn.plot
    np.testing.assert_allclose(x, [left, (left + right) / 2, right], atol=0.01)
    room = 0.1 / 2.2  # of the height, beyond the lowest and the highest
    np.testing.assert_allclose(y[:2], [bottom - room * (bottom - top), top + room * (bottom - top)],
                               atol=0.01)
    image = Image.open(io.BytesIO(png(drawn)))
    assert image.size == (drawn.width * 2, drawn.height * 2)
    red, _, blue = image.convert("RGB").getpixel((round(x[1] * 2), round(y[1] * 2) + 1))
    assert blue > red  # the first colour is blue


def test_a_figure_says_which_tag_has_the_axis_on_the_right(opened):
    opened(log(a__loss=[1, 3, 2], a__lr=[0.1, 0.2, 0.1]))
    found = picture("id", ("loss", "lr"), ("a",), Settings(), right=("lr",))
    drawn = figure(found, "both", run_colours(found.names), dashes(found.tags))
    said = [part.text for part in drawn.around if hasattr(part, "text")]
    assert "lr (right axis)" in said and "loss" in said


def test_a_tag_without_any_number_is_not_said_to_be_marked(opened):
    opened(log(a__loss=[math.nan, math.nan]))
    said = " ".join(points("id", "loss", ("a",), Settings()).notes)
    assert "2 values NaN or infinite, so there is nothing to draw." in said and "▲" not in said


def test_a_figure_marks_what_the_page_marks(opened):
    opened(log(a__loss=[3, 2, 1, 0, 1]))
    happened = Finding("a", "loss", 20, "said", "divergence")
    found = picture("id", ("loss",), ("a",), Settings(smoothing=0), findings=(happened,))
    drawn = figure(found, "loss", run_colours(found.names), dashes(found.tags))
    rule, = [part for part in drawn.inside if getattr(part, "dash", ()) == (4, 3)]
    left, top, right, bottom = drawn.plot
    np.testing.assert_allclose(rule.points, [[(left + right) / 2, top], [(left + right) / 2, bottom]])


def test_dashes_are_as_long_as_they_say():
    parts = dashed(np.array([[0.0, 0], [10, 0], [10, 10]]), (6, 3))
    assert [part.tolist() for part in parts] == [
        [[0, 0], [6, 0]], [[9, 0], [10, 0], [10, 5]], [[10, 8], [10, 10]]]


@pytest.mark.parametrize("low, high, log_scale, expected", [
    (0, 10, False, [0, 2, 4, 6, 8, 10]), (0.13, 0.4, False, [0.15, 0.2, 0.25, 0.3, 0.35, 0.4]),
    (1, 1000, True, [1, 10, 100, 1000]), (-1, 1, False, [-1, -0.5, 0, 0.5, 1])])
def test_ticks_are_round(low, high, log_scale, expected):
    np.testing.assert_allclose(ticks(low, high, log_scale), expected)


def test_ticks_are_written_short():
    assert "-0" not in written(ticks(-0.1, 1)) and written(ticks(-0.1, 1))[0] == "0"
    assert written([0, 2000, 2.5e6, 0.001]) == ["0", "2k", "2.5M", "0.001"]
    days = ticks(1.7e12, 1.7e12 + 4 * 86_400_000, date=True)
    assert written(days, date=True)[0] == "2023-11-15" and len(days) == 4


def test_a_vega_lite_file_holds_its_data(opened):
    opened(log(loss=[1, math.nan, 3]))
    spec = json.loads(vega_lite(picture("id", ("loss",), ("r",), Settings(smoothing=0)), "loss"))
    assert spec["$schema"].endswith("v6.json")
    assert [row["y"] for row in spec["datasets"]["lines_left"]] == [1, 3]

    def named(part):
        if isinstance(part, dict):
            own = [part["data"]["name"]] if "data" in part else []
            return own + [name for inner in part.values() for name in named(inner)]
        return [name for inner in part for name in named(inner)] if isinstance(part, list) else []
    assert set(named(spec["layer"])) == set(spec["datasets"])


def test_a_zip_is_always_the_same_and_its_names_are_safe():
    files = {file_name("../a/b", ".svg"): lambda: "x", "A_b.svg": lambda: b"y"}
    archive = zipfile.ZipFile(io.BytesIO(zipped(files)))
    assert archive.namelist() == ["a_b.svg", "A_b_.svg"] and archive.read("a_b.svg") == b"x"
    assert zipped(files) == zipped(files) and file_name("///", ".svg") == "curves.svg"
