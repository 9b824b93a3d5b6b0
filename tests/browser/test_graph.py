"""The drawing of the data flow in Chromium: its layout, what stays when the page changes, files."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from xml.etree import ElementTree

import pytest
import torch
import torchvision

from core.data_flow import flow_of
from core.flow.drawing import drawing_of
from core.ui.components.graph import HERE, PARTS
from tests.browser.conftest import ready
from tests.conftest import ROOT

pytestmark = pytest.mark.browser
APP = '''
import streamlit as st
from core.library import model_id
from core.ui.flow import graph_view

def graph():
    layer = st.text_input("Layer")
    st.text(f"chosen {graph_view(model_id(Path(PATH)), None, layer or None)}")
    st.button("Run again")

def other():
    st.write("nothing here")

st.navigation([st.Page(graph, title="Graph", default=True), st.Page(other, title="Other")]).run()
'''


def drawn(name):
    """A network of torchvision, ready for the component."""
    with torch.device("meta"):
        model = torchvision.models.get_model(name).eval().requires_grad_(False)
    return drawing_of(flow_of(model, (1, 3, 224, 224))).graph


def script():
    joined = "\n".join((HERE / f"{part}.js").read_text(encoding="utf-8") for part in PARTS)
    return joined.replace("export default function", "function component")


def show(page, graph):
    """Draws a graph on an empty page; its view is window.shown."""
    css = (HERE / "graph.css").read_text(encoding="utf-8")
    html = (HERE / "graph.html").read_text(encoding="utf-8")
    page.set_content(f"<style>{css}</style><div id=host style='width:900px'>{html}</div>")
    page.evaluate("graph => { window.graph = graph; window.sent = []; }", graph)
    page.add_script_tag(content="(() => {" + script() + """
        const host = document.querySelector("#host");
        const data = { graph: window.graph, view: "v", select: [null, 0], height: 600 };
        component({ data, parentElement: host, setStateValue: (_, id) => window.sent.push(id) });
        Object.assign(window, { shown: VIEWS.get(host), keptLayouts });
    })()""")
    page.wait_for_function("window.shown.painted > 0")


FAULTS = """share => {
  const view = window.shown;
  view.unfolded = new Set(view.tree.items.filter((item, i) => item.group && i % share === 0).map((i) => i.id));
  view.arrange();
  const { closed, opened, pieces } = view.scene;
  const apart = (a, b) => a.X + a.w <= b.X || b.X + b.w <= a.X || a.Y + a.h <= b.Y || b.Y + b.h <= a.Y;
  const within = (a, b) => a.X >= b.X && a.X + a.w <= b.X + b.w && a.Y >= b.Y && a.Y + a.h <= b.Y + b.h;
  const over = closed.filter((a, i) => closed.some((b, j) => j > i && !apart(a, b)));
  const outside = opened.flatMap((box) => box.children.filter((child) => !within(child, box)));
  const through = pieces.filter(([x0, y0, x1, y1]) => closed.some((box) =>
    [...Array(19).keys()].some((k) => {
      const t = (k + 1) / 20, x = x0 + (x1 - x0) * t * t * (3 - 2 * t), y = y0 + (y1 - y0) * (1.5 * t * (1 - t) + t ** 3);
      return x > box.X + 1 && x < box.X + box.w - 1 && y > box.Y + 1 && y < box.Y + box.h - 1;
    })));
  const upward = pieces.filter(([, y0, , y1]) => y1 < y0);
  return [closed.length, over.length, outside.length, through.length, upward.length];
}"""


@pytest.mark.parametrize("name", ["shufflenet_v2_x1_0", "densenet121", "swin_t"])
def test_no_box_lies_on_another_and_no_line_crosses_one(page, name):
    graph = drawn(name)
    show(page, graph)
    for share in (1, 2, 3):
        boxes, *faults = page.evaluate(FAULTS, share)
        assert boxes > 5
        assert faults == [0, 0, 0, 0]
    page.evaluate("window.shown.unfoldAll(true)")
    assert page.evaluate("window.shown.scene.closed.length") == sum(
        not item[2] for item in graph["items"])


class Skipping(torch.nn.Module):
    """Skips as a U-Net has them: the first that is kept is the last that is read."""

    def __init__(self):
        super().__init__()
        self.down = torch.nn.ModuleList(torch.nn.Conv2d(4, 4, 3, padding=1) for _ in range(5))
        self.up = torch.nn.ModuleList(torch.nn.Conv2d(8, 4, 3, padding=1) for _ in range(5))

    def forward(self, x):
        kept = []
        for layer in self.down:
            x = torch.relu(layer(x))
            kept.append(x)
        for layer in self.up:
            x = torch.relu(layer(torch.cat([x, kept.pop()], 1)))
        return x


CROSSED = """() => {
  const { pieces } = window.shown.scene;
  const between = (a, b) => a[1] < b[3] && b[1] < a[3];
  const swapped = (a, b) => (a[0] - b[0]) * (a[2] - b[2]) < 0;
  return pieces.filter((a, i) => pieces.some((b, j) => j > i && between(a, b) && swapped(a, b))).length;
}"""


def test_skips_inside_one_another_do_not_cross(page):
    with torch.device("meta"):
        model = Skipping().eval()
    show(page, drawing_of(flow_of(model, (1, 4, 16, 16))).graph)
    page.evaluate("window.shown.unfoldAll(true)")
    assert page.evaluate("window.shown.scene.closed.length") == 27
    assert page.evaluate(CROSSED) == 0


def test_what_is_selected_is_marked_from_end_to_end(page):
    show(page, drawn("densenet121"))
    page.evaluate("window.shown.unfoldAll(true)")
    loose = page.evaluate("""() => window.shown.view.links.flatMap(({ path }) => {
      const pieces = path.flatMap(({ level, route }) => route.map((i) => level.pieces[i]));
      const apart = (a, b) => Math.hypot(b[0] - a[2], b[1] - a[3]) > 0.1;
      return pieces.slice(1).filter((piece, i) => apart(pieces[i], piece));
    }).length""")
    assert loose == 0


def test_names_are_text_in_the_drawing_and_in_its_files(page):
    name = '<img src=x onerror=alert(1)>"]; }'
    item = ["#0", -1, 0, name, 0, "relu", name, "1×2", [0, 0, 0]]
    show(page, {"items": [item], "edges": [], "operators": [["relu", 1]], "revision": "r"})
    page.evaluate("window.shown.step(1)")
    assert page.locator(".facts").inner_text().startswith(name)
    assert page.locator("img").count() == 0
    assert page.evaluate("window.sent") == ["#0"]
    with page.expect_download() as saved:
        page.get_by_role("button", name="SVG").click()
    texts = [text.text for text in ElementTree.parse(saved.value.path()).iter()
             if text.tag.endswith("text")]
    assert texts == [f"{name} · relu", "1×2"]
    with page.expect_download() as saved:
        page.get_by_role("button", name="DOT").click()
    assert '[label="<img src=x onerror=alert(1)>\\"]; } · relu' in saved.value.path().read_text()


@pytest.fixture
def app(tmp_path):
    """A small app of two pages, one of which draws the sample transformer."""
    path = ROOT / "sample_models/shapes-vit.safetensors"
    file = tmp_path / "app.py"
    file.write_text(f"from pathlib import Path\nPATH = {str(path)!r}\n{APP}", encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(file), "--server.headless", "true",
         "--server.address", "127.0.0.1", "--server.port", str(port)],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), "NETLENS_CACHE": str(tmp_path)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).read()
                break
            except OSError:
                time.sleep(0.25)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_folds_zoom_and_selection_survive_a_rerun_and_a_page_change(app, page):
    def state():
        return page.locator(".box").evaluate(
            "box => [box.dataset.boxes, box.dataset.zoom, box.parentElement.querySelector('.facts').textContent]")

    page.goto(app)
    ready(page)
    box = page.locator(".box[data-boxes]")
    folded = int(box.get_attribute("data-boxes"))
    page.get_by_role("searchbox").fill("attention.key")
    page.get_by_role("searchbox").press("Enter")
    page.get_by_text("chosen blocks.0.attention.key").wait_for()
    page.get_by_role("button", name="Zoom in").click()
    before = state()
    assert int(before[0]) > folded
    page.get_by_role("button", name="Run again").click()
    ready(page)
    assert state() == before
    page.get_by_role("link", name="Other").click()
    page.get_by_text("nothing here").wait_for()
    page.get_by_role("link", name="Graph").click()
    page.get_by_text("chosen blocks.0.attention.key").wait_for()
    ready(page)
    assert state() == before
    page.get_by_test_id("stTextInputField").fill("blocks.1.norm2")
    page.get_by_test_id("stTextInputField").press("Enter")
    page.get_by_text("chosen blocks.1.norm2").wait_for()


def test_dead_units_colour_the_graph_once_they_are_measured(page):
    items = [[f"#{n}", -1, 0, f"layer{n}", 0, "relu", f"layer{n}", "1×2", [0, 0, 0]]
             for n in range(3)]
    show(page, {"items": items, "edges": [], "operators": [["relu", 3]], "revision": "r"})
    option = page.locator("option[value=dead]")
    assert option.is_disabled()
    page.evaluate("window.shown.showDead({ '#0': 0.25, '#1': 0 })")
    assert option.is_enabled()
    page.locator(".bar select").select_option("dead")
    shown = page.evaluate("""() => window.shown.scene.closed.map(({ item }) => (
        [window.shown.scene.palette.subtitle(item), window.shown.scene.palette.fill(item)[1] > 0]))""")
    assert shown == [["25 %", True], ["0 %", False], ["–", False]]
    assert page.locator(".legend").inner_text() == "0 to 25 % in one box"
    page.evaluate("window.shown.step(1)")
    assert "25 % dead units" in page.locator(".facts").inner_text()
    page.evaluate("window.shown.showDead({})")
    assert option.is_disabled()
