"""Curves in a real browser: read a step, drag to zoom, double-click back, take a file."""

import json

import pytest

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


def test_drag_zooms_and_double_click_shows_the_whole(charts):
    charts.mouse.move(*at(charts, 0.4))
    charts.mouse.down()
    charts.mouse.move(*at(charts, 0.55), steps=5)
    charts.mouse.move(*at(charts, 0.7), steps=5)
    charts.mouse.up()
    charts.get_by_text("Zoomed on step").wait_for()
    ready(charts)
    assert "zoom=step" in charts.url
    charts.mouse.dblclick(*at(charts, 0.5))
    charts.get_by_text("Drag across a chart").wait_for()
    ready(charts)
    assert "zoom=step" not in charts.url
    assert not charts.outside


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
