"""The app as a person waits for it: start, change of page, memory.

    python -m tests.benchmarks.bench_app

From `streamlit run` to the finished Overview in Chromium, with nothing kept and with results on
disk, beside Streamlit's own start to a page of one chart; seconds to each finished page; peak
memory of the server with every page visited.
"""

import re
import shutil
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import QUIET, Server, ready

PAGES = ["Architecture", "Training curves", "Embeddings", "Hard examples", "Saliency", "Overview"]
DONE = {
    "Overview": "All hard examples",
    "Architecture": "Download as CSV",
    "Training curves": "How the logs were read",
    "Embeddings": "Chosen examples",
    "Hard examples": "As a table",
    "Saliency": "Source",
}
PLAIN = """
import altair, pandas
import streamlit as st

table = pandas.DataFrame({"x": [1, 2], "y": [1, 2]})
st.altair_chart(altair.Chart(table).mark_line().encode(x="x", y="y"))
"""


def finished(page: Page, name: str) -> None:
    """Until the page's last part is there and nothing runs any more."""
    page.get_by_test_id("stMain").get_by_text(DONE[name]).first.wait_for()
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")


def peak_memory(server: Server) -> float:
    """MB that the server has held at most (Linux)."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def plain_start(chrome: Browser, folder: Path) -> None:
    """Streamlit's own share of a start: a page of one chart, and the imports it needs."""
    script = folder / "plain.py"
    script.write_text(PLAIN, encoding="utf-8")
    page = chrome.new_context(viewport={"width": 1280, "height": 900}).new_page()
    begin = time.perf_counter()
    server = Server(folder, script=script)
    page.goto(server.url)
    page.get_by_test_id("stMain").locator("canvas,svg.marks").first.wait_for()
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    print(f"from start to a page of one chart, Streamlit alone: {time.perf_counter() - begin:.1f} s")
    page.context.close()
    server.stop()


def main() -> None:
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as cache:
        chrome = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        plain_start(chrome, Path(cache))
        for words in ("nothing kept", "results on disk"):
            page = chrome.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.set_default_timeout(60_000)
            begin = time.perf_counter()
            server = Server(Path(cache))
            page.goto(server.url)
            finished(page, "Overview")
            print(
                f"from start to the finished Overview, {words}: {time.perf_counter() - begin:.1f} s"
            )
            ready(page)
            for turn in ("first visit", "again"):
                for name in PAGES:
                    begin = time.perf_counter()
                    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
                    finished(page, name)
                    print(f"  {name}, {turn}: {time.perf_counter() - begin:.2f} s")
                    ready(page)
            print(f"  peak memory: {peak_memory(server):,.0f} MB")
            page.context.close()  # a page without its server would go on asking for it
            server.stop()
        chrome.close()


if __name__ == "__main__":
    main()
