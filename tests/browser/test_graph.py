"""The drawing of the data flow in Chromium: its layout, its colours, its files."""

from xml.etree import ElementTree

import pytest
import torch
import torchvision

from core.data_flow import flow_of
from core.flow.drawing import drawing_of
from core.ui.components.graph import SOURCES
from tests.browser.empty_page import placed

pytestmark = pytest.mark.browser


def drawn(name):
    """A network of torchvision, ready for the component."""
    more = {"init_weights": False} if name == "googlenet" else {}
    with torch.device("meta"):
        model = torchvision.models.get_model(name, **more).eval().requires_grad_(False)
    return drawing_of(flow_of(model, (1, 3, 224, 224))).graph


def show(page, graph):
    """Draws a graph on an empty page; its view is window.shown."""
    data = {"graph": graph, "view": "v", "select": [None, 0], "height": 600}
    placed(page, SOURCES, data, width=900, names=("keptLayouts", "step", "label", "searched"))
    page.wait_for_function("window.shown.painted > 0")


FAMILIES = ("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "maxvit_t",
            "mnasnet0_5", "mobilenet_v3_small", "resnet50", "shufflenet_v2_x1_0",
            "squeezenet1_1", "swin_t", "vgg11", "vit_b_16")
FAULTS = """share => {
  const view = window.shown;
  if (share) {
    view.unfolded = new Set(
      view.tree.items.filter((item, i) => item.group && i % share === 0).map((i) => i.id));
    view.arrange();
  }
  const { closed, opened, pieces } = view.scene;
  const rows = [...closed].sort((a, b) => a.Y - b.Y);
  const near = (top, bottom) => { // boxes are equally high
    let [low, high] = [0, rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle].Y + rows[middle].h < top) low = middle + 1;
      else high = middle;
    }
    const found = [];
    for (let i = low; i < rows.length && rows[i].Y < bottom; i += 1) found.push(rows[i]);
    return found;
  };
  const apart = (a, b) => a.X + a.w <= b.X || b.X + b.w <= a.X || a.Y + a.h <= b.Y || b.Y + b.h <= a.Y;
  const within = (a, b) => a.X >= b.X && a.X + a.w <= b.X + b.w && a.Y >= b.Y && a.Y + a.h <= b.Y + b.h;
  const over = closed.filter((a) => near(a.Y, a.Y + a.h).some((b) => a !== b && !apart(a, b)));
  const outside = opened.flatMap((box) => box.children.filter((child) => !within(child, box)));
  const inside = (box, x, y) =>
    x > box.X + 1 && x < box.X + box.w - 1 && y > box.Y + 1 && y < box.Y + box.h - 1;
  const through = pieces.filter(([x0, y0, x1, y1]) => near(y0, y1).some((box) =>
    [...Array(19).keys()].some((k) => {
      const t = (k + 1) / 20;
      return inside(box, x0 + (x1 - x0) * t * t * (3 - 2 * t), y0 + (y1 - y0) * (1.5 * t * (1 - t) + t ** 3));
    })));
  const upward = pieces.filter(([, y0, , y1]) => y1 < y0);
  return [closed.length, over.length, outside.length, through.length, upward.length];
}"""


def test_no_box_lies_on_another_and_no_line_crosses_one(page):
    for name in FAMILIES:
        graph = drawn(name)
        show(page, graph)
        assert 7 <= page.evaluate("window.shown.scene.closed.length") <= 40, name  # at first
        for share in (0, 1, 2, 3):
            boxes, *faults = page.evaluate(FAULTS, share)
            assert boxes > 1
            assert faults == [0, 0, 0, 0], (name, share)
        page.evaluate("window.shown.unfoldAll(true)")
        assert page.evaluate("window.shown.scene.closed.length") == sum(
            not item[2] for item in graph["items"])


def test_a_line_through_a_box_would_be_seen(page):
    show(page, drawn("resnet18"))
    page.evaluate("""() => {
      const [box] = window.shown.scene.closed;
      window.shown.scene.pieces.push([box.X + box.w / 2, box.Y, box.X + box.w / 2, box.Y + box.h]);
      window.shown.scene.closed.push({ ...box, X: box.X + 5 });
    }""")
    assert page.evaluate(FAULTS, 0)[1:] == [2, 0, 1, 0]


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


def test_a_group_named_by_a_number_says_its_type_and_alike_groups_are_alike(page):
    show(page, drawn("swin_t"))
    labels = page.evaluate("window.shown.scene.closed.map(({ item }) => window.label(item))")
    assert {"1 · Sequential", "2 · PatchMerging", "head · linear"} <= set(labels)
    show(page, drawn("maxvit_t"))
    opened = page.evaluate("window.shown.scene.opened.map(({ item }) => item.layer)")
    assert {f"blocks.{number}" for number in range(4)} < set(opened)


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
    page.evaluate("window.step(window.shown, 1)")
    assert page.locator(".facts").inner_text().startswith(name)
    assert page.locator("img").count() == 0
    assert page.evaluate("window.sent") == [["selected", "#0"]]
    with page.expect_download() as saved:
        page.get_by_role("button", name="SVG").click()
    texts = [text.text for text in ElementTree.parse(saved.value.path()).iter()
             if text.tag.endswith("text")]
    assert texts == [f"{name} · relu", "1×2"]
    with page.expect_download() as saved:
        page.get_by_role("button", name="DOT").click()
    assert '[label="<img src=x onerror=alert(1)>\\"]; } · relu' in saved.value.path().read_text()


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
    page.evaluate("window.step(window.shown, 1)")
    assert "25 % dead units" in page.locator(".facts").inner_text()
    page.evaluate("window.shown.showDead({})")
    assert option.is_disabled()


@pytest.mark.parametrize("words, found", [
    ("conv", ["conv1", "body.conv"]), ("BODY conv", ["body.conv"]), ('"relu"', ["act"]),
    ('"conv', ["conv1", "body.conv"]), ('"conv1"', ["conv1"]), ("64,56", ["body.conv"]),
    ("64 × 56", ["body.conv"]), ("64", ["conv1", "body.conv", "act"]), ('"64,112,7"', ["conv1"]),
    ("4,56", []), ("1", ["conv1", "body.conv", "act"]), ('"', ["conv1", "body.conv", "act"])])
def test_what_is_looked_for_is_a_name_a_whole_word_or_sides_in_a_row(page, words, found):
    items = [[f"#{n}", -1, 0, name, 0, kind, name, shape, [0, 0, 0]] for n, (name, kind, shape) in
             enumerate((("conv1", "conv2d", "1×64×112×7"), ("body.conv", "conv2d", "1×64×56×56"),
                        ("act", "relu", "1×10×64")))]
    show(page, {"items": items, "edges": [], "operators": [["relu", 1]], "revision": "r"})
    assert page.evaluate("""words => window.shown.tree.items.filter(window.searched(words))
        .map((item) => item.layer)""", words) == found
