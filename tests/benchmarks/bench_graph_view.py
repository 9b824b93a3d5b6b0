"""How fast the data flow is found, and drawn with everything unfolded in Chromium.

    python -m tests.benchmarks.bench_graph_view [NETWORK ...]

flow: seconds for one watched run, beside one plain run of the network on the meta device. layout:
milliseconds for all operations, first and best of five. pan, zoom: frames a second while the view
moves at each frame; 60 is the most that a browser shows.
"""

import shutil
import sys

import torch
from playwright.sync_api import sync_playwright

from core.data_flow import flow_of
from core.flow.drawing import drawing_of
from tests.benchmarks.networks import SHAPE, fastest, on_meta
from tests.browser.conftest import QUIET
from tests.browser.test_graph import show

NETWORKS = ("resnet50", "maxvit_t", "densenet201", "efficientnet_v2_l")
LAYOUT = """() => {
  const view = window.shown, times = [];
  for (let i = 0; i < 5; i += 1) {
    window.keptLayouts.clear();
    const begin = performance.now();
    view.unfoldAll(true);
    view.paint();
    times.push(performance.now() - begin);
  }
  return [times[0], Math.min(...times)];
}"""
FRAMES = """move => new Promise((done) => {
  const view = window.shown, begin = performance.now();
  view.fit();
  let frames = 0;
  const step = () => {
    frames += 1;
    if (move === "pan") view.pan(0, -24);
    else view.zoom(frames % 80 < 40 ? 0.96 : 1 / 0.96);
    if (performance.now() - begin < 2000) requestAnimationFrame(step);
    else done((1000 * frames) / (performance.now() - begin));
  };
  requestAnimationFrame(step);
})"""


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'network':<20}{'boxes':>7}{'flow, s':>9}{'plain, s':>9}{'layout, ms':>16}"
          f"{'pan':>6}{'zoom':>6}")
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=QUIET)
        page = chrome.new_page(viewport={"width": 1280, "height": 900})
        for name in sys.argv[1:] or NETWORKS:
            model, image = on_meta(name), torch.empty(SHAPE, device="meta")
            model(image)  # the first run pays for imports
            plain = fastest(lambda m=model, x=image: m(x), 3)
            watched = fastest(lambda m=model: flow_of(m, SHAPE), 3)
            show(page, drawing_of(flow_of(model, SHAPE)).graph)
            first, best = page.evaluate(LAYOUT)
            boxes = page.evaluate("window.shown.scene.closed.length")
            pan, zoom = (page.evaluate(FRAMES, move) for move in ("pan", "zoom"))
            print(f"{name:<20}{boxes:>7}{watched:>9.2f}{plain:>9.2f}{first:>8.0f}{best:>8.0f}"
                  f"{pan:>6.0f}{zoom:>6.0f}")
        chrome.close()


if __name__ == "__main__":
    main()
