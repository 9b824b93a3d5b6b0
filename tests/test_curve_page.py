"""The page of training curves, without a browser: settings in links, zoom, runs, groups, files."""

import json
import math
import os
import zipfile
from functools import partial
from io import BytesIO
from types import SimpleNamespace
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pytest

from core.curves.charts import chart_of, picture_of
from core.curves.picture import picture
from core.curves.points import Settings
from core.curves.together import Grouping
from core.files import found_files
from core.library import open_logs
from core.training_curves import tags_and_runs
from core.ui import log_address
from core.ui import runs as run_list
from core.ui.chart_titles import title_of
from core.ui.curve_chart import chart
from core.ui.curve_downloads import _everything
from core.ui.runs import _short
from tests.app import click_chart, faults, opened, words
from tests.event_files import NAME, scalar, write
from tests.test_logs import SAMPLES

PAGE = "pages/3_Training_curves.py"


@pytest.fixture
def own_logs(tmp_path, monkeypatch):
    """A folder that is one of those in which the app looks for logs."""
    monkeypatch.setenv("NETLENS_LOGS", str(tmp_path))
    found_files.folders.cache_clear()
    yield tmp_path
    found_files.folders.cache_clear()


@pytest.fixture(scope="module")
def shapes():
    if not (SAMPLES / "shapes").exists():
        pytest.skip("python -m sample_models.make has not written these runs yet")
    return {"model": "shapes-cnn.safetensors", "data": "none", "logs": "logs/shapes"}


def specs(app):
    return [json.loads(element.proto.spec) for element in app.get("vega_lite_chart")]


def test_a_link_opens_the_same_view(shapes):
    app = opened(PAGE, **shapes, axis="index", smoothing="0.3", log="true", find_tags="^loss/v",
                 zoom="index:1:5")
    assert not faults(app)
    chart, = specs(app)
    x = chart["layer"][0]["layer"][0]["encoding"]["x"]
    assert x["title"].startswith("number of the point") and x["scale"]["domain"] == [1, 5]
    assert chart["layer"][0]["layer"][0]["encoding"]["y"]["scale"]["type"] == "log"
    assert "Zoomed on index 1 to 5" in words(app)


@pytest.mark.parametrize(("tags", "halved"), [("^loss/train$", False), ("^loss/", True)])
def test_a_group_of_one_chart_has_all_the_width(shapes, tags, halved):
    app = opened(PAGE, **shapes, find_tags=tags)
    group = next(part for part in app.expander if part.label.startswith("loss ("))
    assert bool(group.columns) == halved and group.get("vega_lite_chart") and not faults(app)


def test_a_drag_zooms_all_charts_and_a_double_click_shows_the_whole(shapes):
    app = opened(PAGE, **shapes, find_tags="loss/train")
    before = [chart["layer"][0]["layer"][0]["encoding"]["x"]["scale"] for chart in specs(app)]
    assert len(before) == 2 and all("domain" not in scale for scale in before)
    click_chart(app, "curve", brush={"x": [4, 30]})
    assert app.query_params["zoom"] in ("step:4:30", ["step:4:30"])
    zoomed = [chart["layer"][0]["layer"][0]["encoding"]["x"]["scale"] for chart in specs(app)]
    assert [scale["domain"] for scale in zoomed] == [[4, 30], [4, 30]]
    click_chart(app, "curve", reset=[{"at": 5}])
    assert "zoom" not in app.query_params and not faults(app)


def vertical(spec):
    return spec["layer"][0]["layer"][0]["encoding"]["y"]["scale"].get("domain")


def test_a_box_zooms_its_chart_in_height_and_all_along(shapes):
    app = opened(PAGE, **shapes, find_tags="loss/train|loss/validation", outliers="true",
                 find_runs="^cnn$")
    before = [vertical(spec) for spec in specs(app)]
    title = specs(app)[0]["title"]
    click_chart(app, "curve", brush={"x": [4, 30], "y": [1.5, 0.5]})
    assert app.query_params["zoom"] in ("step:4:30", ["step:4:30"])
    assert app.query_params["vertical"] in (f"0.5:1.5:{title}", [f"0.5:1.5:{title}"])
    assert [vertical(spec) for spec in specs(app)] == [[0.5, 1.5], *before[1:]]
    assert "a piece of the height of one chart" in words(app)
    click_chart(app, "curve", brush={"x": [5, 20], "y": [0.9, 0.6]})
    assert app.query_params["vertical"] in (f"0.6:0.9:{title}", [f"0.6:0.9:{title}"])
    click_chart(app, "curve", reset=[{"at": 5}])
    assert not {"zoom", "vertical"} & set(app.query_params) and not faults(app)
    assert [vertical(spec) for spec in specs(app)] == before


def test_a_flat_box_zooms_along_and_a_narrow_one_in_height(shapes):
    app = opened(PAGE, **shapes, find_tags="loss/train$", outliers="true", find_runs="^cnn$")
    click_chart(app, "curve", brush={"x": [4, 30], "y": [0.5, 0.51]})
    assert "zoom" in app.query_params and "vertical" not in app.query_params
    app = opened(PAGE, **shapes, find_tags="loss/train$", outliers="true", find_runs="^cnn$")
    click_chart(app, "curve", brush={"x": [4, 4.4], "y": [0.2, 1.5]})
    assert "vertical" in app.query_params and "zoom" not in app.query_params


@pytest.mark.parametrize("asked", ["1:0.5:loss/train", "a:b:loss/train", "loss/train", "0:nan:loss/train",
                                   "0:1:another", ":"])
def test_a_broken_height_in_a_link_shows_the_whole(shapes, asked):
    app = opened(PAGE, **shapes, find_tags="loss/train$", outliers="true", vertical=asked)
    assert vertical(specs(app)[0]) is None and not faults(app)


def test_layouts_of_the_program_come_first_as_charts(own_logs):
    from torch.utils.tensorboard import SummaryWriter
    folder = own_logs / "laid"
    with SummaryWriter(str(folder)) as writer:
        for step in range(6):
            for tag in ("loss/a", "loss/b", "mean", "low", "high", "x/loss"):
                writer.add_scalar(tag, step + len(tag), step)
        writer.add_custom_scalars({"Mine": {
            "both": ["Multiline", ["loss/.*", "(a+)+"]], "band": ["Margin", ["mean", "low", "high"]],
            "absent": ["Margin", ["mean", "low", "nowhere"]]}})
    for file in folder.iterdir():
        os.utime(file, (1e9, 1e9))
    app = opened(PAGE, data="none", logs="laid")
    assert not faults(app)
    assert [part.label.partition(" ")[0] for part in app.expander][:2] == ["Mine", "loss"]
    both, band = specs(app)[:2]
    assert both["title"] == "both" and band["title"] == "band"
    dash = both["layer"][0]["layer"][0]["encoding"]["strokeDash"]["scale"]["domain"]
    assert dash == ["loss/a", "loss/b"]  # x/loss only holds it, and a slow expression is text
    assert band["layer"][0]["layer"][0]["mark"]["type"] == "area"
    assert "band lies between" in words(app)


def test_a_log_that_was_cut_off_is_told_before_all_other_runs(own_logs):
    for run in ("a", "b", "c", "d"):  # each still falls at its end
        write(own_logs / "some" / run / NAME, [scalar("val_loss", step, 2 - step / 100)
                                               for step in range(60)])
    cut = own_logs / "some" / "d" / NAME
    cut.write_bytes(cut.read_bytes()[:-307])  # within a record
    for file in own_logs.glob("some/*/*"):
        os.utime(file, (1e9, 1e9))
    app = opened(PAGE, data="none", logs="some")
    assert not faults(app)
    told = next(text.value for text in app.markdown if text.value.startswith(":small["))
    told = told.split("\n")
    assert "**d**" in told[0] and "Part of this log could not be read" in told[0]
    assert "still falling when training stopped" in told[1] and "**a**" in told[1]
    assert not any("**d**" in line and "training stopped" in line for line in
                   words(app).split("\n"))


@pytest.mark.parametrize("brush", [{"x": [4, 4.0001]}, {"x": ["a", 4]}, {"x": [3]}, {}, {"x": 5}])
def test_what_is_no_stretch_does_not_zoom(shapes, brush):
    app = opened(PAGE, **shapes, find_tags="loss/train$")
    click_chart(app, "curve", brush=brush)
    assert "zoom" not in app.query_params and not faults(app)


@pytest.mark.parametrize("zoom", ["step:9:4", "step:nan:4", "epoch:1:2", "nonsense", "step:1:2:3"])
def test_a_broken_zoom_in_a_link_shows_the_whole(shapes, zoom):
    app = opened(PAGE, **shapes, find_tags="loss/train$", zoom=zoom)
    assert "domain" not in specs(app)[0]["layer"][0]["layer"][0]["encoding"]["x"]["scale"]
    assert not faults(app)


def test_tags_share_a_chart_with_an_axis_of_their_own(shapes):
    app = opened(PAGE, **shapes, compare=["loss/train", "accuracy/train"],
                 right=["accuracy/train"], find_tags="nothing like it")
    chart, = specs(app)
    assert chart["resolve"] == {"scale": {"y": "independent"}}
    sides = [layer["layer"][-1]["encoding"]["y"]["axis"]["orient"] for layer in chart["layer"][:2]]
    assert sides == ["left", "right"] and "No tag matches" in words(app)


def test_pinned_runs_are_drawn_whatever_is_found(shapes):
    app = opened(PAGE, **shapes, pin=["vit"], find_runs="^cnn$", find_tags="loss/train$")
    names = specs(app)[0]["layer"][0]["layer"][0]["encoding"]["color"]["scale"]["domain"]
    assert names == ["cnn", "vit"] and "2 of 5 runs drawn" in words(app)
    table = app.dataframe[0].value
    assert list(table["run"]) == ["vit", "cnn"]
    star, dot = map(unquote, table["colour"])
    assert "<path" in star and "<circle" in dot and star.startswith("data:image/svg+xml,")
    app = opened(PAGE, **shapes, find_runs="(a+)+", find_tags="loss/train$")
    assert "looked for as plain text" in words(app) and "No run matches" in words(app)


def test_settings_of_closed_tabs_are_known_to_a_link(monkeypatch):
    address, state = QueryParams(log="true", model="m", curves="Curves"), {}
    monkeypatch.setattr(log_address, "st", SimpleNamespace(query_params=address,
                                                           session_state=state))

    def run(tab):
        state["curves"] = address["curves"] = tab
        log_address.keep_settings("curves")
        return log_address.closed_settings()

    assert run("Curves") == {}
    run("Runs")
    del address["log"]  # as Streamlit does when that run ends
    address["metrics"] = "loss"
    assert run("Runs") == {"log": ["true"]}
    run("Curves")
    del address["metrics"]
    assert run("Curves") == {"metrics": ["loss"]}  # and log was switched off meanwhile
    run("Runs")
    assert run("Runs") == {}


class QueryParams(dict):
    def get_all(self, key):
        return [self[key]] if key in self else []


def test_closed_groups_and_closed_tabs_build_no_chart(shapes):
    app = opened(PAGE, **shapes)
    groups = len([part for part in app.expander if "(" in part.label])
    assert len(specs(app)) > 0 and groups > 2 and "…" in words(app)
    assert not specs(opened(PAGE, **shapes, curves="How the logs were read"))


def test_few_charts_are_drawn_at_first_and_of_any_logs_some(own_logs):
    file = own_logs / "own" / "run" / "metrics.jsonl"
    file.parent.mkdir(parents=True)
    tags = [f"{group}/{number}" for group in ("loss", "accuracy", "norm") for number in range(6)]
    file.write_text("".join(json.dumps({"step": step} | dict.fromkeys(tags, step)) + "\n"
                            for step in range(5)))
    os.utime(file, (1e9, 1e9))
    app = opened(PAGE, data="none", logs="own")
    few = opened(PAGE, data="none", logs="own", find_tags="[01]$")
    assert not faults(app)
    assert [spec["title"] for spec in specs(app)] == tags[:6]  # the first group, however large
    assert [spec["title"] for spec in specs(few)] == [
        "loss/0", "loss/1", "accuracy/0", "accuracy/1"]


def test_the_table_of_runs(shapes):
    app = opened(PAGE, **shapes, curves="Runs", metrics=["loss/validation"])
    table = app.dataframe[1].value  # after the list of runs on the left
    assert {"run", "loss/validation last", "loss/validation best", "duration"} <= set(table.columns)
    assert len(table) == 5 and not faults(app)


def test_everything_as_a_zip(shapes):
    logs_id = opened(PAGE, **shapes).session_state["_chosen"].logs_id
    runs = tuple(tags_and_runs(logs_id)[1])
    what = chart_of("loss/train")
    make = {what: partial(picture_of, logs_id, what, runs, Settings())}
    archive = zipfile.ZipFile(BytesIO(_everything(logs_id, make, runs, Settings())))
    assert set(archive.namelist()) == {
        "curves_long.csv", "curves_wide.csv", "curves.json", "runs.csv",
        "how_the_logs_were_read.txt", "loss_train.svg", "loss_train.png", "loss_train.vl.json"}
    assert archive.read("loss_train.png")[:4] == b"\x89PNG"


def test_a_single_place_has_an_axis_with_room(shapes):
    logs_id = opened(PAGE, **shapes).session_state["_chosen"].logs_id
    tag = next(tag for tag in tags_and_runs(logs_id)[0] if tag.startswith("final/"))
    found = picture(logs_id, (tag,), ("cnn",), Settings())
    assert found.pointer["at"].nunique() == 1
    low, high = chart(found, tag)["layer"][0]["layer"][0]["encoding"]["x"]["scale"]["domain"]
    assert low < found.pointer["at"].iat[0] < high


@pytest.mark.parametrize("grouping", [None, Grouping("epochs")])
def test_colours_of_groups_are_named_in_the_chart(shapes, grouping):
    logs_id = opened(PAGE, **shapes).session_state["_chosen"].logs_id
    runs = tuple(tags_and_runs(logs_id)[1])
    spec = chart(picture(logs_id, ("loss/train",), runs, Settings(), (), grouping), "loss/train")
    legend = spec["layer"][0]["layer"][0]["encoding"]["color"]["legend"]
    assert (legend is None) == (grouping is None)


def test_a_single_run_leaves_nothing_to_choose(own_logs):
    file = own_logs / "metrics.csv"
    file.write_text("step,loss\n0,1\n1,0.5\n2,0.25\n")
    os.utime(file, (1e9, 1e9))  # no longer written, so not followed
    app = opened(PAGE, data="none", logs=own_logs.name)
    assert not faults(app) and len(specs(app)) == 1
    assert not app.dataframe and "find_runs" not in [field.key for field in app.text_input]


def test_what_is_sent_is_the_whole_chart(shapes):
    app = opened(PAGE, **shapes, find_tags="loss/train$", find_runs="^cnn$", smoothing="0")
    logs_id = app.session_state["_chosen"].logs_id
    sent = {part.name: pa.ipc.open_stream(part.data.data).read_all().to_pandas()
            for part in app.get("vega_lite_chart")[0].proto.datasets}
    expected = open_logs(logs_id).table
    expected = expected[(expected["run"] == "cnn") & (expected["tag"] == "loss/train")]
    assert list(sent["lines_left"]["x"]) == list(expected["step"])
    np.testing.assert_array_equal(sent["lines_left"]["y"], expected["value"].astype(np.float32))
    assert {"lines_left", "dots_left", "pointer", "marks"} <= set(sent)


def test_settings_are_written_as_short_as_they_are():
    assert [_short(number) for number in (32.0, 1e-05, 0.25, float("inf"), float("nan"))] == [
        "32", "1e-05", "0.25", "inf", ""]


def test_one_tag_to_compare_stands_beside_its_own_chart(shapes):
    app = opened(PAGE, **shapes, compare=["loss/train"], find_tags="loss/train$")
    assert not faults(app) and len(specs(app)) == 2


def test_tags_without_a_group_are_open_where_they_are_losses():
    from core.ui.curve_groups import _by_prefix

    found = _by_prefix(["epoch", "accuracy/val", "grad/norm", "lr", "train_loss", "val_acc",
                        "val_loss"])
    assert {group: [tag for chart in charts for tag in chart.tags]
            for group, charts in found.items()} == {
        "loss": ["train_loss", "val_loss"], "accuracy": ["accuracy/val", "val_acc"],
        "grad": ["grad/norm"], "other tags": ["epoch", "lr"]}
    assert list(found) == ["loss", "accuracy", "grad", "other tags"]


def test_what_is_set_out_of_sight_shows_on_its_button(shapes):
    def labels(app):
        return [block.proto.popover.label for block in app.get("popover")]

    assert "More settings" in labels(opened(PAGE, **shapes, find_tags="loss/train$"))
    app = opened(PAGE, **shapes, find_tags="loss/train$", log="true", outliers="true", pin="cnn")
    assert not faults(app)
    assert {"More settings · 2", "Pin or group · 1"} <= set(labels(app))
    app.toggle(key="outliers").set_value(False).run()
    assert "More settings · 1" in labels(app)


def test_a_point_outside_the_axis_names_the_switch_that_shows_it(shapes):
    app = opened(PAGE, **shapes, find_tags="loss/train$")
    assert '1 lies outside the axis: see "Show outliers" in "More settings".' in words(app)


def test_long_names_are_cut_in_the_list_unless_two_would_be_alike():
    from core.ui.runs import _in_short

    alike = ["comparison/mnist_adam_results", "comparison/mnist_sgd_results"]
    short, *others = _in_short(["a_folder_of_logs/with_a_run", *alike])
    assert len(short) == 17 and short.startswith("a_folder") and short.endswith("_run")
    assert others == ["…adam_results", "…sgd_results"]  # 17 letters of both are comparis…_results
    whole = [f"run_{'a' * 20}{number}{'b' * 20}" for number in "12"]  # a word that differs inside
    assert _in_short(whole) == whole


def test_what_the_search_leaves_out_stays_ticked(shapes):
    app = opened(PAGE, **shapes, find_tags="loss/train$", find_runs="^cnn$", run=["vit", "cnn"])
    assert app.query_params["run"] == ["vit", "cnn"] and "1 of 5 runs drawn" in words(app)
    app.text_input(key="find_runs").set_value("").run()
    assert "2 of 5 runs drawn" in words(app) and not faults(app)


def test_a_click_on_a_name_draws_that_run_alone(monkeypatch):
    state, address = {}, {}
    monkeypatch.setattr(run_list, "st", SimpleNamespace(session_state=state, query_params=address))

    def clicked(*cell):
        state["list"] = SimpleNamespace(selection=SimpleNamespace(cells=[cell]))
        run_list._alone("list", ["cnn", "vit"])
        return address.get("run")

    assert clicked(0, "colour") is None and clicked(2, "run") is None
    assert clicked(1, "run") == ["vit"] and state[run_list.TICKED] == 1  # the list is made anew


def test_zoom_and_ticked_runs_outlive_a_visit_to_another_page(shapes):
    app = opened(PAGE, **shapes, find_tags="loss/train$", run=["vit", "cnn"], zoom="step:4:30")
    assert "Zoomed on step 4 to 30" in words(app)

    def back():
        app.switch_page("pages/2_Architecture.py").run()
        for key in ("zoom", "run"):  # as Streamlit does in a browser
            app.query_params.pop(key, None)
        app.switch_page(PAGE).run()
        assert not faults(app)
        return words(app)

    assert "Zoomed on step 4 to 30" in back() and "2 of 5 runs drawn" in words(app)
    assert app.query_params["run"] == ["cnn", "vit"]
    click_chart(app, "curve", reset=[{"at": 5}])
    assert "Zoomed" not in words(app) and "Zoomed" not in back()


def test_times_are_told_by_a_clock_of_24_hours(shapes):
    app = opened(PAGE, **shapes, find_tags="loss/train$", axis="wall time")
    said = specs(app)[0]["layer"][0]["layer"][0]["encoding"]["x"]["axis"]["labelExpr"]
    assert "%H:%M" in said and "%I" not in said


def test_a_long_title_keeps_both_ends():
    name = 'encoder.layers.0."attention" + width.key.projection.weight'
    expression = title_of(name)["text"]["expr"]
    assert title_of("loss/train") == "loss/train"
    quoted = json.dumps(name)
    assert expression.count(quoted) == expression.count(name.split('"')[0]) == 3  # text, never code
    heard = {"ceil": math.ceil, "floor": math.floor, "max": max,
             "slice": lambda text, *ends: text[slice(*ends) if len(ends) > 1 else slice(*ends, None)]}
    asked, _, shorter = expression.partition(" : ")
    wide, last = float(asked.split(" <= ")[0]), 0
    for width in (100, 160, 220, 280, 340):
        cut = eval(shorter, heard | {"width": width})  # these words mean the same in Python
        head, _, tail = cut.partition("…")
        assert name.startswith(head) and name.endswith(tail) and len(head) > len(tail) > 0
        assert last < len(cut) <= len(name) * (width + 24) / wide
        last = len(cut)


def test_other_ends_of_the_vertical_axis_leave_the_chart_the_same(shapes):
    logs_id = opened(PAGE, **shapes).session_state["_chosen"].logs_id
    some, more = (chart(picture(logs_id, ("loss/train",), ("cnn", "vit"), Settings(weight)), "loss")
                  for weight in (0.3, 0.9))
    ends = [spec.pop("datasets")["pointer"][["left_domainMin", "left_domainMax"]].iloc[0]
            for spec in (some, more)]
    assert some == more and list(ends[0]) != list(ends[1])
    expected = picture(logs_id, ("loss/train",), ("cnn", "vit"), Settings(0.3)).ends("left")
    assert list(ends[0]) == expected
