"""Streamlit's own scripts, styles and fonts, sent without the detour over threads.

A first page asks for some 130 of them while the server is busy with imports; here each takes a
fifth of the time. Anything but a plain request for one of them goes on to Streamlit.
"""

import mimetypes
from pathlib import Path

import streamlit as st
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.file_util import get_static_dir
from streamlit.url_util import make_url_path
from streamlit.web.server.starlette.starlette_server_config import (
    STATIC_ASSET_CACHE_MAX_AGE_SECONDS,
)

FOLDER = "static"  # in it each name has a digest of the content
KEPT = f"public, immutable, max-age={STATIC_ASSET_CACHE_MAX_AGE_SECONDS}".encode()
NOT_PLAIN = {b"range", b"if-none-match", b"if-modified-since"}


class Assets:
    """Middleware around the app."""

    def __init__(self, app: ASGIApp) -> None:
        top, base = Path(get_static_dir()), str(st.get_option("server.baseUrlPath") or "")
        self._app = app
        self._files = {make_url_path(base, file.relative_to(top).as_posix()): file
                       for file in top.glob(f"{FOLDER}/*/*")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        file = self._files.get(scope["path"]) if scope["type"] == "http" else None
        if (file is None or scope["method"] != "GET"
                or NOT_PLAIN.intersection(name for name, _ in scope["headers"])):
            await self._app(scope, receive, send)
            return
        content = file.read_bytes()
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        headers = [(b"content-type", kind.encode()), (b"cache-control", KEPT),
                   (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})
