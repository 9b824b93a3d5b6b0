"""The start of the server: what it imports ahead, and that it opens a browser for a person."""

import asyncio
import importlib.metadata
import inspect
import os
import platform
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from streamlit import delta_generator, env_util
from streamlit.components.v2 import manifest_scanner
from streamlit.components.v2.component_manager import BidiComponentManager
from streamlit.file_util import get_static_dir
from streamlit.web.server.starlette.starlette_static_routes import create_streamlit_static_handler

from core import store
from core.memory import ARENAS
from core.ui import assets, idle
from core.ui.assets import Assets
from core.ui.start import searches_spared
from tests.conftest import ROOT

IMPORTED = "from core.ui.start import _import; _import(); import sys; print('torch' in sys.modules)"


@pytest.mark.parametrize("kept", [False, True])
def test_torch_is_imported_ahead_only_where_nothing_is_kept(kept, tmp_path, monkeypatch):
    monkeypatch.setenv("NETLENS_CACHE", str(tmp_path))
    if kept:
        store.write_json(store.key(anything=1), "kept")
    assert store.has_any() is kept
    found = subprocess.run(
        [sys.executable, "-c", IMPORTED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == str(not kept)


def test_altair_is_left_to_the_other_pages(tmp_path):
    script = ("from core.ui.start import _import; _import(); import core.ui.first_look, sys\n"
              "print([m for m in ('altair', 'sklearn', 'captum') if m in sys.modules])")
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True,
        env={**os.environ, "NETLENS_CACHE": str(tmp_path)})
    assert found.stdout.strip() == "[]"


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_the_server_asks_nobody_before_it_listens(tmp_path):
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0.5)
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        server = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "Home.py", "--server.port", str(port),
             "--server.headless", "true"],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "NETLENS_CACHE": str(tmp_path), "http_proxy": address,
                 "https_proxy": address, "no_proxy": ""})
        try:
            said = next(line for line in server.stdout if "http" in line)
            assert said.strip() == f"URL: http://localhost:{port}"
            with pytest.raises(TimeoutError):
                proxy.accept()
        finally:
            server.kill()
            server.wait()


def test_a_browser_is_opened_on_the_page(tmp_path):
    port = free_port()
    seen, browser = tmp_path / "seen.txt", tmp_path / "browser.py"
    browser.write_text(
        "import sys, urllib.request\n"
        "status = urllib.request.urlopen(sys.argv[1]).status\n"
        f"open({str(seen)!r}, 'w').write(f'{{sys.argv[1]}} {{status}}')\n"
    )
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "Home.py", "--server.port", str(port),
         "--server.headless", "false"],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "NETLENS_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path),
             "BROWSER": f"{sys.executable} {browser} %s"})
    try:
        for _ in range(600):
            if (seen.exists() and seen.read_text()) or server.poll() is not None:
                break
            time.sleep(0.1)
        assert seen.read_text() == f"http://localhost:{port}/ 200"
    finally:
        server.kill()
        server.wait()


def test_what_is_kept_is_shown_without_torch(tmp_path):
    """It takes seconds to import."""
    script = ("import sys\n"
              "if sys.argv[1:]: sys.modules['torch'] = None\n"  # its import fails
              "from tests.app import PAGES, faults, opened, words\n"
              "for page in PAGES:\n"
              "    app = opened(page)\n"
              "    print(page, faults(app), words(app))\n")
    first, again = (subprocess.run(
        [sys.executable, "-c", script, *words], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "NETLENS_CACHE": str(tmp_path)}) for words in ([], ["without torch"]))
    assert first.returncode == again.returncode == 0, again.stderr
    assert again.stdout == first.stdout and "multiply-adds for one image" in again.stdout
    assert again.stdout.count(" [] ") == len(list(ROOT.glob("pages/*.py")))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_threads_share_heaps(tmp_path):
    script = ("import ctypes, sys, threading\n"
              "from core.memory import share_freed_memory\n"
              "if sys.argv[2:]: share_freed_memory()\n"
              "all_here = threading.Barrier(6)\n"
              "def work():\n"
              "    all_here.wait()\n"
              "    held = [bytearray(10_000) for _ in range(100)]\n"
              "    all_here.wait()\n"
              "threads = [threading.Thread(target=work) for _ in range(6)]\n"
              "[thread.start() for thread in threads], [thread.join() for thread in threads]\n"
              "libc = ctypes.CDLL(None)\n"
              "libc.fopen.restype = ctypes.c_void_p\n"
              "file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b'w'))\n"
              "libc.malloc_info(0, file), libc.fclose(file)\n")
    heaps = []
    for words in ([], ["shared"]):
        said = tmp_path / "heaps.xml"
        subprocess.run([sys.executable, "-c", script, str(said), *words], cwd=ROOT, check=True)
        heaps.append(said.read_text().count("<heap "))
    assert heaps[1] <= ARENAS < heaps[0]


def test_no_package_is_looked_through_for_components(monkeypatch):
    looked = []
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: looked.append(1) or [])
    scan = manifest_scanner.scan_component_manifests  # which tests of pages call once
    monkeypatch.setattr(manifest_scanner, "scan_component_manifests",
                        getattr(scan, "__wrapped__", scan))
    BidiComponentManager().discover_and_register_components(start_file_watching=False)
    assert looked
    looked.clear()
    searches_spared()
    BidiComponentManager().discover_and_register_components(start_file_watching=False)
    assert not looked


def test_imports_for_other_pages_wait_for_the_runs_of_this_one(monkeypatch):
    imported, waited, threads = [], [], []
    first, second = idle.running(), idle.running()

    def sleep(seconds):
        waited.append(list(imported))
        (first if len(waited) == 1 else second).__exit__(None, None, None)

    clock = SimpleNamespace(sleep=sleep, monotonic=lambda: 100.0)
    for name, value in (("_runs", []), ("FOR_OTHERS", ("a", "b")), ("WITH_TORCH", ()),
                        ("import_module", imported.append), ("time", clock)):
        monkeypatch.setattr(idle, name, value)
    monkeypatch.setattr(idle.threading, "Thread", lambda **given: threads.append(1) or Mock())
    first.__enter__()
    second.__enter__()
    idle._import_when_idle()
    assert waited == [[], []] and imported == ["a", "b"] and len(threads) == 1


def test_no_prompt_of_an_interpreter_is_looked_for(monkeypatch):
    looked = []
    monkeypatch.setattr(inspect, "stack", lambda *_: looked.append(1) or [])
    monkeypatch.setattr(delta_generator, "_use_warning_has_been_displayed", False)
    monkeypatch.setattr(env_util, "is_repl", env_util.is_repl)
    searches_spared()
    delta_generator._maybe_print_use_warning()
    assert delta_generator._use_warning_has_been_displayed and not looked


def test_what_is_imported_first_is_not_looked_through_again(tmp_path):
    script = ("import asyncio, gc, sys, time\n"
              "from core.ui.start import starting\n"
              "async def live():\n"
              "    async with starting(None):\n"
              "        begun = gc.isenabled()\n"
              "        while not gc.isenabled(): await asyncio.sleep(0.01)\n"
              "        print(begun, gc.get_freeze_count() > len(gc.get_objects()))\n"
              "from core import store\n"
              "store.write_json(store.key(anything=1), 'kept')\n"
              "asyncio.run(live())\n")
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True,
        env={**os.environ, "NETLENS_CACHE": str(tmp_path), "STREAMLIT_SERVER_HEADLESS": "true"})
    assert found.stdout.split()[-2:] == ["False", "True"]


def answered(app, path, method="GET", **headers):
    """Status, headers and body that an app answers with."""
    said, whole = [], [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        return whole.pop() if whole else await asyncio.Event().wait()  # nobody hangs up

    async def send(message):
        said.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "root_path": "", "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode())
                    for name, value in headers.items()]}
    with ThreadPoolExecutor(1) as beside:  # tests in a browser leave a loop running in this thread
        beside.submit(lambda: asyncio.run(app(scope, receive, send))).result()
    body = b"".join(part.get("body", b"") for part in said[1:])
    return said[0]["status"], dict(said[0]["headers"]), body


def test_assets_are_what_streamlit_sends():
    own = create_streamlit_static_handler(get_static_dir(), "")
    asked = []

    async def behind(scope, receive, send):
        asked.append(scope["path"])
        await own(scope, receive, send)

    app, files = Assets(behind), sorted(Path(get_static_dir(), "static").glob("*/*"))
    assert {file.suffix for file in files} >= {".js", ".css", ".woff2"}
    for file in {file.suffix: file for file in files}.values():
        path = f"/static/{file.parent.name}/{file.name}"
        (status, headers, body), (_, theirs, content) = answered(app, path), answered(own, path)
        assert (status, body) == (200, content) == (200, file.read_bytes())
        names = (b"content-length", b"cache-control")
        assert [headers[name] for name in names] == [theirs[name] for name in names]
        assert headers[b"content-type"].split(b";")[0] == theirs[b"content-type"].split(b";")[0]
    assert not asked


def behind_assets(path, method="GET", **headers):
    """The status, where the app behind answers with one of its own."""
    async def behind(scope, receive, send):
        await send({"type": "http.response.start", "status": 418, "headers": []})

    return answered(Assets(behind), path, method, **headers)[0]


@pytest.mark.parametrize(("method", "headers"), [
    ("HEAD", {}), ("POST", {}), ("GET", {"range": "bytes=0-9"}), ("GET", {"if_none_match": "x"})])
def test_other_questions_are_for_streamlit(method, headers):
    path = f"/static/js/{next(Path(get_static_dir(), 'static', 'js').iterdir()).name}"
    assert behind_assets(path) == 200 and behind_assets(path, method, **headers) == 418


@pytest.mark.parametrize("path", ["/", "/index.html", "/static/js", "/static/js/../../index.html",
                                  "/static/js/none.js", "/static/../../../setup.py"])
def test_what_is_no_asset_is_for_streamlit(path):
    assert behind_assets(path) == 418


def test_assets_lie_where_the_app_lies(monkeypatch):
    name = next(Path(get_static_dir(), "static", "js").iterdir()).name
    monkeypatch.setattr(assets.st, "get_option", {"server.baseUrlPath": "/below/"}.get)
    assert behind_assets(f"/below/static/js/{name}") == 200
    assert behind_assets(f"/static/js/{name}") == 418
