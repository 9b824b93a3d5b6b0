"""The page of training curves, without a browser: settings in links, zoom, runs, groups, files."""

import json
import zipfile
from functools import partial
from io import BytesIO

import pytest

from core.curve_points import Settings
from core.training_curves import tags_and_runs
from core.ui.curve_downloads import _everything
from tests.app import click_chart, faults, opened, words
from tests.test_logs import SAMPLES

PAGE = "pages/3_Training_curves.py"


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
    app = opened(PAGE, **shapes, find_runs="(a+)+", find_tags="loss/train$")
    assert "looked for as plain text" in words(app) and "No run matches" in words(app)


def test_closed_groups_and_closed_tabs_build_no_chart(shapes):
    app = opened(PAGE, **shapes)
    groups = len([part for part in app.expander if "(" in part.label])
    assert len(specs(app)) > 0 and groups > 2 and "…" in words(app)
    assert not specs(opened(PAGE, **shapes, view="How the logs were read"))


def test_the_table_of_runs(shapes):
    app = opened(PAGE, **shapes, view="Runs", metrics=["loss/validation"])
    table = app.dataframe[1].value  # after the list of runs on the left
    assert {"run", "loss/validation last", "loss/validation best", "duration"} <= set(table.columns)
    assert len(table) == 5 and not faults(app)


def test_everything_as_a_zip(shapes):
    from core.ui.curve_downloads import picture

    logs_id = opened(PAGE, **shapes).session_state["_chosen"].logs_id
    runs = tuple(tags_and_runs(logs_id)[1])
    make = {("loss/train",): partial(picture, logs_id, ("loss/train",), runs, Settings())}
    archive = zipfile.ZipFile(BytesIO(_everything(logs_id, make, runs, Settings())))
    assert set(archive.namelist()) == {
        "curves_long.csv", "curves_wide.csv", "curves.json", "runs.csv",
        "how_the_logs_were_read.txt", "loss_train.svg", "loss_train.png", "loss_train.vl.json"}
    assert archive.read("loss_train.png")[:4] == b"\x89PNG"
