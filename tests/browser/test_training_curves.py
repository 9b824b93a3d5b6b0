"""Curves in a real browser: read a step, drag to zoom, double-click back, draw a run alone, slide
along the steps, take a file."""

import json
import re

import pytest

from core.ui.chart_titles import width_of
from tests.browser.conftest import ready
from tests.test_logs import SAMPLES

pytestmark = pytest.mark.browser
CHART = "[data-testid=stVegaLiteChart] canvas"


@pytest.fixture
def charts(page, server):
    if not (SAMPLES / "shapes").exists():
        pytest.skip("python -m sample_models.make has not written these runs yet")
    page.goto(f"{server.url}/Training_curves?model=shapes-cnn.safetensors&data=none"
              "&logs=logs%2Fshapes&find_tags=loss%2Ftrain%24&zoom=")
    ready(page)
    page.locator(CHART).wait_for()
    return page


def at(page, share):
    """A place in the first chart."""
    chart = page.locator(CHART).first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    return box["x"] + box["width"] * share, box["y"] + box["height"] * 0.5


def test_the_pointer_tells_every_run(charts):
    x, y = at(charts, 0.4)
    charts.mouse.move(x, y)
    charts.mouse.move(x + 4, y)
    tip = charts.locator("#vg-tooltip-element.visible")
    tip.wait_for()
    said = tip.inner_text()
    assert "step" in said
    assert all(run in said for run in ("cnn", "cnn-few-examples", "vit"))


@pytest.mark.parametrize("name", [
    "gradients/blocks.0.self_attention.project.weight", "train/illili_tiff.filter",
    "encoder.layers.encoder_layer_10.mlp.fc2.bias", "MEAN_MAXIMUM/Wide_W_and_M", "loss/validation"])
def test_the_width_of_a_title_is_known_before_it_is_drawn(charts, name):
    drawn = charts.evaluate("""name => {
        const paper = document.createElement("canvas").getContext("2d");
        paper.font = '600 16px "Source Sans", sans-serif';
        return paper.measureText(name).width;
    }""", name)
    assert 0.97 * drawn < width_of(name) < 1.12 * drawn


def dragged(charts, start, end):
    charts.mouse.move(*at(charts, start))
    charts.mouse.down()
    charts.mouse.move(*at(charts, (start + end) / 2), steps=5)
    charts.mouse.move(*at(charts, end), steps=5)
    charts.mouse.up()
    charts.get_by_text("Zoomed on").wait_for()
    ready(charts)
    return tuple(map(float, re.search(r"zoom=\w+%3A([\d.]+)%3A([\d.]+)", charts.url).groups()))


def test_drag_zooms_and_double_click_shows_the_whole(charts):
    first = dragged(charts, 0.4, 0.7)
    second = dragged(charts, 0.3, 0.8)
    assert first[0] < second[0] < second[1] < first[1]
    charts.get_by_role("link", name="Architecture").click()
    ready(charts)
    assert "zoom=step" not in charts.url
    charts.get_by_role("link", name="Training curves").click()
    charts.get_by_text("Zoomed on step").wait_for()
    ready(charts)
    assert "zoom=step" in charts.url
    charts.mouse.dblclick(*at(charts, 0.5))
    charts.get_by_text("Drag across a chart").wait_for()
    ready(charts)
    assert "zoom=step" not in charts.url
    assert not charts.outside


def test_the_place_of_a_point_in_its_run_is_an_axis_too(charts):
    charts.get_by_role("combobox", name="Along").click()
    charts.get_by_role("option", name="index").click()
    ready(charts)
    assert "axis=index" in charts.url
    low, high = dragged(charts, 0.3, 0.7)
    assert 0 < low < high < 40 and "zoom=index" in charts.url


def test_a_click_on_a_run_draws_it_alone(charts):
    runs = charts.get_by_test_id("stDataFrame").first.bounding_box()
    for row in (1, 2):
        charts.mouse.click(runs["x"] + 18, runs["y"] + 35 * row + 18)
        ready(charts)
    charts.get_by_text("2 of 5 runs drawn").wait_for()
    charts.mouse.dblclick(runs["x"] + 90, runs["y"] + 35 * 5 + 18)
    charts.get_by_text("1 of 5 runs drawn").wait_for()
    ready(charts)
    assert re.findall(r"run=([\w-]+)", charts.url) == ["vit"]
    charts.mouse.click(runs["x"] + 18, runs["y"] + 35 * 5 + 18)
    charts.get_by_text("5 of 5 runs drawn").wait_for()


def test_the_slider_of_steps_is_dragged_and_obeys_the_keyboard(charts, server):
    charts.goto(f"{server.url}/Training_curves?model=shapes-cnn.safetensors&data=none"
                "&logs=logs%2Fshapes&curves=Pictures+and+text")
    ready(charts)
    thumb = charts.get_by_test_id("stSliderThumbValue")
    last = int(thumb.inner_text())
    number, slider = thumb.bounding_box(), charts.get_by_test_id("stSlider").bounding_box()
    height = number["y"] + number["height"] + 6
    charts.mouse.move(number["x"] + number["width"] / 2, height)
    charts.mouse.down()
    charts.mouse.move(slider["x"] + slider["width"] / 2, height, steps=5)
    charts.mouse.up()
    ready(charts)
    middle = int(thumb.inner_text())
    assert 0 < middle < last and f"media_step={middle}" in charts.url
    for key, holds in (("ArrowLeft", lambda step: 0 < step < middle), ("Home", lambda step: not step),
                       ("End", lambda step: step == last)):
        charts.keyboard.press(key)
        ready(charts)
        assert holds(int(thumb.inner_text())), key


def test_files_are_named_and_whole(charts):
    charts.get_by_role("button", name="Download what is shown").click()
    for title, name, first in (("SVG", "loss_train.svg", b"<svg"),
                               ("PNG", "loss_train.png", b"\x89PNG"),
                               ("Vega-Lite", "loss_train.vl.json", b"{"),
                               ("Everything as a zip", "training_curves.zip", b"PK")):
        with charts.expect_download() as waiting:
            charts.get_by_role("button", name=title, exact=True).click()
        assert waiting.value.suggested_filename == name
        with open(waiting.value.path(), "rb") as file:
            content = file.read()
        assert content.startswith(first)
        if name.endswith("json"):
            assert json.loads(content)["datasets"]["lines_left"]
