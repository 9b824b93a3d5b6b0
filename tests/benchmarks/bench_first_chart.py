"""How long until large logs that a person picks are drawn in Chromium, the server being up.

    python -m tests.benchmarks.bench_first_chart [--steps 50000] [--tags 20] [--rounds 3]
                                                 [--keep FOLDER]

1 run, event files of 1,000,000 points, picked in the sidebar of Training curves. "First visit": the
server has shown no curves yet. "Nothing kept": it has shown the samples' curves, but never these
logs, nor is anything parsed of them on disk. "Kept": picked once more in another tab, then in
another browser. From the click on their name to the moment when pixels of a curve are in a chart of
one of their own tags. `--keep` keeps the logs that were generated for another time.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from playwright.sync_api import BrowserContext, BrowserType, sync_playwright
from tensorboard.compat.proto.event_pb2 import Event

from tests.browser.conftest import QUIET, Server, ready
from tests.event_files import NAME, scalar, write

FOLDER, GROUP = "large", "loss_0"  # the first of the groups that only these logs have
PAGE = "Training_curves?data=none&logs="
DRAWN = """group => [...document.querySelectorAll('[data-testid=stExpander]')].filter(
    part => part.innerText.includes(group)).some(part => [...part.querySelectorAll('canvas')].some(
    canvas => canvas.width > 100 && canvas.getContext('2d').getImageData(
        0, 0, canvas.width, canvas.height).data.some(
        (value, place, data) => place % 4 == 0 && data[place + 3] > 60
            && Math.max(data[place], data[place + 1], data[place + 2])
             - Math.min(data[place], data[place + 1], data[place + 2]) > 60)))"""  # a colour


def scalars(tags: int, steps: int) -> Iterator[Event]:
    """Losses that fall and accuracies that rise under noise, of training and validation data, so
    that the rules of findings have all their work."""
    noise = np.random.default_rng(0).normal(0, 0.02, (steps, tags))
    falling = np.exp(-np.arange(steps) / (steps / 5))
    for step in range(steps):
        for tag in range(tags):
            name = f"{('loss', 'accuracy')[tag // 2 % 2]}_{tag // 4}/{('train', 'val')[tag % 2]}"
            level = falling[step] if tag // 2 % 2 == 0 else 1 - falling[step]
            yield scalar(name, step, level + 0.1 + noise[step, tag], 1.7e9 + step)


def logs(folder: Path, tags: int, steps: int) -> None:
    """Writes the event file, older than what counts as still being written."""
    path = folder / FOLDER / "run" / NAME
    if not path.exists():
        write(path, scalars(tags, steps))
    os.utime(path, (1.7e9, 1.7e9))


def first_chart(context: BrowserContext, server: Server) -> float:
    """Seconds from the choice of the folder to the first drawn curve of its own."""
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{server.url}/{PAGE}none")
    page.get_by_text("Choose training logs in the sidebar").wait_for()
    ready(page)
    page.get_by_role("combobox", name="Training logs").click()
    option = page.get_by_role("option", name=FOLDER, exact=True)
    option.wait_for()
    begin = time.perf_counter()
    option.click()
    page.wait_for_function(DRAWN, arg=f"{GROUP} (", polling=25)
    taken = time.perf_counter() - begin
    page.close()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--tags", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        folder = asked.keep or Path(made)
        logs(folder, asked.tags, asked.steps)
        found: dict[str, list[float]] = {}
        for _ in range(asked.rounds):
            _one_round(playwright.chromium, folder, found)
        for title, seconds in found.items():
            print(f"{title:46} {statistics.median(seconds):5.2f} s  (best {min(seconds):.2f})")


def _one_round(chromium: BrowserType, folder: Path, found: dict[str, list[float]]) -> None:
    chrome = chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
    for title, warm in (("first visit of the server, nothing kept", False),
                        ("nothing kept", True)):
        with tempfile.TemporaryDirectory() as cache:
            server = Server(Path(cache), "--logs", str(folder))
            context = chrome.new_context(viewport={"width": 1280, "height": 900})
            if warm:
                _other_curves(context, server)
            found.setdefault(title, []).append(first_chart(context, server))
            if warm:
                tab = "kept, another tab of the browser"
                found.setdefault(tab, []).append(first_chart(context, server))
                other = chrome.new_context(viewport={"width": 1280, "height": 900})
                browser = "kept, a browser that was never here"
                found.setdefault(browser, []).append(first_chart(other, server))
                other.close()
            context.close()
            server.stop()
    chrome.close()


def _other_curves(context: BrowserContext, server: Server) -> None:
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{server.url}/{PAGE}logs/shapes")
    page.wait_for_function(DRAWN, arg="loss (", polling=100)
    ready(page)
    page.wait_for_timeout(3000)  # what is imported once the first page is drawn
    page.close()


if __name__ == "__main__":
    main()
