"""While the server starts: gets ready what the first page needs, before any browser has asked."""

import asyncio
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Thread
from typing import Any

import streamlit as st
from streamlit.components.v2 import manifest_scanner

from core.memory import share_freed_memory
from core.ui.idle import import_aside

FIRST = (
    "core.ui.class_charts",
    "core.ui.frame",
    "core.ui.images",
    "core.ui.overview",
    "core.ui.proposals",
    "core.ui.setup",
    "core.hard_examples",
    "core.overview",
)
SOON = 0.5  # seconds, after which the server listens
FOR_THE_PASS = ("torch", "core.one_pass.forward_pass")


def no_others_components() -> None:
    """Streamlit looks through all installed packages for components, which takes 0.1 s and more.
    Those of Netlens are not among them."""
    manifest_scanner.scan_component_manifests = list


@asynccontextmanager
async def starting(_app: Any) -> AsyncIterator[None]:
    """The server's life. Streamlit opens a browser for a script, but not for an app."""
    share_freed_memory()
    Thread(target=_import, daemon=True).start()
    if not st.get_option("server.headless"):
        browser = Thread(target=webbrowser.open, args=(_address(),), daemon=True)
        asyncio.get_running_loop().call_later(SOON, browser.start)
    yield


def _address() -> str:
    host = st.get_option("browser.serverAddress") or "localhost"
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"http://{host}:{st.get_option('server.port')}/{path}"


def _import() -> None:
    """Torch too where no result is kept, so that there will be a pass: it takes seconds, which
    the first page spares where results are on disk."""
    import_aside(FIRST)
    from core import store  # with numpy, for which the browser need not wait
    from core.files import found_files

    for kind in found_files.KINDS:  # with them the readers of files are imported
        found_files.listing(kind)
    if not store.has_any():
        import_aside(FOR_THE_PASS)
