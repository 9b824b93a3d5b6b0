"""While the server starts: gets ready what the first page needs, before any browser has asked."""

import asyncio
import gc
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Thread
from typing import Any

import streamlit as st
from streamlit import env_util
from streamlit.components.v2 import manifest_scanner
from streamlit.url_util import make_url_path

from core.memory import share_freed_memory
from core.ui.idle import import_aside

FIRST = (
    "core.ui.first_look",
    "core.ui.frame",
    "core.ui.proposals",
    "core.ui.setup",
)
SOON = 0.5  # seconds, after which the server listens
FOR_THE_PASS = ("torch", "core.one_pass.forward_pass")


def searches_spared() -> None:
    """What Streamlit looks for before a first page, and Netlens has not: components in all
    installed packages (0.1 s and more), and the prompt of an interpreter (0.05 s)."""
    manifest_scanner.scan_component_manifests = list
    env_util.is_repl = bool


@asynccontextmanager
async def starting(_app: Any) -> AsyncIterator[None]:
    """The server's life. Streamlit opens a browser for a script, but not for an app."""
    share_freed_memory()
    gc.disable()  # nothing of what is imported first becomes garbage
    Thread(target=_import, daemon=True).start()
    if not st.get_option("server.headless"):
        browser = Thread(target=webbrowser.open, args=(_address(),), daemon=True)
        asyncio.get_running_loop().call_later(SOON, browser.start)
    yield


def _address() -> str:
    host = st.get_option("browser.serverAddress") or "localhost"
    path = make_url_path(str(st.get_option("server.baseUrlPath") or ""), "")
    return f"http://{host}:{st.get_option('server.port')}{path}"


def _import() -> None:
    """Torch too where no result is kept, so that there will be a pass: it takes seconds, which
    the first page spares where results are on disk."""
    try:
        import_aside(FIRST)
        from core import store  # with numpy, for which the browser need not wait
        from core.files import found_files

        for kind in found_files.KINDS:  # with them the readers of files are imported
            found_files.listing(kind)
    finally:
        gc.freeze()  # Streamlit looks through all that is left after each run of a page
        gc.enable()
    if not store.has_any():
        import_aside(FOR_THE_PASS)
