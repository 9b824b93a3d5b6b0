"""Curves that are still being written, in a real browser: they grow, and so does the page."""

import re
import shutil
from pathlib import Path

import pytest

from tests.browser.conftest import Server, ready

pytestmark = pytest.mark.browser
CHART = "[data-testid=stVegaLiteChart] canvas"


class Run:
    """A log of JSON lines that grows by one point at a time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.file, self.last = folder / "metrics.jsonl", -1
        self.write(200)

    def write(self, points: int, loss: str = "") -> None:
        with self.file.open("a", encoding="utf-8") as file:
            for _ in range(points):
                self.last += 1
                file.write(f'{{"step": {self.last}, "timestamp": {1.7e9 + self.last}, '
                           f'"loss": {loss or 1 / (self.last + 1)}}}\n')

    def followed(self, page) -> None:
        """Waits until the page tells the last step, while the run is written on."""
        for _ in range(40):
            self.write(1)
            if self.told(page) >= self.last - 5:
                return
            page.wait_for_timeout(250)
        raise AssertionError(f"step {self.told(page)} is told, {self.last} is written")

    def told(self, page) -> int:
        said = page.get_by_text("Still being written.", exact=False).first.inner_text()
        return int(re.search(r"step ([\d,]+)", said)[1].replace(",", ""))


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "logs" / "run")


@pytest.fixture
def live(browser, run, tmp_path):
    server = Server(tmp_path / "cache", "--logs", str(tmp_path / "logs"))
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = context.new_page()
        page.goto(f"{server.url}/Training_curves?data=none&zoom=")
        page.locator(CHART).wait_for()
        ready(page)
        yield page
    finally:
        context.close()
        server.stop()
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def test_points_come_while_the_page_is_open(live, run):
    run.followed(live)


def test_what_happens_meanwhile_is_told(live, run):
    assert live.get_by_text("nothing conspicuous").count()
    live.get_by_role("button", name="How this is found").click()
    rules = live.get_by_text("Each rule is a comparison")
    rules.wait_for()
    run.write(1, loss="NaN")
    run.followed(live)
    live.get_by_text(re.compile("1 run, something happened")).wait_for()
    assert live.get_by_text(re.compile("loss.*step 200")).count()
    assert rules.is_visible(), "what was opened stays open"


def test_a_box_dragged_while_points_come_is_whole(live, run):
    chart = live.locator(CHART).first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    height = box["y"] + box["height"] * 0.5
    first = run.told(live)
    live.mouse.move(box["x"] + box["width"] * 0.3, height)
    live.mouse.down()
    live.mouse.move(box["x"] + box["width"] * 0.4, height + 3, steps=4)
    for _ in range(40):  # the hand rests while the page is drawn anew
        run.write(1)
        live.wait_for_timeout(250)
        if run.told(live) > first + 8:
            break
    assert run.told(live) > first
    assert "zoom=step" not in live.url
    live.mouse.move(box["x"] + box["width"] * 0.8, height + 3, steps=4)
    live.mouse.up()
    live.get_by_text("Zoomed on step").wait_for()
    found = re.search(r"zoom=step(?::|%3A)([\d.]+)(?::|%3A)([\d.]+)", live.url)
    low, high = map(float, found.groups())
    assert 30 < low < 70 and 150 < high < 190, (low, high, run.last)
