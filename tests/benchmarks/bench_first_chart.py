"""How long until the first chart of large logs is drawn in Chromium, the server being up.

    python -m tests.benchmarks.bench_first_chart [--steps 50000] [--tags 20] [--rounds 3]
                                                 [--keep FOLDER]

1 run, event files of 1,000,000 points. "First visit": the server has shown no page yet. "Nothing
kept": it has shown other pages, but never these logs, nor is anything parsed of them on disk.
"Kept": another tab, then another browser (which has to load the app's scripts, too), after that.
From the request to the moment when pixels of a curve are in the first canvas; also to the first
mark of a finding. `--keep` keeps the logs that were generated for another time.
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

from tests.browser.conftest import QUIET, Server
from tests.event_files import NAME, scalar, write

ADDRESS = "Training_curves?data=none"  # of the folder given by --logs
DRAWN = """() => [...document.querySelectorAll('[data-testid=stVegaLiteChart] canvas')].some(
    canvas => canvas.width > 100 && canvas.getContext('2d').getImageData(
        0, 0, canvas.width, canvas.height).data.some(
        (value, place, data) => place % 4 == 0 && data[place + 3] > 60
            && Math.max(data[place], data[place + 1], data[place + 2])
             - Math.min(data[place], data[place + 1], data[place + 2]) > 60))"""  # a colour


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
    path = folder / "large" / NAME
    if not path.exists():
        write(path, scalars(tags, steps))
    os.utime(path, (1.7e9, 1.7e9))


def first_chart(context: BrowserContext, server: Server) -> float:
    """Seconds to the first drawn curve."""
    page = context.new_page()
    page.set_default_timeout(60_000)
    begin = time.perf_counter()
    page.goto(f"{server.url}/{ADDRESS}", wait_until="commit")
    page.wait_for_selector("[data-testid=stVegaLiteChart] canvas")
    page.wait_for_function(DRAWN, polling=25)
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
                _other_pages(context, server)
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


def _other_pages(context: BrowserContext, server: Server) -> None:
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{server.url}/Training_curves?data=none&logs=none")
    page.get_by_text("Choose training logs in the sidebar").wait_for()
    page.wait_for_timeout(3000)  # what is imported once the first page is drawn
    page.close()


if __name__ == "__main__":
    main()
