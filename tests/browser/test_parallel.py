"""Parallel axes in Chromium: brushes keep the runs that Python says they keep; axes move."""

import json
import math
from dataclasses import asdict

import pandas as pd
import pytest

from core.runs.parallel_axes import axis, brushes_of, kept
from core.ui.components.parallel import SOURCES
from tests.browser.empty_page import placed

pytestmark = pytest.mark.browser
EVIL = "<img src=x onerror=alert(1)>"
RUNS = 60


@pytest.fixture
def axes():
    rates = [10 ** (-5 + 4 * k / (RUNS - 1)) for k in range(RUNS)]
    losses = [math.nan if k % 9 == 0 else k * 7 % RUNS for k in range(RUNS)]
    names = ["adam", EVIL, "missing", None]
    return [axis("lr", pd.Series(rates)),
            axis("name", pd.Series([names[k % 4] for k in range(RUNS)], dtype="str")),
            axis("loss", pd.Series(losses, dtype=float), pd.Series([1] * RUNS))]


@pytest.fixture
def shown(page, axes):
    """The component on an empty page; what it tells the page is in window.sent."""
    placed(page, SOURCES, {
        "axes": [asdict(one) for one in axes], "runs": [f"{EVIL}{k}" for k in range(RUNS)],
        "colours": ["#4477AA"] * RUNS, "colour": "loss", "view": "", "height": 400})
    page.wait_for_selector(".box[data-painted]")
    return page


def drag(page, start, end):
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    page.mouse.move(*end)
    page.mouse.up()


def said(page):
    return page.evaluate("window.sent.at(-1)[1]")


PLACE = """async (number) => {
  for (const _ of [1, 2]) await new Promise(requestAnimationFrame);  // what was changed is drawn
  const { x, y, width, height } = document.querySelectorAll(".strip")[number].getBoundingClientRect();
  return [x + width / 2, y + 8, height - 16];
}"""


def place(page, number, share):
    """On an axis: 0 at its top, 1 at its bottom or the end of its places for what is no number."""
    x, top, height = page.evaluate(PLACE, number)
    return x, top + share * height


def test_brushes_keep_what_python_keeps_and_axes_move(shown, axes):
    for number, start, end in [(0, 0.2, 0.7), (2, 0.35, 1.02), (1, 0.4, 1.02)]:
        drag(shown, place(shown, number, start), place(shown, number, end))
        count = int(kept(axes, brushes_of(said(shown))).sum())
        assert 0 < count < RUNS
        shown.get_by_text(f"{count} of {RUNS} runs", exact=True).wait_for()
    brushes = brushes_of(said(shown))
    assert brushes["loss"]["words"] == ["NaN"] and brushes["name"]["words"] == ["missing"]
    for number in range(3):
        shown.mouse.dblclick(*place(shown, number, 0.95))
    assert brushes_of(said(shown)) == {}
    shown.get_by_text(f"{RUNS} of {RUNS} runs", exact=True).wait_for()

    first, last = (shown.locator(".title").nth(k).bounding_box() for k in (0, 2))
    drag(shown, (first["x"] + 40, first["y"] + 8), (last["x"] + 60, last["y"] + 8))
    assert json.loads(said(shown))["order"] == ["name", "loss", "lr"]
    shown.get_by_role("button", name="lr", exact=True).click()
    shown.get_by_role("button", name="Linear scale").click()
    assert json.loads(said(shown))["scales"] == {"lr": "linear"}
    shown.keyboard.press("ArrowLeft")
    assert json.loads(said(shown))["order"] == ["name", "lr", "loss"]
    shown.mouse.move(*place(shown, 0, 0.45))
    shown.locator(".tip").filter(has_text=EVIL).wait_for()
    assert shown.locator("img").count() == 0
