"""A server started by the README's command, and Chromium to look at it."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from tests.conftest import ROOT

READY = (
    "[data-testid=stApp][data-test-script-state=notRunning][data-test-connection-state=CONNECTED]"
)
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]


class Server:
    """`streamlit run Home.py`, or another script, on a free port with a cache of its own."""

    def __init__(
        self, cache: Path, *words: str, script: Path | None = None, **environment: str
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = (
            re.search(r"streamlit run \S+", (ROOT / "README.md").read_text(encoding="utf-8"))
            .group()
            .split()
        )
        if script is not None:
            command[-1] = str(script)
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                *command,
                "--server.headless",
                "true",
                "--server.address",
                "127.0.0.1",
                "--server.port",
                str(self.port),
                *(["--", *words] if words else []),
            ],
            cwd=ROOT,
            env={**os.environ, "NETLENS_CACHE": str(cache), **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(1200):
            try:
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1).read()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("the server did not start")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
    with sync_playwright() as playwright:
        bundled = Path(playwright.chromium.executable_path)
        if path is None and not bundled.exists():
            pytest.skip("no Chromium here: install the package chromium")
        chrome = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield chrome
        chrome.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("browser-cache"))
    yield server
    server.stop()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of 1280 × 900 that notes each request to anything but the server itself."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(90_000)
    page.outside = []
    page.on(
        "request",
        lambda request: (
            None
            if re.match(r"(https?|wss?)://127\.0\.0\.1[:/]|data:|blob:|about:", request.url)
            else page.outside.append(request.url)
        ),
    )
    yield page
    context.close()


def own_stop(page: Page) -> Locator:
    """The page's button that stops its work; Streamlit has one of its own in the header."""
    return page.get_by_test_id("stMainBlockContainer").get_by_role(
        "button", name="Stop", exact=True
    )


def ready(page: Page) -> None:
    """Waits until the script has run, all work is done, and that has held for a while."""
    calm = 0
    for _ in range(400):
        page.wait_for_selector(READY)
        page.wait_for_timeout(200)
        working = own_stop(page).count()
        calm = calm + 1 if page.locator(READY).count() and not working else 0
        if calm == 4:
            return
    raise AssertionError("the page did not become ready")
